"""The one registry of actions: bindings, palette, footer, help and `bioretrieval-tui keys`.

Plain data, so that the command line reads it without Textual. `scope` says where an action
works; `footer` gives its place in the bottom line (0: not shown there).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a key does.

    `name` is the Textual action that runs it; `keys` in Textual's spelling, first shown.
    """

    id: str
    scope: str
    keys: tuple[str, ...]
    name: str
    label: str
    help: str
    footer: int = 0
    palette: bool = True

    @property
    def shown(self) -> str:
        """The first key as a reader writes it."""
        return shown_key(self.keys[0]) if self.keys else ""


SCOPES: dict[str, str] = {
    "everywhere": "Everywhere",
    "list": "In a list",
    "browse": "In a list of the catalogue",
    "detail": "In the detail pane",
    "leaderboard": "On the leaderboard",
    "qrels": "While exploring a benchmark",
    "news": "In News",
    "found": "Among papers that were found",
    "start": "In Get started",
    "search": "In Search",
    "ask": "While typing a query",
    "indexes": "In Indexes",
    "files": "While choosing files",
    "line": "While typing",
}

PANES: tuple[tuple[str, str, str], ...] = (
    ("home", "Home", "What this is, what is new, where to start"),
    ("timeline", "Evolution", "The milestones of the field in their order"),
    ("papers", "Papers", "Every paper of the catalogue"),
    ("models", "Models", "Every model, with how to encode with it"),
    ("datasets", "Datasets", "Training data"),
    ("benchmarks", "Benchmarks", "Test collections and suites"),
    ("leaderboard", "Leaderboard", "Training recipes, and models by benchmarks"),
    ("path", "Get started", "Five steps, from a baseline to your own retriever"),
    ("search", "Search", "Search the catalogue and your own indexes"),
    ("indexes", "Indexes", "Your indexes: build, add, verify, compact, remove"),
)
"""(pane, title, what it shows), in the order of their digit keys."""

DIGITS: dict[str, str] = {pane: str(n % 10) for n, (pane, _, _) in enumerate(PANES, 1)}
"""The key of each pane: 1 to 9, and 0 behind them as on the keyboard."""

SHORT_TITLES: dict[str, str] = {
    "timeline": "Evol", "datasets": "Data", "benchmarks": "Bench", "leaderboard": "Board",
    "path": "Start", "indexes": "Index",
}  # fmt: skip
"""Titles for a narrow terminal, where they differ."""


def _a(
    id: str,  # noqa: A002 - the field's own name
    scope: str,
    keys: str,
    name: str,
    label: str,
    help: str,  # noqa: A002
    footer: int = 0,
    palette: bool = True,
) -> Action:
    return Action(id, scope, tuple(keys.split()), name, label, help, footer, palette)


