"""The registry of actions against what the widgets really do with keys."""

from __future__ import annotations

import re
from collections import defaultdict
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest
from driving import make_app, running
from textual.binding import Binding, BindingsMap
from textual.widget import Widget

import bioretrieval_tui
from bioretrieval_tui.actions import (
    ACTIONS,
    AT_ONCE,
    DIGITS,
    FORBIDDEN,
    MORE_PANES,
    PANES,
    SCOPES,
    SHORT_TITLES,
    TOGETHER,
    Action,
    commands_in,
    in_scope,
    shown_key,
)
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.app import BioRetrievalApp
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.column_dialog import ColumnDialog
from bioretrieval_tui.tui.dialogs.comparison_dialog import ComparisonDialog
from bioretrieval_tui.tui.dialogs.dialog import (
    Confirm,
    Dialog,
    ExportDialog,
    FieldLabel,
    PageDialog,
)
from bioretrieval_tui.tui.dialogs.evaluation_dialog import EvaluationDialog
from bioretrieval_tui.tui.dialogs.fetch_dialogs import FetchDialog, IntoDialog
from bioretrieval_tui.tui.dialogs.file_dialogs import BenchmarkDialog, FilesDialog
from bioretrieval_tui.tui.dialogs.help_dialog import HelpDialog, help_blocks
from bioretrieval_tui.tui.dialogs.index_dialog import IndexDialog
from bioretrieval_tui.tui.dialogs.model_dialog import ModelDialog, ModelLine
from bioretrieval_tui.tui.dialogs.note_dialog import LetterDialog, NoteDialog, NoteLine
from bioretrieval_tui.tui.dialogs.palette import Palette
from bioretrieval_tui.tui.dialogs.plot_dialog import PlotDialog
from bioretrieval_tui.tui.dialogs.training_dialog import TrainingDialog
from bioretrieval_tui.tui.panes.browse import BenchmarksPane, BrowsePane, EntryPane, ModelsPane
from bioretrieval_tui.tui.panes.classes import PANE_CLASSES as MODULES
from bioretrieval_tui.tui.panes.evolution import EvolutionPane, TimelineCanvas
from bioretrieval_tui.tui.panes.found import FoundPane
from bioretrieval_tui.tui.panes.home import HomeHead, HomePane
from bioretrieval_tui.tui.panes.index_list import IndexesPane
from bioretrieval_tui.tui.panes.leaderboard import LeaderboardPane
from bioretrieval_tui.tui.panes.news_list import NewsPane
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.panes.qrels_pane import QrelsPane
from bioretrieval_tui.tui.panes.search_pane import SearchPane
from bioretrieval_tui.tui.panes.shelf_pane import ShelfPane
from bioretrieval_tui.tui.panes.start import StartPane
from bioretrieval_tui.tui.widgets.bars import HeadLine, NavBar, StatusBar, TooSmall, WorkBar
from bioretrieval_tui.tui.widgets.canvas import BaseScreen, Detail, SideBySide
from bioretrieval_tui.tui.widgets.input import AskLine, Buttons, QueryLine, Stepper
from bioretrieval_tui.tui.widgets.picker import FilePicker, PathLine
from bioretrieval_tui.tui.widgets.plot_view import PlotView
from bioretrieval_tui.tui.widgets.table import VirtualTable

