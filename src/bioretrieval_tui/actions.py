"""The one table of actions: bindings, palette, footer, help and `bioretrieval-tui keys` follow it.

`ACTIONS` has the keys of the program; what is in force (`in_force`, `in_scope`) may have those of
`config.toml` and the user's own commands (`use`).

A line of `_TABLE` is an action, under the scope in which it works: id, keys, Textual action, label,
help, and its place in the bottom line ("-": neither there nor in the palette).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

import msgspec
from msgspec.structs import replace


class Action(msgspec.Struct, frozen=True):
    """One thing a key does. name: the Textual action; keys: in Textual's spelling, first shown, a
    space between those of a sequence; origin: what set the keys, if not the program."""

    id: str
    scope: str
    keys: tuple[str, ...]
    name: str
    label: str
    help: str
    footer: int = 0
    palette: bool = True
    origin: str = ""

    @property
    def shown(self) -> str:
        """The first key as a reader writes it."""
        return shown_key(self.keys[0]) if self.keys else ""


SCOPES: dict[str, str] = {
    "everywhere": "Everywhere",
    "home": "On Home",
    "list": "In a list",
    "browse": "In a list of the catalogue",
    "marking": "To compare rows",
    "evaluating": "On a benchmark or a model",
    "noting": "To keep on your shelf",
    "reading": "While reading a page",
    "detail": "In the detail pane",
    "timeline": "In Evolution",
    "models": "In Models",
    "leaderboard": "On the leaderboard",
    "qrels": "While exploring a benchmark",
    "news": "In News",
    "found": "Among papers that were found",
    "shelf": "In Shelf",
    "start": "In Get started",
    "search": "In Search",
    "facets": "In the facets",
    "ask": "While typing a query",
    "indexes": "In Indexes",
    "dialog": "In a dialog",
    "text": "In help, a log or an output",
    "help": "In help",
    "question": "In a question",
    "column-choice": "While choosing columns",
    "index-choice": "While choosing indexes",
    "plan": "While planning an evaluation",
    "training": "While planning a training",
    "note-dialog": "While noting",
    "note-line": "While typing a note",
    "begin": "While choosing what to build or run",
    "files": "While choosing files",
    "comparison": "In a comparison",
    "plot": "On a plot",
    "line": "While typing a filter",
    "path": "While typing a path",
    "field": "While typing in a dialog",
    "editing": "While typing anywhere",
    "choice": "On a choice of a dialog",
    "model-choice": "On the model of a dialog",
    "buttons": "On the buttons of a dialog",
}

_ON_PANES = tuple(SCOPES)[: tuple(SCOPES).index("dialog")]
"""Scopes of panes; those behind them are of dialogs and lines."""

PANES: tuple[tuple[str, str, str], ...] = (
    ("home", "Home", "What this is, what is new, where to start"),
    (
        "timeline",
        "Evolution",
        "Milestones by year and era, and the lineage of models",
    ),
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

MORE_PANES: tuple[tuple[str, str, str], ...] = (
    ("news", "news", "News"), ("found", "found", "Found"), ("qrels", "explore", "Explore"),
    ("shelf", "shelf", "Shelf"),
)  # fmt: skip
"""(pane, action that leads there, title) of those behind the digits."""

DIGITS: dict[str, str] = {pane: str(n % 10) for n, (pane, _, _) in enumerate(PANES, 1)}
"""The key of each pane: 1 to 9, and 0 behind them as on the keyboard."""

SHORT_TITLES: dict[str, str] = {
    "timeline": "Evol", "datasets": "Data", "benchmarks": "Bench", "leaderboard": "Board",
    "path": "Start", "indexes": "Index",
}  # fmt: skip
"""Titles for a narrow terminal, where they differ."""


_TABLE = """
[everywhere]
palette | ctrl+p | palette | Palette | Find an action, an entry, an index or a theme by name | 7
help | question_mark f1 | help | Help | The keys of this screen | 8
back | backspace alt+left | back | Back | Return to where the last jump came from
theme | t | theme | Theme | Choose the colours: dark, light, those of the terminal
explore | E | explore | Explore a benchmark | Queries, judgements, ranks and nDCG@10 by each mode
stop-evaluation | X | stop_evaluation | Stop | Stop the running evaluation or training (confirms)
news | W | go('news') | News | New records of your watches
found | P | go('found') | Found | Papers that an online search found
shelf | K | go('shelf') | Shelf | What you starred, tagged and annotated; saved searches
saved | apostrophe | saved | Saved searches | Then a letter: show that search or filter again
keep-place |  | keep_place | Keep this place | Then a letter: keep pane and row for the session
return-to-place |  | go_to_place | Go to a place | Then a letter: return to what was kept under it
redraw | ctrl+l | redraw | Redraw | Redraw the screen
undo | u | undo | Undo | Restore the last filter, marks, run or index that was removed
quit | q ctrl+c | quit | Quit | Quit; jobs can go on in the background | 9
[home]
home-enter | enter | enter | Open | Go to what the row shows | 1
home-search | slash i | search | Search | Type a query in Search | 2
home-down | j down | move(1) | Down | Next row | -
home-up | k up | move(-1) | Up | Previous row | -
home-half-down | ctrl+d pagedown space | half(1) | Half a page down | Half a page down | -
home-half-up | ctrl+u pageup | half(-1) | Half a page up | Half a page up | -
home-first | g home | edge(-1) | First | First row | -
home-last | G end | edge(1) | Last | Last row | -
[list]
down | j down | move(1) | Down | Next row; 5j within 0.4 s moves five, as before any motion | -
up | k up | move(-1) | Up | Previous row | -
half-down | ctrl+d pagedown | half(1) | Half a page down | Half a page down | -
half-up | ctrl+u pageup | half(-1) | Half a page up | Half a page up | -
page-forward |  | half(2) | Page down | A page down | -
page-back |  | half(-2) | Page up | A page up | -
first | g home | edge(-1) | First | First row | -
last | G end | edge(1) | Last | Last row | -
centre |  | centre | Centre | Scroll so that the row is in the middle | -
enter | enter | enter | Read | Show its page | 1
clear | escape | clear | Clear | Close the page, or clear the filter | -
open | o | open | Open | Open the first link in the browser | 3
copy-link | y | copy_link | Copy link | Copy the first link to the clipboard | 4
links | l | letter('link') | Links | Then a letter: open that link (capital: copy it)
relations | r | letter('related') | Related | Then a letter: jump to that entry | 6
export | e | export | Export | Save the list to a file: Markdown, CSV, JSON, BibTeX, LaTeX
wider-list | ctrl+right | split(1) | Wider list | Move the split: a wider list, a narrower page
wider-page | ctrl+left | split(-1) | Wider page | Move the split: a wider page, a narrower list
zoom | z | zoom | Zoom | The page full screen; again: the list; again: both
next-section | right_square_bracket | section(1) | Next section | Go to the next section of the page
previous-section | left_square_bracket | section(-1) | Previous section | Go to the section before
[browse]
column-right | greater_than_sign right | column(1) | Next column | Choose the sort column | -
column-left | less_than_sign left | column(-1) | Previous column | Choose the sort column | -
sort | s | sort | Sort | Sort by the chosen column; again: reverse | 5
columns | C | columns | Columns | Choose and order columns, or the usual; on the board they rank
filter | slash | filter | Filter | Filter as you type | 2
next-match | n | match(1) | Next match | Next row that matches the last filter
previous-match | N | match(-1) | Previous match | Previous row that matches the last filter
copy-bibtex | Y | copy_bibtex | Copy BibTeX | Cite the entry: copy its BibTeX record
[marking]
mark-row | space | mark_row | Mark | Mark or unmark the row, to compare two to six | 6
compare | equals_sign | compare | Compare | Compare the marked rows; two runs with a p value
unmark | U | unmark | Unmark all | Unmark all rows of this kind
[evaluating]
evaluate | b | evaluate | Evaluate | Evaluate here: benchmarks, models or folders, modes | 5
train | T | train | Train | Train here: by this recipe, from this model, on this benchmark | 7
[comparison]
comparison-down | j down | move(1) | Down | Next row | -
comparison-up | k up | move(-1) | Up | Previous row | -
comparison-half-down | ctrl+d pagedown space | half(1) | Half a page down | Half a page down | -
comparison-half-up | ctrl+u pageup | half(-1) | Half a page up | Half a page up | -
comparison-first | g home | edge(-1) | First | First row | -
comparison-last | G end | edge(1) | Last | Last row | -
comparison-right | right l greater_than_sign | column(1) | Column | Next column | 3
comparison-left | left h less_than_sign | column(-1) | Column | Previous column | -
fold | f | fold | Fold | Fold or show the rows in which all are equal | 1
section | tab | section | Section | Scores, facts, recipe | 2
comparison-export | e | export | Export | Write it to a file | 4
comparison-close | escape q equals_sign | close | Close | Close it | 5
comparison-help | question_mark f1 | help | Help | The keys of this screen | 6
[noting]
star | asterisk | star | Star | Star or unstar it
note | full_stop | note | Note | Reading status, tags and note
[reading]
leave-page | escape | clear | Back | Back to the list | 1
page-section | right_square_bracket | section(1) | Next section | Go to the next section | 1
page-links | l | letter('link') | Links | Then a letter: open that link (capital: copy it) | 2
page-related | r | letter('related') | Related | Then a letter: jump to that entry | 2
read-on | enter | enter | Read on | Half a page down; in Indexes: search it | -
[detail]
scroll-down | j down | scroll_lines(1) | Down | Scroll down | -
scroll-up | k up | scroll_lines(-1) | Up | Scroll up | -
page-down | ctrl+d pagedown space | scroll_half(1) | Half a page down | Half a page down | -
page-up | ctrl+u pageup | scroll_half(-1) | Half a page up | Half a page up | -
page-forward-reading |  | scroll_half(2) | Page down | A page down | -
page-back-reading |  | scroll_half(-2) | Page up | A page up | -
top | g home | scroll_edge(-1) | Top | To the top | -
bottom | G end | scroll_edge(1) | Bottom | To the end | -
[timeline]
lineage | v | view | Lineage | Switch between the timeline and the lineage of models | 2
[models]
resume-training | p | resume | Resume | Go on with a training of yours that was ended | 3
finish-training | F | finish | Finish | End a training of yours with its best weights so far | 3
remove-model | d delete | remove | Delete | Delete a model of yours (confirms) | 5
listed | a | listed | Listed models | Show or hide the models of the board that are not curated | 2
[leaderboard]
view | v | view | Recipes/models | Switch between training recipes and models by benchmarks | 1
heat | m | heat | Heatmap | A cell a score, all benchmarks at once; again: numbers | 2
rank | R | rank | Rank | Rank by mean, mean rank (lower is better) or Borda count (points) | 4
plot | p | plot | Plot | Plot the models over the columns that rank; kinds and axes by keys | 5
complete | c | complete | Complete | Only models with a score in each column that ranks | 6
zero-shot | Z | zero_shot | Zero-shot | Only scores known to be zero-shot | 6
measured | S | measured | Self-reported | Show or hide scores that authors report on a model card
export-long | L | export_long | Export scores | Write the scores that are shown, a row a score
own | w | own | Your runs | Your own runs before the models, newest first; again: hide them | 2
explore-own | x | explore_own | Explore | Explore the queries and judgements of a run
remove-own | d delete | remove | Delete | Delete a run (confirms)
[qrels]
query-filter | slash | filter | Filter | Filter the queries as you type | 2
query-sort | s | sort | Sort | Sort by the chosen column: ascending, descending, off | 2
query-column-right | greater_than_sign right | column(1) | Next column | Choose the sort column | -
query-column-left | less_than_sign left | column(-1) | Previous column | Choose the sort column | -
pair | p | pair | Pair | Compare the next two modes in the last column | 3
another | b | app.ask_what_to_explore | Benchmark | Choose another benchmark | 4
again | a | again | Run again | Rank again with the present models
[news]
mark | m | mark | Read | Mark the record as read or unread | 2
news-into-index | b | into | Into an index | Add the record to an index | 4
mark-all | M | mark_all | All read | Mark all news of this watch as read | 5
everything | a | everything | All | Show or hide what was read | 5
[found]
star-paper | space | star | Star | Star or unstar the paper | 1
star-all | a | star_all | All | Star all papers, or none | 3
into-index | b | into | Into an index | Add the starred papers to an index | 2
another-fetch | w | fetch | Fetch | Search a service again | 4
[shelf]
shelf-filter | slash | filter | Filter | Filter: words, is:starred status:reading tag:x | 2
shelf-sort | s | sort | Sort | Sort by the chosen column: ascending, descending, newest first | 2
shelf-column-right | greater_than_sign right | column(1) | Next column | Choose the sort column | -
shelf-column-left | less_than_sign left | column(-1) | Previous column | Choose the sort column | -
take-off | d delete | remove | Remove | Remove it from the shelf, or the saved search | 5
[start]
run | b | run_step | Run | Run the evaluation of the step, or train; again: stop it (confirms) | 2
benchmark | f | benchmark | Folder | Choose the benchmark folder to run it on | 3
fetch-benchmark | w | fetch_benchmark | Fetch | Fetch the step's benchmark | 3
done | space x | done | Done | Mark the step as done or not done | 2
copy-command | c | copy_command | Copy command | Copy the first command of the step | 3
[search]
query | slash i | query | Query | Type a query, or a PMID, PMCID, DOI or trial number | 1
index | x | choose_index | Index | Search another index, or several at once | 2
mode | m | mode | Mode | Search by hybrid (BM25 and dense), dense, or BM25 | 2
narrow | f | filter | Filter | Filter documents: year:2015.. mesh:asthma has:abstract | 2
facets | F | facets | Facets | Years, journals, headings of the top hits, to filter by | 4
order | s | order | Sort | Best first, or newest first | 3
similar | M | similar | Similar | Documents similar to this one; backspace or esc returns | 4
rerank | R | rerank | Rerank | Rerank the top 50 by a reranker (cross-encoder); esc cancels | 5
beside | v | beside | Side by side | BM25 on the left, dense on the right; v or esc returns | 5
other-list | tab left right | other_list | Other list | The list beside this one, or the page | -
fetch-query | w | fetch | Fetch | Fetch this query into an index, or as a preview | 4
[facets]
facet | enter | enter | Filter by it | Filter the hits by this value, or no longer | 1
close-facets | F | facets | Close | Close the facets; esc, too | 1
to-the-hits | tab left right | other_list | Hits | To the hits; tab returns | 1
[ask]
hits | enter | submit | Hits | Go to the hits | 1
undo-query | escape | cancel | Undo | Undo the edit of the query, and go to the hits | 2
earlier | up | earlier | Earlier | The previous query | 3
later | down | later | Later | The next query; then to the hits | 3
keep-query | ctrl+t | app.keep_search | Save | Save query, filter and indexes under a letter | 5
recall | ctrl+r | recall | Recall | Search earlier queries; again: the one before | 4
[indexes]
build | b | build | Build | Build an index from files | 1
use | x slash | use | Search it | Search in this index | 2
evaluate-index | B | evaluate | Evaluate | Evaluate this index on a benchmark | 3
train-index | T | train | Train | Train a model on the texts of this index | 4
add | a | add_files | Add | Add files to this index | 2
fetch | w | fetch | Fetch | Fetch papers from PubMed, Europe PMC or arXiv into an index | 1
verify | v | verify | Verify | Check every part of this index | 2
compact | c | compact | Compact | Rewrite this index without deleted documents | 2
remove | d delete | remove | Delete | Delete this index (confirms) | 2
vectors | V | vectors | Add vectors | Encode an index that was built for BM25 alone: embeddings
cached | H | cached | Evaluations | Show or hide the indexes that evaluations made
stop | s | stop | Stop | Stop the running job (confirms), or drop a waiting one | 2
resume | p | resume | Resume | Resume the job of this index that was stopped or failed
log | L | log | Log | Show the log of the last job of this index
[dialog]
dialog-close | escape | close | Close | Close the dialog; nothing is changed
next-part | tab | app.focus_next | Next field | Next field, list or buttons
previous-part | shift+tab | app.focus_previous | Previous field | Field, list or buttons before
dialog-down | j down | move(1) | Down | Next row, or next field
dialog-up | k up | move(-1) | Up | Previous row, or field before
dialog-page-down | ctrl+d pagedown | move(10) | Ten rows down | Ten rows down
dialog-page-up | ctrl+u pageup | move(-10) | Ten rows up | Ten rows up
dialog-first | g home | edge(-1) | First | First row
dialog-last | G end | edge(1) | Last | Last row
[text]
text-close | q enter question_mark f1 | close | Close | Close it
[help]
help-search | slash | search | Search | Search keys, and words of what they do
[question]
yes | y | answer(True) | Yes | What the first button says
no | n | close | No | Close the question; nothing is changed
third-answer | s | answer(False) | Third answer | What the button in the middle says
[column-choice]
column-take | space | take | Choose | Choose the column, or no longer
column-later | J shift+down | shift(1) | Later | Move the chosen column down
column-earlier | K shift+up | shift(-1) | Earlier | Move the chosen column up
columns-usual | a | reset | Usual | The usual columns
column-find | slash | find | Find | Find a column by its name
columns-accept | enter | accept | Accept | Show the chosen columns
[index-choice]
index-take | space | take | Select | Select the index, or no longer
indexes-search | enter | accept | Search | Search the selected indexes
[plan]
plan-take | space | take | Select | Select benchmark or model, or no longer
plan-fetch | w | fetch | Fetch | Fetch the benchmark now, or the model with its evaluation
plan-find | slash | find | Find | Find by name, or add a path
plan-run | enter | accept | Run | Evaluate what is selected
[training]
training-take | space | take | Choose | Train on what is under the cursor
training-fetch | w | fetch | Fetch | Fetch the benchmark now
training-find | slash | find | Find | Find by name, or add a path
training-examples | x | examples | Examples | Show pairs that would be trained on
training-run | enter | accept | Train | Train what is chosen
[note-dialog]
note-save | enter | accept | Save | Save status, tags and note
[note-line]
note-edit | ctrl+e | screen.edit | Editor | Open the note in $EDITOR
[begin]
begin | enter | begin | Begin | Begin with what is selected | 1
[files]
take | space | take | Select | Select the file or the whole folder, or deselect it | 1
into | enter | into | Open | Open the folder, or select the file; on what is selected: start | 2
inside | right l | inside | Inside | Open the folder, also a benchmark's | -
out | left h | out | Up | The folder above | 4
take-all | a | take_all | All | Select all files shown, or none | 7
name | i | name | Name | Type part of a name; tab completes | 6
path | slash | path('/') | Path | Type a path; tab completes | 5
path-home | tilde | path('~') | Path from home | Type a path from the home folder; tab completes | -
hidden | full_stop | hidden | Hidden | Toggle hidden files | 8
start | b | start | Start | Start with the selected files | 3
files-down | j down | move(1) | Down | Next row | -
files-up | k up | move(-1) | Up | Previous row | -
files-page-down | ctrl+d pagedown | half(1) | Half a page down | Half a page down | -
files-page-up | ctrl+u pageup | half(-1) | Half a page up | Half a page up | -
files-first | g home | edge(-1) | First | First row | -
files-last | G end | edge(1) | Last | Last row | -
[plot]
next-point | right l down j | point(1) | Next | Next point to the right, or next bar | 1
previous-point | left h up k | point(-1) | Previous | Previous point or bar | -
first-point | g home | point_edge(-1) | First | First point or bar | -
last-point | G end | point_edge(1) | Last | Last point or bar | -
next-on-front | n | front(1) | Front | Next point of the front | 3
previous-on-front | N | front(-1) | Previous | Previous point of the front | -
plot-read | enter | enter | Read | Show the page of the model under the cursor | 2
plot-kind | v | kind | Kind | Pareto front, history, profile of the model, your runs | 2
plot-axis | x | axis | X axis | Parameters, dimension, release date, memory | 2
plot-export | e | export | Export | Write a picture (.svg .png .txt) or the data (.csv .md) | 3
plot-close | escape q | close | Close | Close the plot | 4
plot-help | question_mark f1 | help | Help | The keys of this screen | 5
[line]
accept | enter | submit | Accept | Apply the filter and go to the list | 1
cancel | escape | cancel | Undo | Undo the edit; without one: clear the filter | 2
keep-filter | ctrl+t | app.keep_search | Save | Save the filter under a letter | 4
line-down | down | leave(1) | Down | Next row of the list | 3
line-up | up | leave(-1) | Up | Previous row of the list | 3
[path]
open-path | enter | submit | Open | Open the folder, or select the file | 1
complete-path | tab | complete | Complete | Complete the path; then to the files | 2
to-files | down | leave(1) | Files | To the files | 3
close-path | escape | cancel | Cancel | Close the dialog | 4
[field]
next-field | enter | submit | Next | Next field | 1
field-down | down | leave(1) | Next | Next field | 1
field-up | up | leave(-1) | Previous | Previous field | 2
close-field | escape | cancel | Cancel | Close the dialog | 3
[editing]
cursor-left | left | cursor_left | Left | A character to the left
cursor-right | right | cursor_right | Right | A character to the right
word-left | ctrl+left | cursor_left_word | Word left | A word to the left
word-right | ctrl+right | cursor_right_word | Word right | A word to the right
line-start | home | home | Start | To the start of the line
line-end | end ctrl+e | end | End | To the end of the line
delete-left | backspace | delete_left | Delete | Delete the character before the cursor
delete-right | delete ctrl+d | delete_right | Delete | Delete the character under the cursor
delete-word | ctrl+w | delete_left_word | Delete word | Delete the word before the cursor
delete-to-start | ctrl+u | delete_left_all | Delete to start | Delete all before the cursor
delete-to-end | ctrl+k | delete_right_all | Delete to end | Delete all from the cursor on
[choice]
next-choice | right l space | step(1) | Next | The next one | 2
previous-choice | left h | step(-1) | Previous | The one before
[model-choice]
choose-model | enter space left right h l | choose | Choose | Choose a model from a list | 1
[buttons]
press | enter space | press | Press | Press the chosen button | 1
next-button | right l | choose(1) | Next | The button to the right | 2
previous-button | left h | choose(-1) | Previous | The button to the left
"""


def _parsed(table: str) -> Iterator[Action]:
    """The actions of the table: id | keys | name | label | help, then footer place or "-"."""
    yield from (
        Action(f"go-{pane}", "everywhere", (key, f"alt+{key}"), f"go('{pane}')", title, text)
        for pane, title, text in PANES
        for key in (DIGITS[pane],)
    )
    scope = ""
    for line in table.split("\n"):
        if line.startswith("["):
            scope = line.strip("[]")
        elif line:
            identifier, keys, name, label, text, *place = line.split(" | ")
            footer = int(place[0]) if place and place[0] != "-" else 0
            yield Action(
                identifier, scope, tuple(keys.split()), name, label, text, footer, place != ["-"]
            )


ACTIONS: tuple[Action, ...] = tuple(_parsed(_TABLE))


_in_force: tuple[Action, ...] = ACTIONS


def use(actions: tuple[Action, ...]) -> None:
    """Put actions in force: `ACTIONS` with other keys, and more."""
    global _in_force
    _in_force = actions


def in_force() -> tuple[Action, ...]:
    return _in_force


def in_scope(scope: str) -> tuple[Action, ...]:
    """The actions in force of one scope, in registry order."""
    return tuple(action for action in _in_force if action.scope == scope)


def key_of(identifier: str) -> str:
    """The first key in force of an action, as a reader writes it."""
    return next((action.shown for action in _in_force if action.id == identifier), "")


def keyed(text: str) -> str:
    """A text with the keys of the actions that it names in braces; the label of one without."""
    shown = {action.id: action.shown or action.label for action in _in_force}
    return re.sub(r"\{([a-z-]+)\}", lambda match: shown.get(match[1], match[0]), text)


SIGNS = {
    "exclamation_mark": "!", "quotation_mark": '"', "number_sign": "#", "dollar_sign": "$",
    "percent_sign": "%", "ampersand": "&", "apostrophe": "'", "left_parenthesis": "(",
    "right_parenthesis": ")", "asterisk": "*", "plus": "+", "comma": ",", "minus": "-",
    "full_stop": ".", "slash": "/", "colon": ":", "semicolon": ";", "less_than_sign": "<",
    "equals_sign": "=", "greater_than_sign": ">", "question_mark": "?", "at": "@",
    "left_square_bracket": "[", "backslash": "\\", "right_square_bracket": "]",
    "circumflex_accent": "^", "underscore": "_", "grave_accent": "`", "left_curly_bracket": "{",
    "vertical_line": "|", "right_curly_bracket": "}", "tilde": "~", "space": "space",
}  # fmt: skip
"""Names of keys that write a character into a line."""
_NAMES = {
    "escape": "esc", "pagedown": "pgdn", "pageup": "pgup", "left": "←", "right": "→", "up": "↑",
    "down": "↓", "ctrl+right": "ctrl+→", "ctrl+left": "ctrl+←",
}  # fmt: skip


PANE_OF_SCOPE: dict[str, str] = {
    scope: "path" if scope == "start" else scope
    for scope in ("timeline", "models", "leaderboard", "qrels", "news", "found", "shelf", "start",
                  "search", "indexes")
}  # fmt: skip
"""The pane of the scopes that belong to one."""


_OF_PANES = {
    "home": "home", "timeline": "timeline list browse noting",
    "papers": "list browse noting marking", "datasets": "list browse noting marking",
    "models": "models evaluating list browse noting marking",
    "benchmarks": "evaluating list browse noting marking", "path": "start list browse noting",
    "leaderboard": "leaderboard evaluating list browse noting marking",
    "search": "search facets noting list", "indexes": "indexes list", "qrels": "qrels list",
    "news": "news noting list", "found": "found noting list", "shelf": "shelf noting list",
}  # fmt: skip
READING = ("reading", "detail")
"""Scopes of the page beside a list."""
TOGETHER: dict[str, frozenset[str]] = {
    pane: frozenset(
        (*scopes.split(), f"commands in {pane}", "everywhere", *READING[: 2 * ("list" in scopes)])
    )
    for pane, scopes in _OF_PANES.items()
}
"""Scopes that work at once, by pane."""
AT_ONCE: tuple[frozenset[str], ...] = (
    *TOGETHER.values(),
    frozenset(("line", "editing")),
    frozenset(("ask", "editing")),
    *(
        frozenset(("dialog", *scopes.split()))
        for scopes in (
            "text help detail field editing", "question buttons", "column-choice field editing",
            "index-choice", "plan field editing choice buttons",
            "training field editing choice buttons model-choice", "comparison", "plot",
            "note-dialog note-line field editing choice buttons",
            "begin files path field editing choice model-choice buttons",
        )
    ),
)  # fmt: skip
"""Scopes that work at once, in panes, lines and dialogs."""


def commands_in(pane: str) -> str:
    """The scope of the user's commands for one pane."""
    return f"commands in {pane}"


