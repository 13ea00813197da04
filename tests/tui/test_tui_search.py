"""The Search pane: answers in their order, states that say what goes on, the reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from driving import OVER_SSH, Programs, Session, make_app, running
from msgspec import structs
from scripted import HITS, Desk, hit, job_of
from textual import events

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.search.types import SearchResult
from bioretrieval_tui.tui.panes.search_pane import SearchPane
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

WIDE = (120, 30)


def pane_of(session: Session) -> SearchPane:
    assert isinstance(session.app.pane, SearchPane)
    return session.app.pane


def info(name: str, status: str = "ok") -> IndexInfo:
    return IndexInfo(name, 3, "a model", 384, "float32", "cpu", None, 1, status, None)


async def asked(session: Session, desk: Desk, query: str) -> None:
    """Type a query at once, and wait until it is asked."""
    session.line.value = query
    await session.until(lambda: query in desk.waiting)


async def answered(session: Session, desk: Desk, query: str = "newborn cerebral") -> None:
    """Ask a query of an index of documents and answer it."""
    pane_of(session).owner.index = "scifact"
    await asked(session, desk, query)
    desk.answer(query, HITS)
    await session.settle()


@pytest.mark.parametrize(
    ("pasted", "value"),
    [
        ("herons\nin shallow\nponds with newts\n", "herons in shallow ponds with newts"),
        ("herons\r\n\r\n\tin shallow  \rponds", "herons in shallow ponds"),
        ("herons\rin shallow\rponds\r", "herons in shallow ponds"),
        ("herons\u2028in\x0bponds\n\n\n", "herons in ponds"),
        (" in\tponds ", " in ponds "),
        ("\n", ""),
    ],
)
async def test_pasted_lines_become_one_query(
    small: Catalogue, scripted: Desk, pasted: str, value: str
) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        session.app.post_message(events.Paste(pasted))
        await session.settle()
        assert session.line.value == value
        lines = len([line for line in pasted.splitlines() if line.strip()])
        assert session.said == (f"Pasted {lines} lines as one query" if lines > 1 else "")
        await session.press("home")
        session.app.post_message(events.Paste("of "))  # at the cursor
        await session.settle()
        assert session.line.value == f"of {value}"
        assert session.line.cursor_position == 3


async def test_a_paste_that_the_model_reads_in_part_is_said(
    small: Catalogue, scripted: Desk
) -> None:
    reader = structs.replace(info("catalogue"), max_tokens=6, model="lab/reader")
    scripted.indexes = [reader]
    async with running(make_app(small), WIDE, pane="search") as session:
        for pasted, said in (
            ("a b\nc d", ""), ("a b c d e\nf", "; reader reads only the first 6 tokens of it"),
        ):  # fmt: skip
            await session.press("ctrl+u")
            session.app.post_message(events.Paste(pasted))
            await session.settle()
            assert session.said == f"Pasted 2 lines as one query{said}"
        # BM25 reads all, and elsewhere there is no model.
        pane_of(session).session.mode = "lexical"
        session.app.post_message(events.Paste("a b c d e\nf"))
        await session.settle()
        assert session.said == "Pasted 2 lines as one query"
        await session.press("escape", "f")
        session.app.post_message(events.Paste("year:2015\nmesh:asthma"))
        await session.settle()
        assert (session.app.pane.query_one("#filter", QueryLine).value, session.said) == (
            "year:2015 mesh:asthma", "Pasted 2 lines as one",
        )  # fmt: skip


async def test_a_paste_that_finds_no_room_is_said(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await session.type("x")
        session.app.post_message(events.Paste("y" * 20_000))
        await session.settle()
        assert session.line.value == "x"
        assert session.said.startswith("The paste has 20,000 characters, and the line holds 20,000")
        await session.press("escape", "3")
        session.app.post_message(events.Paste("herons"))
        await session.settle()
        assert session.said == "There is no line here to paste into"


async def test_bm25_answers_while_the_model_loads(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        assert isinstance(session.focused, QueryLine)
        await session.until(lambda: scripted.loads == ["catalogue"])
        assert session.head.strip() == "Search  catalogue  hybrid"  # nothing waits for the model
        await asked(session, scripted, "heart")
        scripted.answer("heart", SearchResult(HITS[:10], pending=True))
        await session.settle()
        assert "BM25  10 hits  hybrid follows: loading the model" in session.head
        scripted.progress("preparing the query encoder", 1, 3, unit="steps")
        assert "hybrid follows: preparing the query encoder" in session.head
        assert session.rows[2].count("━") == 24
        await session.press("escape", "j", "j")
        at = session.at
        # Hybrid hits replace them where they are; the cursor stays on its document.
        scripted.ready()
        await session.until(lambda: "heart" in scripted.waiting)
        scripted.answer("heart", SearchResult((HITS[5], *HITS[:5])))
        await session.settle()
        assert "hybrid  6 hits" in session.head
        assert "follows" not in session.head
        assert session.at == at == HITS[2].id
        assert pane_of(session).cursor == 3
    assert scripted.loads == ["catalogue"]


async def test_a_model_that_does_not_load_is_told_beside_the_hits(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await asked(session, scripted, "heart")
        scripted.answer("heart", SearchResult(HITS, pending=True))
        scripted.fail(BioRetrievalError("the model is not here", remedy="download it"))
        await session.settle()
        assert "BM25 only: the model is not here; download it" in session.rows[2]
        assert pane_of(session).hits == HITS
        # It is not tried again at every letter, but when another build may have mended it.
        await session.type("s")
        await session.until(lambda: "hearts" in scripted.waiting)
        scripted.answer("hearts", SearchResult(HITS, pending=True))
        await session.settle()
        assert scripted.loads == ["catalogue"]
        pane_of(session).session.forget("catalogue")
        await session.press("escape", "m", "m", "m")
        await session.until(lambda: len(scripted.loads) == 2)


async def test_a_model_that_fails_before_a_query_says_nothing(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await session.until(lambda: scripted.loading is not None)
        scripted.fail(BioRetrievalError("no"))
        await session.settle()
        assert session.head.strip() == "Search  catalogue  hybrid"


async def test_a_note_is_told(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await asked(session, scripted, "heart")
        note = "an older index is used: the disk is full"
        scripted.answer("heart", SearchResult(HITS, note=note))
        await session.settle()
        assert "an older index is used" in session.rows[2]


async def test_hits_appear_as_one_pauses(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await session.type("newborn")
        await session.until(lambda: "newborn" in scripted.waiting)
        # Whatever was asked on the way was dropped when the next letter came.
        assert scripted.asked[-1] == ("catalogue", "newborn")
        assert list(scripted.waiting) == ["newborn"]
        pane_of(session).owner.index = "scifact"
        scripted.asked.clear()
        await asked(session, scripted, "newborn c")
        scripted.answer("newborn c", HITS)
        await session.settle()
        assert f"hybrid  {len(HITS)} hits" in session.rows[2]
        assert "Microstructural development" in session.rows[5]
        assert isinstance(session.focused, QueryLine)


async def test_an_older_answer_never_overwrites_a_newer_one(
    small: Catalogue, scripted: Desk
) -> None:
    old, new = [hit(1, "old", "Old answer", "")], [hit(1, "new", "New answer", "")]
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = pane_of(session)
        pane.owner.index = "mine"
        await asked(session, scripted, "one")
        waiting = scripted.waiting["one"]
        # It comes while the newer query stands in the line and is not yet asked.
        session.line.value = "one two"
        await session.settle()
        if not waiting.done():
            scripted.answer("one", old)
        await session.settle()
        assert pane.hits == ()
        await session.until(lambda: "one two" in scripted.waiting)
        scripted.answer("one two", new)
        await session.settle()
        assert [h.id for h in pane.hits] == ["new"]
        # It would come after the newer query was asked: it was dropped then.
        await asked(session, scripted, "three")
        await asked(session, scripted, "four")
        assert "three" in scripted.dropped
        scripted.answer("four", new)
        await session.settle()
        assert [h.id for h in pane.hits] == ["new"]


async def test_an_answer_of_another_index_is_not_shown(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = pane_of(session)
        pane.owner.index = "mine"
        await asked(session, scripted, "one")
        pane.owner.index = "other"
        scripted.answer("one", HITS)
        await session.settle()
        assert pane.hits == ()


async def test_an_error_is_one_line(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await answered(session, scripted)
        await asked(session, scripted, "again")
        scripted.answer("again", NotFoundError("there is no index scifact", remedy="build it"))
        await session.settle()
        assert "there is no index scifact; build it" in session.rows[2]
        assert pane_of(session).hits == ()
        # An error of a query that stands there no more is nobody's business.
        await asked(session, scripted, "third")
        waiting = scripted.waiting["third"]
        session.line.value = "fourth"
        await session.settle()
        if not waiting.done():
            scripted.answer("third", BioRetrievalError("too late"))
        await session.settle()
        assert "too late" not in session.text


async def test_escape_cancels_and_keeps_the_query(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane_of(session).owner.index = "mine"
        await asked(session, scripted, "heart")
        assert "searching" in session.head
        await session.press("escape")  # there is no query to return to: this one is searched
        assert scripted.dropped == []
        assert isinstance(session.focused, VirtualTable)
        await session.press("escape")
        assert scripted.dropped == ["heart"]
        assert session.line.value == "heart"
        assert "searching" not in session.head
        # And from the list.
        await session.press("slash", "enter")
        await session.until(lambda: "heart" in scripted.waiting)
        assert isinstance(session.focused, VirtualTable)
        await session.press("escape")
        assert scripted.dropped == ["heart", "heart"]


async def test_a_first_query_is_searched_at_escape(small: Catalogue, scripted: Desk) -> None:
    """A paste and escape in less than the pause before a search."""
    async with running(make_app(small), WIDE, pane="search") as session:
        pane_of(session).owner.index = "mine"
        session.app.post_message(events.Paste("heart"))
        await session.press("escape")
        assert "heart" in scripted.waiting
        scripted.answer("heart", HITS)
        await session.settle()
        # It is accepted: escape after an edit returns to it.
        await session.press("slash", *"lung", "escape")
        assert (session.line.value, pane_of(session).hits) == ("heart", HITS)


async def test_enter_asks_at_once(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane_of(session).owner.index = "mine"
        session.line.value = "heart"
        await session.press("enter")
        assert "heart" in scripted.waiting
        assert isinstance(session.focused, VirtualTable)


async def test_an_emptied_line_empties_the_hits(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await answered(session, scripted)
        await session.press("slash", "ctrl+u")
        assert pane_of(session).hits == ()
        assert "Hits appear here as you type." in session.text
        assert pane_of(session).page.lines == ()
        count = len(scripted.asked)
        session.line.value = "   "
        await session.press("enter")
        assert len(scripted.asked) == count


async def test_from_the_line_to_the_list_and_back(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await answered(session, scripted)
        table = pane_of(session).table
        await session.press("down")
        assert isinstance(session.focused, VirtualTable)
        assert table.cursor == 0
        await session.press("j", "j", "i")
        assert isinstance(session.focused, QueryLine)
        assert session.line.cursor_position == len("newborn cerebral")
        await session.press("down")
        assert table.cursor == 3
        # Up stays: it is the way to earlier queries.
        await session.press("slash", "up")
        assert isinstance(session.focused, QueryLine)


@pytest.mark.parametrize("size", [WIDE, (80, 24)])
async def test_the_reader_marks_the_words(
    small: Catalogue, scripted: Desk, size: tuple[int, int]
) -> None:
    async with running(make_app(small), size, pane="search") as session:
        await answered(session, scripted)
        await session.press("enter", "enter")
        assert isinstance(session.focused, Detail)
        match = session.app.look.style("match").bgcolor
        marked = [
            segment.text
            for row in session.strips()
            for segment in row
            if segment.style and segment.style.bgcolor == match
        ]
        assert {word.casefold() for word in marked} == {"newborn", "cerebral"}
        assert "4983  2001" in session.text
        assert session.links() == {
            "https://example.org/scan", "https://pubmed.ncbi.nlm.nih.gov/4983/",
        }  # fmt: skip
        await session.press("escape")
        assert isinstance(session.focused, VirtualTable)


async def test_links_of_a_hit(
    small: Catalogue, scripted: Desk, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("surf")
    monkeypatch.setenv("BROWSER", "surf")
    app = make_app(small, capabilities=OVER_SSH)
    async with running(app, WIDE, pane="search", recorded=True) as session:
        await answered(session, scripted)
        await session.press("enter", "o", "l", "a", "y")
        assert programs.calls == ["surf https://pubmed.ncbi.nlm.nih.gov/4983/"] * 2
        assert session.copied() == ["https://pubmed.ncbi.nlm.nih.gov/4983/"]
        await session.press("r")
        assert session.said == "There are no relations here"
        await session.press("j")
        for key in "oyl":
            await session.press(key)
            assert session.said.startswith("There ")


async def test_a_hit_of_the_catalogue_is_its_entry(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await asked(session, scripted, "biomedical question")
        scripted.answer("biomedical question", [hit(1, "alpha-paper", "Alpha", ""),
                                                hit(2, "beta-dual", "Beta dual", "")])  # fmt: skip
        await session.settle()
        await session.press("enter")
        assert "Alpha" in session.text
        assert "Journal of Examples" in session.text
        assert "https://example.org/guide" in session.links()
        marked = [s.text for row in pane_of(session).page.lines for s in row.spans
                  if s.role == "match"]  # fmt: skip
        assert set(marked) == {"biomedical", "question"}
        # The first relation is the entry itself, where it is listed.
        await session.press("j", "r", "a")
        assert (session.app.current, session.at) == ("models", "beta-dual")
        await session.press("backspace")
        assert session.app.current == "search"
        assert session.at == "beta-dual"


INDEXES = [info("catalogue"), info("mine"), info("bad", "damaged: graph"), info("other")]


async def test_x_chooses_another_index(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await session.press("escape", "x")
        assert "No index of your own yet" in session.said
        scripted.indexes = INDEXES
        await asked(session, scripted, "heart")
        # The cursor alone chooses, as in any list; escape changes nothing.
        await session.press("escape", "x", "j", "escape")
        assert pane_of(session).session.names == ("catalogue",)
        await session.press("x", "j")
        assert "enter searches mine" in session.text
        await session.press("enter")
        await session.until(lambda: scripted.asked[-1] == ("mine", "heart"))
        assert "Search  mine " in session.head
        assert pane_of(session).hits == ()
        scripted.indexes = BioRetrievalError("the search process ended by SIGKILL")
        await session.press("x")
        assert session.said == "the search process ended by SIGKILL"
        assert pane_of(session).owner.index == "mine"


@pytest.mark.parametrize("size", [(80, 24), WIDE])
async def test_x_chooses_several_indexes(
    small: Catalogue, scripted: Desk, size: tuple[int, int]
) -> None:
    scripted.indexes = INDEXES
    async with running(make_app(small), size, pane="search") as session:
        await asked(session, scripted, "heart")
        await session.press("escape", "x")
        assert "bad" not in session.text
        assert "[x]  catalogue" in session.text
        await session.press("j", "space", "j", "space")
        assert session.text.count("[x]") == 3
        assert "enter searches catalogue + mine + other" in session.text
        await session.press("k", "k", "space", "enter")
        await session.until(lambda: scripted.asked[-1] == ("mine", "heart"))
        assert scripted.also[-1] == ("other",)
        found = [
            structs.replace(one, index=name)
            for one, name in zip(HITS[:4], ("mine", "other") * 2, strict=True)
        ]
        note = "other is left out: it is damaged"
        scripted.answer("heart", SearchResult(tuple(found), note=note))
        await session.settle()
        assert "Search  mine + other  hybrid  4 hits  other is left" in session.head
        assert "Index" in session.text
        ends = [row.split("│")[0].split()[-1:] for row in session.rows]
        assert ["mine"] in ends
        # What is chosen is selected when the dialog opens again; without a selection the row is.
        await session.press("x")
        assert session.text.count("[x]") == 2
        await session.press("space", "j", "space", "k", "k")
        assert "enter searches catalogue" in session.text
        await session.press("escape")
        # An index that is removed is left.
        pane_of(session).owner.jobs.submit(job_of("remove", "mine"))
        await session.settle()
        scripted.removed(1)
        await session.settle()
        assert pane_of(session).session.names == ("other",)
        # Another way into Search searches one index.
        pane_of(session).search_in("mine", "other")
        await session.app.search_in("other")
        assert pane_of(session).session.names == ("other",)


async def test_export_of_hits(small: Catalogue, scripted: Desk, folder: Path) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await session.press("escape", "e")
        assert session.said == "Nothing to export"
        await answered(session, scripted)
        await session.press("escape", "e")
        assert f"Export {len(HITS)} rows" in session.text
        assert session.line.value == "bioretrieval-search-scifact.md"
        for name in ("out.json", "out.md", "out.csv", "out.txt", "out.jsonl"):
            session.line.value = name
            await session.press("enter")
            assert session.said == f"Wrote {name}"
            assert "\x1b" not in (folder / name).read_text()
            await session.press("e")
        found = json.loads((folder / "out.json").read_text())
        assert [record["id"] for record in found] == [h.id for h in HITS]
        assert "Search: newborn cerebral" in (folder / "out.md").read_text()
        # Documents whose records say enough are works to cite.
        session.line.value = "out.bib"
        await session.press("enter")
        cited = (folder / "out.bib").read_text()
        assert cited.count("@") == 1
        assert "white matter" in cited
        assert "year = {2001}" in cited
        await asked(session, scripted, "no year")
        scripted.answer("no year", HITS[4:6])
        await session.press("escape", "e")
        session.line.value = "none.bib"
        await session.press("enter")
        assert "nothing here can be written as bibtex" in session.text


async def test_hits_of_the_catalogue_can_be_cited(
    small: Catalogue, scripted: Desk, folder: Path
) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await asked(session, scripted, "alpha")
        scripted.answer("alpha", [hit(1, "alpha-paper", "Alpha", ""), hit(2, "step-train", "", "")])
        await session.settle()
        await session.press("escape", "e")
        session.line.value = "out.bib"
        await session.press("enter")
        text = (folder / "out.bib").read_text()
        assert text.count("@") == 1
        assert "Alpha: dense retrieval" in text


async def test_leaving_the_pane_loses_nothing(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await answered(session, scripted)
        await session.press("down", "j", "j", "enter", "1", "9")
        assert isinstance(session.focused, Detail)
        assert session.at == HITS[2].id
        await session.press("escape", "2", "9")
        assert session.focused is session.line  # where one types the next question over the last
        assert session.line.value == session.line.selected_text == "newborn cerebral"
        await session.press("down")
        assert isinstance(session.focused, VirtualTable)
        assert session.at == HITS[3].id


async def test_leaving_the_app_while_it_works(small: Catalogue, scripted: Desk) -> None:
    """The search process ends with the app, and what waits for it is no error."""
    for state in ("loading", "searching", "loaded"):
        app = make_app(small)
        async with running(app, WIDE, pane="search") as session:
            if state != "loading":
                await session.until(lambda: scripted.loading is not None)
                scripted.ready()
            if state == "searching":
                await asked(session, scripted, "heart")
            await session.press("escape", "q")
            assert app._exit
        assert app.return_code == 0
        assert app._exception is None
    assert scripted.closed == 3


async def test_a_pane_that_was_never_shown_starts_no_process(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE) as session:
        await session.press("2", "3", "8")
    assert (scripted.loads, scripted.closed) == ([], 0)