HANDLERS: dict[str, tuple[type, ...]] = {
    "everywhere": (BioRetrievalApp,),
    "home": (HomePane,),
    "list": (
        BrowsePane,
        BenchmarksPane,
        EvolutionPane,
        ModelsPane,
        LeaderboardPane,
        StartPane,
        SearchPane,
        IndexesPane,
        QrelsPane,
        NewsPane,
        FoundPane,
        ShelfPane,
    ),
    "browse": (BrowsePane, BenchmarksPane, EvolutionPane, LeaderboardPane, StartPane),
    "marking": (BrowsePane, BenchmarksPane, ModelsPane, LeaderboardPane),
    "evaluating": (BenchmarksPane, ModelsPane, LeaderboardPane),
    "noting": (
        BrowsePane,
        BenchmarksPane,
        ModelsPane,
        EvolutionPane,
        LeaderboardPane,
        StartPane,
        SearchPane,
        NewsPane,
        FoundPane,
        ShelfPane,
    ),
    "shelf": (ShelfPane,),
    "comparison": (ComparisonDialog,),
    "reading": (Pane,),
    "detail": (Detail,),
    "timeline": (EvolutionPane,),
    "models": (ModelsPane,),
    "leaderboard": (LeaderboardPane,),
    "start": (StartPane,),
    "search": (SearchPane,),
    "facets": (SearchPane,),
    "ask": (AskLine,),
    "indexes": (IndexesPane,),
    "qrels": (QrelsPane,),
    "news": (NewsPane,),
    "found": (FoundPane,),
    "files": (FilePicker,),
    "plot": (PlotDialog,),
    "dialog": (Dialog,),
    "text": (PageDialog, HelpDialog),
    "help": (HelpDialog,),
    "question": (Confirm,),
    "column-choice": (ColumnDialog,),
    "index-choice": (IndexDialog,),
    "plan": (EvaluationDialog,),
    "training": (TrainingDialog,),
    "note-dialog": (NoteDialog,),
    "note-line": (NoteDialog,),
    "begin": (FilesDialog, BenchmarkDialog),
    "editing": (QueryLine, AskLine),
    "choice": (Stepper,),
    "model-choice": (ModelLine,),
    "buttons": (Buttons,),
    "line": (QueryLine,),
    "field": (QueryLine,),
    "path": (PathLine,),
}
"""The classes in which the actions of a scope run."""

EVERY_CLASS: tuple[type, ...] = (
    BioRetrievalApp, Pane, HomePane, HomeHead, BrowsePane, LeaderboardPane, StartPane, SearchPane,
    IndexesPane, FilePicker, PathLine, ModelDialog, ModelLine, Buttons, Stepper, WorkBar,
    Detail, VirtualTable, QueryLine, AskLine, HeadLine, NavBar, StatusBar, TooSmall,
    Dialog, FieldLabel, HelpDialog, PageDialog, ExportDialog, Palette, Confirm,
    FilesDialog, BenchmarkDialog,
    QrelsPane, NewsPane, FetchDialog, IntoDialog, FoundPane, PlotDialog, PlotView,
    EvolutionPane, TimelineCanvas, EntryPane, ModelsPane, ColumnDialog, ComparisonDialog,
    BenchmarksPane,
    EvaluationDialog, TrainingDialog, IndexDialog, ShelfPane, NoteDialog, NoteLine, LetterDialog,
    BaseScreen, SideBySide,
)  # fmt: skip

PANE_CLASSES: tuple[type[Pane], ...] = (
    HomePane, BrowsePane, LeaderboardPane, StartPane, SearchPane, IndexesPane, QrelsPane, NewsPane,
    FoundPane, EvolutionPane, ModelsPane, BenchmarksPane, ShelfPane,
)  # fmt: skip

# The detail pane takes over the keys that move in a list, on purpose: they move in what has the
# focus. Everything else has one meaning in a pane.
NAMES_BEHIND = [pane for pane, _, _ in MORE_PANES]
INTENDED = {
    ("down", "scroll-down"), ("up", "scroll-up"), ("half-down", "page-down"),
    ("half-up", "page-up"), ("first", "top"), ("last", "bottom"),
    # Space: text, or a mark.
    ("page-down", "done"), ("page-down", "star-paper"), ("page-down", "mark-row"),
}  # fmt: skip


def keys_of(cls: type) -> set[str]:
    """Every key that a class binds, its own and those that it inherits."""
    merged: BindingsMap = cls._merge_bindings()  # type: ignore[attr-defined]
    return set(merged.key_to_bindings)