def scope_title(scope: str) -> str:
    titles = {f"commands in {pane}": title for pane, title, _ in (*PANES, *MORE_PANES)}
    return SCOPES.get(scope) or f"Your commands in {titles.get(scope, scope)}"


def title_of(scope: str) -> tuple[str, str]:
    """The title and the key of the pane of a scope."""
    known = [(pane, title, key_of(f"go-{pane}")) for pane, title, _ in PANES]
    known += [(pane, title, key_of(action)) for pane, action, title in MORE_PANES]
    return next(found[1:] for found in known if found[0] == PANE_OF_SCOPE[scope])


def shown_key(key: str) -> str:
    """A key as a reader writes it: `question_mark` is `?`, `escape` is `esc`."""
    return " ".join((SIGNS | _NAMES).get(one, one) for one in key.split(" "))


def while_typing(actions: Iterable[Action], taken: Collection[str]) -> Iterator[Action]:
    """The actions whose keys work while a line has the focus, with those keys only. taken: the
    keys of the line."""
    for action in actions:
        first = ((key, key.partition(" ")[0]) for key in action.keys)
        keys = [key for key, one in first if len(one) > 1 and one not in SIGNS]
        if keys := [key for key in keys if key not in taken]:
            yield replace(action, keys=tuple(keys))


def idle_key(key: str, working: Iterable[Action]) -> str:
    """What to say of a key that does nothing: where it works; "" for one that does something."""
    if any(key in action.keys for action in working):
        return ""
    places: dict[str, str] = {}
    for one in _in_force:
        if key in one.keys and one.scope in _ON_PANES:
            where = SCOPES[one.scope]
            places.setdefault(one.label, f"{one.label} {where[0].lower()}{where[1:]}")
    known = ", ".join(places.values())
    where = f"it is {known}" if known else f"{key_of('help')} lists the keys"
    return f"{shown_key(key)} does nothing here; {where}"


def untaken(actions: Iterable[Action]) -> Iterator[Action]:
    """The actions with those of their keys that belong to no action before them, if any."""
    taken: set[str] = set()
    for action in actions:
        if keys := tuple(key for key in action.keys if key not in taken):
            taken.update(keys)
            yield action if keys == action.keys else replace(action, keys=keys)


FORBIDDEN = frozenset(f"ctrl+{letter}" for letter in "abjoqsz")
"""Keys that terminals, tmux and screen keep for themselves; no default uses one."""