ACTIONS: tuple[Action, ...] = (
    *(
        _a(f"go-{pane}", "everywhere", DIGITS[pane], f"go('{pane}')", title, text)
        for pane, title, text in PANES
    ),
    _a(
        "palette",
        "everywhere",
        "ctrl+p",
        "palette",
        "Palette",
        "Find an action or an entry by name",
        7,
    ),
    _a("help", "everywhere", "question_mark f1", "help", "Help", "The keys of this screen", 8),
    _a(
        "back",
        "everywhere",
        "backspace alt+left",
        "back",
        "Back",
        "Return to where the last jump came from",
    ),
    _a("theme", "everywhere", "t", "theme", "Theme", "Next theme: dark, light, terminal colours"),
    _a(
        "explore",
        "everywhere",
        "E",
        "explore",
        "Explore a benchmark",
        "Queries, judgements, and the ranks by each mode",
    ),
    _a(
        "stop-evaluation",
        "everywhere",
        "X",
        "stop_evaluation",
        "Stop evaluating",
        "Stop the evaluation that runs; asks first",
    ),
    _a("news", "everywhere", "W", "go('news')", "News", "What the watches found at their sources"),
    _a("redraw", "everywhere", "ctrl+l", "redraw", "Redraw", "Draw the screen anew"),
    _a("quit", "everywhere", "q", "quit", "Quit", "Leave the app", 9),
    _a("down", "list", "j down", "move(1)", "Down", "Next row", palette=False),
    _a("up", "list", "k up", "move(-1)", "Up", "Previous row", palette=False),
    _a(
        "half-down",
        "list",
        "ctrl+d pagedown",
        "half(1)",
        "Half a page down",
        "Half a page down",
        palette=False,
    ),
    _a(
        "half-up",
        "list",
        "ctrl+u pageup",
        "half(-1)",
        "Half a page up",
        "Half a page up",
        palette=False,
    ),
    _a("first", "list", "g home", "first", "First", "First row", palette=False),
    _a("last", "list", "G end", "last", "Last", "Last row", palette=False),
    _a(
        "column-right",
        "browse",
        "greater_than_sign right",
        "column(1)",
        "Next column",
        "Choose the column to sort by",
        palette=False,
    ),
    _a(
        "column-left",
        "browse",
        "less_than_sign left",
        "column(-1)",
        "Previous column",
        "Choose the column to sort by",
        palette=False,
    ),
    _a("sort", "browse", "s", "sort", "Sort", "Sort by the chosen column; again: reverse", 5),
    _a("filter", "browse", "slash", "filter", "Filter", "Filter as you type", 2),
    _a(
        "next-match",
        "browse",
        "n",
        "match(1)",
        "Next match",
        "Next row that matches the last filter",
    ),
    _a(
        "previous-match",
        "browse",
        "N",
        "match(-1)",
        "Previous match",
        "Previous row that matches the last filter",
    ),
    _a("enter", "list", "enter", "enter", "Read", "Into the detail pane", 1),
    _a(
        "clear",
        "list",
        "escape",
        "clear",
        "Clear",
        "Out of the detail, or clear the filter",
        palette=False,
    ),
    _a("open", "list", "o", "open", "Open", "Open the first link", 3),
    _a("copy-link", "list", "y", "copy_link", "Copy link", "Copy the first link", 4),
    _a("copy-bibtex", "browse", "Y", "copy_bibtex", "Copy BibTeX", "Copy a BibTeX record"),
    _a("links", "list", "l", "links", "Links", "Then a letter: open that link (capital: copy it)"),
    _a("relations", "list", "r", "relations", "Related", "Then a letter: jump to that entry", 6),
    _a("export", "list", "e", "export", "Export", "Write what is shown to a file"),
    _a("scroll-down", "detail", "j down", "scroll_lines(1)", "Down", "Scroll down", palette=False),
    _a("scroll-up", "detail", "k up", "scroll_lines(-1)", "Up", "Scroll up", palette=False),
    _a(
        "page-down",
        "detail",
        "ctrl+d pagedown space",
        "scroll_half(1)",
        "Half a page down",
        "Half a page down",
        palette=False,
    ),
    _a(
        "page-up",
        "detail",
        "ctrl+u pageup",
        "scroll_half(-1)",
        "Half a page up",
        "Half a page up",
        palette=False,
    ),
    _a("top", "detail", "g home", "scroll_edge(-1)", "Top", "To the top", palette=False),
    _a("bottom", "detail", "G end", "scroll_edge(1)", "Bottom", "To the end", palette=False),
    _a(
        "view",
        "leaderboard",
        "v",
        "view",
        "Recipes or results",
        "Switch between training recipes and the results matrix",
        1,
    ),
    _a(
        "zero-shot",
        "leaderboard",
        "z",
        "zero_shot",
        "Zero-shot only",
        "Show only scores known to be zero-shot",
        5,
    ),
    _a(
        "own",
        "leaderboard",
        "w",
        "own",
        "Your runs",
        "Show or hide your runs in the matrix",
        5,
    ),
    _a(
        "explore-own",
        "leaderboard",
        "x",
        "explore_own",
        "Explore",
        "Explore the queries and judgements of a run",
    ),
    _a(
        "remove-own",
        "leaderboard",
        "d delete",
        "remove",
        "Delete",
        "Delete a run (confirms)",
    ),
    _a("query-filter", "qrels", "slash", "filter", "Filter", "Filter the queries as you type", 2),
    _a(
        "query-sort",
        "qrels",
        "s",
        "sort",
        "Sort",
        "Sort by the chosen column, lowest first; again: reverse; again: unsorted",
        2,
    ),
    _a(
        "query-column-right",
        "qrels",
        "greater_than_sign right",
        "column(1)",
        "Next column",
        "Choose the column to sort by",
        palette=False,
    ),
    _a(
        "query-column-left",
        "qrels",
        "less_than_sign left",
        "column(-1)",
        "Previous column",
        "Choose the column to sort by",
        palette=False,
    ),
    _a("pair", "qrels", "p", "pair", "Pair", "Compare the next two modes in the last column", 3),
    _a("another", "qrels", "b", "another", "Benchmark", "Choose another benchmark", 4),
    _a("again", "qrels", "a", "again", "Run again", "Rank again with the present models"),
    _a("mark", "news", "m", "mark", "Read", "Mark the record as read, or not", 2),
    _a(
        "news-into-index",
        "news",
        "b",
        "into",
        "Into an index",
        "Put the record into an index, that of its watch or another",
        4,
    ),
    _a("mark-all", "news", "M", "mark_all", "All read", "Mark all news of this watch as read", 5),
    _a("everything", "news", "a", "everything", "All", "Show what was read, too, or not", 5),
    _a("star", "found", "space asterisk", "star", "Star", "Star the paper, or not", 1),
    _a("star-all", "found", "a", "star_all", "All", "Star all papers, or none", 3),
    _a(
        "into-index",
        "found",
        "b",
        "into",
        "Into an index",
        "Put the starred papers into an index, a new one or one that is there",
        2,
    ),
    _a("another-fetch", "found", "w", "fetch", "Fetch", "Ask a service for something else", 4),
    _a(
        "run",
        "start",
        "b",
        "run_step",
        "Run",
        "Run the step's evaluation here; while it runs: stop it (asks)",
        2,
    ),
    _a("benchmark", "start", "f", "benchmark", "Folder", "Choose the benchmark to run it on", 3),
    _a("done", "start", "space x", "done", "Done", "Mark the step as done, or not", 2),
    _a(
        "copy-command",
        "start",
        "c",
        "copy_command",
        "Copy command",
        "Copy the first command of the step",
        3,
    ),
    _a("query", "search", "slash i", "query", "Query", "Type a query", 1),
    _a("index", "search", "x", "next_index", "Index", "Search the next index", 2),
    _a(
        "mode",
        "search",
        "m",
        "mode",
        "Mode",
        "Search by hybrid (BM25 and dense), dense, or BM25",
        2,
    ),
    _a(
        "narrow",
        "search",
        "f",
        "narrow",
        "Filter",
        "Filter documents, as in: year:2015.. mesh:asthma has:abstract",
        2,
    ),
    _a(
        "facets",
        "search",
        "F",
        "facets",
        "Facets",
        "Years, journals, headings of the top hits; enter adds one to the filter or removes it",
        4,
    ),
    _a("order", "search", "s", "order", "Sort", "Best first, or newest first", 5),
    _a(
        "similar",
        "search",
        "M",
        "similar",
        "Similar",
        "Documents similar to this one; backspace or esc returns",
        4,
    ),
    _a(
        "rerank",
        "search",
        "R",
        "rerank",
        "Rerank",
        "Rerank the top 50 with a cross-encoder; esc cancels",
        5,
    ),
    _a(
        "beside",
        "search",
        "v",
        "beside",
        "Side by side",
        "BM25 on the left, dense on the right; v or esc returns",
        5,
    ),
    _a(
        "other-list",
        "search",
        "tab left right",
        "other_list",
        "Other list",
        "To the list beside this one, or to the page",
        palette=False,
    ),
    _a(
        "fetch-query",
        "search",
        "w",
        "fetch",
        "Fetch",
        "Fetch this query from PubMed, Europe PMC or arXiv, into an index or as a preview",
        4,
    ),
    _a("earlier", "ask", "up", "earlier", "Earlier", "The previous query", palette=False),
    _a("later", "ask", "down", "later", "Later", "The next query; then to the hits", palette=False),
    _a(
        "recall",
        "ask",
        "ctrl+r",
        "recall",
        "Recall",
        "An earlier query that contains this text; again: the one before it",
        palette=False,
    ),
    _a("build", "indexes", "b", "build", "Build", "Build an index over files of yours", 1),
    _a(
        "use", "indexes", "x", "use", "Search it", "Search in this index; also enter on its page", 2
    ),
    _a("add", "indexes", "a", "add_files", "Add", "Add files to this index", 2),
    _a(
        "fetch",
        "indexes",
        "w",
        "fetch",
        "Fetch",
        "Fetch papers into an index, from PubMed, Europe PMC or arXiv",
        1,
    ),
    _a("verify", "indexes", "v", "verify", "Verify", "Check every part of this index", 2),
    _a(
        "compact",
        "indexes",
        "c",
        "compact",
        "Compact",
        "Write this index anew without what was replaced or deleted",
        2,
    ),
    _a("remove", "indexes", "d delete", "remove", "Remove", "Remove this index; asks first", 2),
    _a(
        "stop",
        "indexes",
        "s",
        "stop",
        "Stop",
        "Stop the work that runs (asks), or take this index's out of the queue",
        2,
    ),
    _a("take", "files", "space", "take", "Take", "Take the file or the whole folder, or not", 1),
    _a("into", "files", "enter right l", "into", "Open", "Open the folder, or take the file", 3),
    _a("out", "files", "left h", "out", "Up", "The folder above", 4),
    _a("take-all", "files", "a", "take_all", "All", "Take all files that are shown, or none", 6),
    _a("path", "files", "slash", "path", "Path", "Type a path or part of a name; tab completes", 5),
    _a("hidden", "files", "full_stop", "hidden", "Hidden", "Show hidden files, or not", 7),
    _a("start", "files", "b", "start", "Start", "Begin with what was taken", 2),
    _a("files-down", "files", "j down", "move(1)", "Down", "Next row", palette=False),
    _a("files-up", "files", "k up", "move(-1)", "Up", "Previous row", palette=False),
    _a(
        "files-page-down",
        "files",
        "ctrl+d pagedown",
        "half(1)",
        "Half a page down",
        "Half a page down",
        palette=False,
    ),
    _a(
        "files-page-up",
        "files",
        "ctrl+u pageup",
        "half(-1)",
        "Half a page up",
        "Half a page up",
        palette=False,
    ),
    _a("files-first", "files", "g home", "edge(-1)", "First", "First row", palette=False),
    _a("files-last", "files", "G end", "edge(1)", "Last", "Last row", palette=False),
    _a("accept", "line", "enter", "accept", "Accept", "Keep it and go to the list", palette=False),
    _a("cancel", "line", "escape", "cancel", "Cancel", "Take it back", palette=False),
)


def in_scope(scope: str) -> tuple[Action, ...]:
    """The actions of one scope, in registry order."""
    return tuple(action for action in ACTIONS if action.scope == scope)


def shown_key(key: str) -> str:
    """A key as a reader writes it: `question_mark` is `?`, `escape` is `esc`."""
    names = {
        "question_mark": "?", "slash": "/", "escape": "esc", "greater_than_sign": ">",
        "less_than_sign": "<", "pagedown": "pgdn", "pageup": "pgup", "left": "←",
        "right": "→", "up": "↑", "down": "↓", "full_stop": ".", "asterisk": "*",
    }  # fmt: skip
    return names.get(key, key)


FORBIDDEN = frozenset(f"ctrl+{letter}" for letter in "abjoqsz")
"""Keys that terminals, tmux and screen keep for themselves; no default uses one."""