def test_ids_and_texts() -> None:
    ids = [action.id for action in ACTIONS]
    assert len(ids) == len(set(ids))
    for action in ACTIONS:
        assert action.scope in SCOPES
        assert action.label
        assert action.help
        assert bool(action.keys) is bool(action.shown)
    assert {action.id for action in ACTIONS if not action.keys} == {
        *("keep-place", "return-to-place", "centre", "page-forward", "page-back"),
        *("page-forward-reading", "page-back-reading"),
    }
    assert set(HANDLERS) == set(SCOPES) == {action.scope for action in ACTIONS}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: f"{action.scope}-{action.id}")
def test_every_action_has_a_handler_where_it_works(action: Action) -> None:
    name = re.fullmatch(r"(app\.)?(?:screen\.)?(\w+)(?:\(.*\))?", action.name)
    assert name is not None
    for cls in (BioRetrievalApp,) if name[1] else HANDLERS[action.scope]:
        assert callable(getattr(cls, f"action_{name[2]}", None)), f"{cls.__name__} {action.name}"


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: f"{action.scope}-{action.id}")
def test_every_key_is_bound_where_it_works(action: Action) -> None:
    for cls in HANDLERS[action.scope]:
        merged = cls._merge_bindings()
        for key in action.keys:
            bound = {binding.action for binding in merged.key_to_bindings.get(key, [])}
            assert action.name in bound, f"{cls.__name__} {key}"


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.__name__)
def test_no_class_uses_a_key_that_terminals_keep(cls: type) -> None:
    assert not keys_of(cls) & FORBIDDEN


def test_the_list_of_classes_is_whole() -> None:
    """A widget class that is added to the app is checked like the others."""
    ours = {
        cls
        for cls in _subclasses(Widget) | _subclasses(BioRetrievalApp) | {BioRetrievalApp}
        if cls.__module__.startswith("bioretrieval_tui.") and not cls.__name__.startswith("_")
    }
    assert {cls.__name__ for cls in ours} - {"Canvas"} == {cls.__name__ for cls in EVERY_CLASS}


def _subclasses(cls: type) -> set[type]:
    direct = set(cls.__subclasses__())
    return direct | set(chain.from_iterable(map(_subclasses, direct)))


def test_a_bound_key_leads_somewhere() -> None:
    """Bindings without a handler are dead keys: Textual passes over them in silence."""
    for cls in EVERY_CLASS:
        if cls is Pane:
            continue  # never shown itself
        for bound in chain.from_iterable(cls._merge_bindings().key_to_bindings.values()):
            name = bound.action.partition("(")[0]
            if name.startswith("app."):
                assert callable(getattr(BioRetrievalApp, f"action_{name[4:]}", None))
            elif not name.startswith("screen."):
                assert callable(getattr(cls, f"action_{name}", None)), f"{cls.__name__} {name}"


def test_bindings_come_out_of_the_registry() -> None:
    made = bindings("browse", "start")
    assert all(isinstance(binding, Binding) and not binding.show for binding in made)
    wanted = [
        (key, action.name) for s in ("browse", "start") for action in in_scope(s)
        for key in action.keys
    ]  # fmt: skip
    assert [(binding.key, binding.action) for binding in made] == wanted


@pytest.mark.parametrize("cls", PANE_CLASSES, ids=lambda cls: cls.__name__)
def test_keys_of_one_pane_mean_one_thing(cls: type[Pane]) -> None:
    by_key = defaultdict(list)
    for scope in (*cls.SCOPES, *(["detail"] if "list" in cls.SCOPES else [])):
        for action in in_scope(scope):
            for key in action.keys:
                if action.id not in by_key[key]:
                    by_key[key].append(action.id)
    shared = {frozenset(ids) for ids in by_key.values() if len(ids) > 1}
    assert shared <= {frozenset(pair) for pair in INTENDED}
    for key, ids in by_key.items():
        assert len(ids) <= 2, key


@pytest.mark.parametrize("name", sorted({pane for pane, _, _ in PANES} | set(NAMES_BEHIND)))
def test_the_scopes_that_work_together_are_those_of_the_pane(name: str) -> None:
    module, class_name = MODULES.get(name, ("browse", "BrowsePane"))
    cls = getattr(import_module(f"bioretrieval_tui.tui.panes.{module}"), class_name)
    reads = {"reading", "detail"} if "list" in cls.SCOPES else set()
    more = {"facets"} if name == "search" else set()
    assert TOGETHER[name] == {*cls.SCOPES, *reads, *more, commands_in(name)}


@pytest.mark.parametrize(
    "cls", sorted(_subclasses(Dialog), key=lambda cls: cls.__name__), ids=lambda cls: cls.__name__
)
def test_a_key_of_a_dialog_has_an_id_and_its_scopes_work_at_once(cls: type[Dialog[object]]) -> None:
    merged = cls._merge_bindings().key_to_bindings
    bound = {one.id for key in merged for one in merged[key] if key != "ctrl+c"}
    scopes = {action.scope for action in ACTIONS if action.id in bound}
    assert None not in bound
    assert any(scopes <= together for together in AT_ONCE)


def test_digits_are_the_panes_in_their_order() -> None:
    go = [action for action in ACTIONS if action.id.startswith("go-")]
    assert [(a.keys, a.name) for a in go] == [
        ((f"{n % 10}", f"alt+{n % 10}"), f"go('{pane}')") for n, (pane, _, _) in enumerate(PANES, 1)
    ]
    assert len(set(DIGITS.values())) == len(PANES) == 10
    assert set(SHORT_TITLES) <= {pane for pane, _, _ in PANES}


@pytest.mark.parametrize("cls", PANE_CLASSES, ids=lambda cls: cls.__name__)
def test_help_names_every_key_of_the_pane(cls: type[Pane]) -> None:
    lines = [row for block in help_blocks(cls.SCOPES) for row in block]
    text = "\n".join("".join(span.text for span in row.spans) for row in lines)
    for scope in cls.SCOPES:
        assert SCOPES[scope] in text
        for action in in_scope(scope):
            assert (action.help in text) is bool(action.keys)
            assert ", ".join(shown_key(key) for key in action.keys) in text


@pytest.mark.parametrize(("pane", "title"), [(pane, title) for pane, title, _ in PANES])
async def test_the_bottom_line_shows_what_works_here(
    small: Catalogue, pane: str, title: str
) -> None:
    async with running(make_app(small), (200, 30), pane=pane) as session:
        bottom = session.rows[-1]
        scopes = {*session.app.pane.SCOPES, *(session.app.line.scopes if session.app.line else ())}
        for action in session.app.hint_actions():
            assert f"{action.shown} {action.label}" in bottom
            assert action.scope in scopes
        assert ("f1 Help" if pane == "search" else "? Help") in bottom
        assert ("ctrl+c Quit" if pane == "search" else "q Quit") in bottom
        assert f" {title} " in session.rows[0]


@pytest.mark.parametrize("width", [60, 70, 80, 100, 200])
async def test_the_bars_fit_any_width(small: Catalogue, width: int) -> None:
    async with running(make_app(small), (width, 20), pane="papers") as session:
        top, bottom = session.rows[0], session.rows[-1]
        assert len(top) == len(bottom) == width
        assert "? Help" in bottom
        assert "q Quit" in bottom
        assert "3 Papers" in top
        for digit in "1247890":
            assert f" {digit}" in top


def test_hints_name_actions_that_there_are() -> None:
    """A key in a text follows the configuration; a name that is no action would be shown as it
    is."""
    named = re.compile(r"key_of\('([a-z-]+)'\)|keyed\(\s*((?:\"[^\"]*\"\s*)+)")
    hints = re.compile(r"\{\{?([a-z]+-[a-z-]+)\}")
    root = Path(bioretrieval_tui.__file__).parent / "tui"
    found = set()
    for path in root.rglob("*.py"):
        for name, text in named.findall(path.read_text(encoding="utf-8")):
            found |= {name, *re.findall(r"\{([a-z-]+)\}", text)} - {""}
        found |= {*hints.findall(path.read_text(encoding="utf-8"))}
    assert len(found) > 40
    assert found <= {action.id for action in ACTIONS}
