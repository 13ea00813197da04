"""Ways of searching: modes, filters, facets, order, likeness, reasons, reranking, two lists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from driving import Session, make_app, running
from msgspec.structs import replace
from scripted import HITS, Desk, hit, info

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Content, Encoding, Model, Side
from bioretrieval_tui.documents.mesh import keep_mesh
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.search.types import Explanation, Facet, Hit, Scores, SearchResult
from bioretrieval_tui.settings import SettingsStore
from bioretrieval_tui.tui.panes.search_pane import SearchPane
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.input import AskLine
from bioretrieval_tui.tui.widgets.table import VirtualTable
from mesh_sample import DESCRIPTORS

WIDE, NARROW = (120, 30), (80, 24)
QUERY = "newborn cerebral"
FIELDS = ("abstract", "journal", "mesh", "type", "year")
FACETS = (
    Facet("year", (("2012", 7), ("2001", 3))),
    Facet("mesh", (("Brain Diseases", 5), ("Infant", 2))),
)


def pane_of(session: Session) -> SearchPane:
    assert isinstance(session.app.pane, SearchPane)
    return session.app.pane


async def ask(session: Session, desk: Desk, query: str = QUERY, index: str = "mine") -> None:
    """Ask a query of an index whose fields are known."""
    desk.indexes = [info("mine", fields=FIELDS), info("catalogue", fields=("kind", "year"))]
    pane = pane_of(session)
    pane.owner.index = index
    await pane.session.learn()
    session.line.value = query
    await session.until(lambda: query in desk.waiting)


async def answered(session: Session, desk: Desk, answer: SearchResult | None = None) -> SearchPane:
    """Ask and answer, and stand in the list."""
    await ask(session, desk)
    desk.answer(QUERY, answer or SearchResult(HITS, facets=FACETS, among=59))
    await session.settle()
    await session.press("enter")
    return pane_of(session)


async def again(session: Session, desk: Desk, answer: SearchResult | None = None) -> None:
    """The same query was asked another way: answer that."""
    await session.until(lambda: QUERY in desk.waiting)
    desk.answer(QUERY, answer or SearchResult(HITS[:3], facets=FACETS[:1], among=3))
    await session.settle()


# Modes, order, what the head line says -----------------------------------------------------


async def test_m_goes_round_the_modes(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await answered(session, scripted)
        assert "mine  hybrid  59 hits  all-MiniLM-L6-v2" in session.head
        for mode, named in (("dense", "dense"), ("lexical", "BM25"), ("hybrid", "hybrid")):
            await session.press("m")
            await again(session, scripted)
            assert scripted.questions[-1].mode == mode
            assert f"mine  {named}  3 hits" in session.head
            # Words alone need no model, so none is named.
            assert ("all-MiniLM" in session.head) == (mode != "lexical")


async def test_s_sorts_by_date_and_back(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await answered(session, scripted)
        await session.press("s")
        await again(session, scripted)
        assert scripted.questions[-1].order == "date"
        assert "newest first" in session.head
        await session.press("s")
        await again(session, scripted)
        assert scripted.questions[-1].order == "relevance"
        assert "newest first" not in session.head


async def test_a_note_of_the_answer_is_told(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await answered(
            session, scripted, SearchResult(HITS[:1], note="none of its words is indexed")
        )
        assert "1 hit  none of its words is indexed" in session.head


async def test_no_answer_is_told_apart_from_no_question(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        assert "Hits appear here as you type." in session.text
        await answered(session, scripted, SearchResult(()))
        assert "No document matches." in session.text
        assert "0 hits" in session.head


# The filter ----------------------------------------------------------------------------------


async def test_a_filter_is_asked_with_the_query(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("f")
        await session.type("year:2015..")
        await session.until(lambda: QUERY in scripted.waiting)
        scripted.answer(QUERY, SearchResult(HITS[:2], fitting=1312))
        await session.press("enter")
        assert scripted.questions[-1].where == "year:2015.."
        assert "filter year:2015.. keeps 1,312" in session.head
        assert isinstance(session.focused, VirtualTable)
        assert not pane.filter_line.display
        # It stays for the next query, and escape lifts it.
        await ask(session, scripted, "another")
        assert scripted.questions[-1].where == "year:2015.."
        scripted.answer("another", HITS[:1])
        await session.settle()
        await session.press("escape")
        await session.until(lambda: "another" in scripted.waiting)
        assert scripted.questions[-1].where == ""


async def test_a_wrong_filter_is_pointed_at_and_the_hits_stay(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        count = len(scripted.asked)
        await session.press("f")
        await session.type("yaer:2015")
        assert 'filter, column 1: "yaer" is not a field; did you mean year?' in session.text
        await session.press("enter")
        assert "not in force" in session.said
        assert "did you mean" not in session.said
        await session.press("ctrl+u")
        await session.type("(year:2015")
        assert "this ( is not closed" in session.text
        assert pane.session.status()[0][1] == "dim"
        assert pane.hits == HITS
        assert len(scripted.asked) == count
        await session.press("escape")
        assert pane.session.problem is None
        assert "59 hits" in session.head
        assert isinstance(session.focused, VirtualTable)


async def test_a_wrong_filter_is_explained_whole_in_a_small_window(
    small: Catalogue, scripted: Desk
) -> None:
    names = tuple(f"field-of-some-length-{n}" for n in range(9))
    scripted.indexes = [info("mine", fields=names)]
    async with running(make_app(small), (80, 24), pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("f")
        await session.type("zzz:1")
        assert 'quote it: "zzz:1"' in session.words
        await session.press("escape")
        assert pane.query_one(HeadLine).size.height < 3


async def test_a_filter_that_another_index_does_not_know_is_lifted(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        pane.session.filter = "mesh:asthma"
        pane.search_in("catalogue")
        await session.settle()
        assert pane.session.filter == ""
        assert session.said == 'The filter was removed: "mesh" is not a field'


async def test_a_word_that_may_become_a_field_waits_for_more(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("f")
        for letter in "mes":
            await session.press(letter)
        assert pane.session.filter == ""
        await session.type("h:brain")
        await session.until(lambda: QUERY in scripted.waiting)
        assert scripted.questions[-1].where == "mesh:brain"
        # A word that begins no field is looked for; enter means what stands there.
        await session.press("ctrl+u")
        await session.type("heart")
        await session.until(lambda: scripted.questions[-1].where == "heart")
        await session.press("ctrl+u")
        await session.type("ye")
        await session.press("enter")
        assert scripted.questions[-1].where == "ye"


async def test_the_filter_line_moves_in_the_list(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("f", "down", "down", "up")
        assert pane.list_of_hits.cursor == 1
        assert session.focused is pane.filter_line


# Facets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [WIDE, NARROW, (200, 40)])
async def test_a_facet_goes_into_the_filter_and_out(
    small: Catalogue, scripted: Desk, size: tuple[int, int]
) -> None:
    async with running(make_app(small), size, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("F")
        assert "Counts in 59 hits" in session.text
        assert "Brain Diseases" in session.text
        assert session.rows[-1].startswith(" enter Filter by it  ")
        assert "F Close" in session.rows[-1]
        assert "enter Read" not in session.rows[-1]
        assert pane.detail.display == (size[0] >= 140)
        await session.press("j", "j", "enter")
        await again(session, scripted, SearchResult(HITS[:2], fitting=5, facets=FACETS, among=2))
        assert scripted.questions[-1].where == 'mesh="Brain Diseases"'
        assert "● Brain Diseases" in session.text
        assert "Counts in 2 hits; mesh: without its filter" in session.text
        await session.press("k", "k", "enter")
        await again(session, scripted, SearchResult(HITS[:1], fitting=1, facets=FACETS, among=1))
        assert scripted.questions[-1].where == 'mesh="Brain Diseases" year:2012'
        # The cursor is where it was; enter takes its value out again.
        await session.press("enter")
        await again(session, scripted, SearchResult(HITS[:2], fitting=5, facets=FACETS, among=2))
        assert scripted.questions[-1].where == 'mesh="Brain Diseases"'
        assert pane.hit is HITS[0]
        await session.press("escape")
        assert "Counts in" not in session.text
        assert "enter Read" in session.rows[-1]
        assert isinstance(session.focused, VirtualTable)
        assert pane.session.filter


async def test_tab_goes_between_hits_and_facets(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("F", "tab", "j")
        assert (pane.list_of_hits.cursor, pane.facet_list.cursor) == (1, 0)
        await session.press("left", "j")
        assert (pane.list_of_hits.cursor, pane.facet_list.cursor) == (1, 1)
        # The page opens over the facets and gives their room back.
        await session.press("tab", "enter")
        assert isinstance(session.focused, Detail)
        assert "Myelodysplastic" in session.text
        await session.press("escape")
        assert "Counts in 59 hits" in session.text


async def test_without_facets_there_is_nothing_to_open(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await answered(session, scripted, SearchResult(HITS))
        await session.press("F")
        assert "no years, journals or headings" in session.said


# Likeness ------------------------------------------------------------------------------------


async def test_more_like_one_and_back(small: Catalogue, scripted: Desk) -> None:
    near = hit(1, "alpha-paper", "Alpha", "text")
    scripted.alike = {"mine": SearchResult(HITS[4:9]), "catalogue": SearchResult((near,))}
    async with running(make_app(small), WIDE, pane="search") as session:
        await session.until(lambda: scripted.loads == ["catalogue"])
        scripted.ready()
        pane = await answered(session, scripted)
        await session.press("j", "j", "k", "M")
        assert scripted.like == [("mine", "5836", "mine", ""), ("mine", "5836", "catalogue", "")]
        assert "similar to: Myelodysplastic syndromes" in session.head
        assert "5 hits + 1 of the catalogue" in session.head
        assert "◆  catalogue: Alpha" in session.text
        # What is of the catalogue is its entry, and leads there.
        await session.press("G", "enter")
        assert "Journal of Examples" in session.text
        await session.press("escape", "r", "a")
        assert session.app.current == "papers"
        await session.press("backspace")
        assert (session.app.current, session.at) == ("search", "alpha-paper")
        # And from there further on, one step after the other back.
        await session.press("M")
        assert scripted.like[-1] == ("catalogue", "alpha-paper", "catalogue", "")
        assert "similar to: Alpha" in session.head
        await session.press("escape")
        assert pane.session.view.like is HITS[1]
        assert session.at == "alpha-paper"
        await session.press("backspace")
        assert pane.session.view.like is None
        assert pane.hits == HITS
        assert session.at == "5836"
        assert session.app.history == [("home", None)] or not session.app.history


async def test_a_likeness_keeps_the_filter_and_ends_with_a_query(
    small: Catalogue, scripted: Desk
) -> None:
    scripted.alike = {"mine": SearchResult(HITS[4:6], fitting=40)}
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        pane.session.filter = "year:2012"
        await session.press("M")
        assert scripted.like == [("mine", "4983", "mine", "year:2012")]
        assert "filter year:2012 keeps 40" in session.head
        await ask(session, scripted, "another")
        scripted.answer("another", HITS[:1])
        await session.press("enter")
        assert pane.session.view.like is None
        await session.press("escape")
        assert pane.session.view.like is None


async def test_a_likeness_that_fails_leaves_the_hits(small: Catalogue, scripted: Desk) -> None:
    scripted.alike = {"mine": BioRetrievalError("index mine is damaged", remedy="build it")}
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("M")
        assert session.said == "index mine is damaged; build it"
        assert pane.hits == HITS
        # The catalogue's part is an extra: what was asked for is shown without it.
        scripted.alike = {"mine": SearchResult(HITS[:2]), "catalogue": BioRetrievalError("no")}
        scripted.ready()
        await session.press("M")
        assert pane.hits == HITS[:2]


# Why -----------------------------------------------------------------------------------------

SENTENCE = "A line scan diffusion-weighted sequence was used."
AT = HITS[0].text.index(SENTENCE)
WHY = Explanation(
    "4983", Scores(dense=0.83, lexical=12.5), terms=(("newborn", 0.75), ("cerebral", 0.25)),
    dense_rank=1, lexical_rank=3, passage=(AT, AT + len(SENTENCE)), nearness=0.7071,
)  # fmt: skip


async def test_why_is_asked_once_the_cursor_rests(small: Catalogue, scripted: Desk) -> None:
    scripted.reasons = {"4983": WHY}
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        await session.until(lambda: scripted.explained)
        await session.settle()
        assert scripted.explained == [("hybrid", "mine", "4983")]
        assert "dense 0.8300 #1" in session.text
        assert "BM25 12.50 #3" in session.text
        assert f"newborn 75% {'━' * 12}" in session.text
        assert "0.7071" in session.text
        marked = "".join(
            span.text for row in pane.page.lines for span in row.spans if span.role == "passage"
        )
        assert marked == SENTENCE
        # Where it was read it stays, and what is known is not asked again.
        await session.press("j", "k")
        await session.rest()
        await session.until(lambda: len(scripted.explained) >= 2 or pane.hit is HITS[0])
        assert [one[2] for one in scripted.explained].count("4983") == 1


async def test_why_of_words_alone_loads_no_model(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        for mode, asked in (("dense", "hybrid"), ("lexical", "lexical")):
            await session.press("m")
            await again(session, scripted)
            scripted.explained.clear()
            await session.rest()
            assert scripted.explained == [(asked, "mine", "4983")], mode
        assert pane.session.mode == "lexical"


@pytest.mark.parametrize("theme", ["dark", "light", "terminal"])
async def test_the_nearest_sentence_is_seen_in_every_theme(
    small: Catalogue, scripted: Desk, theme: str
) -> None:
    scripted.reasons = {"4983": WHY}
    async with running(make_app(small, theme=theme), WIDE, pane="search") as session:
        await answered(session, scripted)
        await session.until(lambda: scripted.explained)
        await session.settle()
        wanted, plain = (session.app.look.style(role) for role in ("passage", "text"))
        assert (wanted.bgcolor, wanted.underline) != (plain.bgcolor, plain.underline)
        shown = "".join(
            segment.text for row in session.strips() for segment in row
            if segment.style and segment.style.underline == wanted.underline
            and segment.style.bgcolor == wanted.bgcolor
        )  # fmt: skip
        assert "diffusion-weighted" in shown


# Reranking -----------------------------------------------------------------------------------


def with_reranker(hub: str) -> Catalogue:
    """A catalogue of two cross-encoders, of which the second is never here."""
    models = tuple(
        Model(
            id=name, name=name.title(), summary="It reads pairs.", role="reranker", hub=(where,),
            sources=("card",),
            encoding=Encoding(
                type="cross-encoder", grade="A",
                document=Side(model=where, pair=("{query}", "{title}. {text}")),
            ),
        )
        for name, where in (("reader", hub), ("other", "nobody/never-fetched"))
    )  # fmt: skip
    return Catalogue(Content(entries=models, results=(), sources=()))


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """A folder that looks as one with a model does."""
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"\0" * 8)
    return str(folder)


async def test_the_best_are_read_again(scripted: Desk, weights: str) -> None:
    async with running(make_app(with_reranker(weights)), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("R")
        await session.until(lambda: QUERY in scripted.waiting)
        reranker = scripted.rerankers[-1]
        assert reranker is not None
        assert (reranker.model, reranker.most) == (weights, 50)
        # The hits of before stay while it reads, and the head line says how far it is.
        scripted.parts(SearchResult(HITS))
        scripted.progress("reading", 16, 50, "hits")
        assert pane.hits == HITS
        assert "16 of 50 hits" in session.head
        best = tuple(reversed(HITS[:5]))
        await again(session, scripted, SearchResult(best))
        assert pane.hits == best
        assert "reranked by Reader" in session.head
        # Another query is another matter.
        await ask(session, scripted, "another")
        assert scripted.rerankers[-1] is None


async def test_escape_stops_the_reading_and_keeps_the_hits(scripted: Desk, weights: str) -> None:
    async with running(make_app(with_reranker(weights)), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("R")
        await session.until(lambda: QUERY in scripted.waiting)
        await session.press("escape")
        assert scripted.dropped == [QUERY]
        assert pane.hits == HITS
        assert "59 hits" in session.head
        await session.press("R")
        await session.until(lambda: QUERY in scripted.waiting)
        scripted.answer(QUERY, InterruptedByUser("superseded"))
        await session.settle()
        assert pane.hits == HITS


async def test_a_reranker_that_is_not_here_is_told_with_the_way_to_get_it(scripted: Desk) -> None:
    found = with_reranker("nobody/never-here")
    async with running(make_app(found), NARROW, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("R")
        await session.until(lambda: "not on this machine" in session.head)
        assert "Reader is not on this machine" in session.rows[2]
        assert "bioretrieval-tui doctor --model reader --download" in session.words
        assert pane.hits == HITS
        assert scripted.rerankers == [None]


async def test_without_hits_nothing_is_read_again(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await session.press("escape", "R")
        assert "no hits to rerank" in session.said
        await session.press("M")
        assert "no hit" in session.said
        await session.press("v")
        assert "Type a query first" in session.said


# Side by side --------------------------------------------------------------------------------


LISTS = (HITS[1], HITS[0], HITS[4]), (HITS[3], HITS[5], HITS[1])


async def two_lists(
    session: Session, desk: Desk, lists: Sequence[Sequence[Hit]] = LISTS
) -> SearchPane:
    pane = await answered(session, desk)
    await session.press("v")
    left, right = (SearchResult(tuple(one)) for one in lists)
    for stream, answer in (("left", left), ("right", right)):
        await session.until(lambda: desk.streams[-1] == stream and QUERY in desk.waiting)  # noqa: B023
        ranked = tuple(replace(one, rank=rank) for rank, one in enumerate(answer.hits, start=1))
        desk.answer(QUERY, SearchResult(ranked))
        await session.settle()
    return pane


async def test_without_years_each_hit_has_one_line(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), NARROW, pane="search") as session:
        await two_lists(session, scripted, (HITS[4:7], HITS[5:8]))
        assert session.rows[3].split() == ["#", "BM25", "In", "dense", "#", "Dense", "In", "BM25"]
        assert session.rows[5].split("#1")[0].split() == ["2", *"Title 6 of a document".split()]


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_words_and_meaning_side_by_side(
    small: Catalogue, scripted: Desk, size: tuple[int, int]
) -> None:
    async with running(make_app(small), size, pane="search") as session:
        pane = await two_lists(session, scripted)
        assert [one.mode for one in scripted.questions[-2:]] == ["lexical", "dense"]
        assert "BM25 | dense  1 of 3 in both" in session.head
        assert session.rows[3].split() == ["#", "BM25", "#", "Dense"]
        titles = [word for word in session.rows[4].split() if word != "Year"]
        assert titles == ["In", "dense", "In", "BM25"]
        first = session.rows[6]
        assert first.count("#3") == 1  # the left list's first is the right one's third
        assert session.rows[10].split().count("#1") == 1
        assert not pane.detail.display
        # What stands in both has both cursors; tab changes sides.
        right = pane.query_one("#right", VirtualTable)
        assert (pane.list_of_hits.cursor, right.cursor) == (0, 2)
        await session.press("tab")
        assert session.focused is right
        assert pane.hit is not None
        assert pane.hit.id == "5836"
        await session.press("k")
        assert pane.hit.id == "doc-6"
        await session.press("enter")
        assert isinstance(session.focused, Detail)
        assert "Text 6." in session.text
        assert "In dense" not in session.text
        await session.press("escape")
        assert session.focused is right
        await session.press("left")
        assert session.focused is pane.list_of_hits is not right
        await session.press("F")
        assert "v closes the other" in session.said
        # Typing asks both again; v or escape is one list again.
        await session.press("escape")
        await again(session, scripted, SearchResult(HITS))
        assert scripted.streams[-1] == "search"
        assert "In dense" not in session.text
        assert "59 hits" in session.head


async def test_an_error_of_two_lists_is_one_line(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("v")
        await session.until(lambda: QUERY in scripted.waiting)
        scripted.answer(QUERY, BioRetrievalError("index mine is damaged"))
        await session.settle()
        assert "index mine is damaged" in session.head
        assert pane.hits == ()


# Earlier queries -----------------------------------------------------------------------------


async def test_up_and_down_walk_through_earlier_queries(
    small: Catalogue, scripted: Desk, home: Path
) -> None:
    library = SettingsStore(home / "data" / "library.sqlite")
    for query in ("statins", "p53 in tumours", "asthma inhaler"):
        library.keep_query(query)
    async with running(make_app(small), WIDE, pane="search") as session:
        await session.type("draft")
        for key, shown in (
            ("up", "asthma inhaler"), ("up", "p53 in tumours"), ("up", "statins"),
            ("up", "statins"), ("down", "p53 in tumours"), ("down", "asthma inhaler"),
            ("down", "draft"),
        ):  # fmt: skip
            await session.press(key)
            assert session.line.value == shown
            assert isinstance(session.focused, AskLine)
        await session.press("ctrl+u")
        await session.type("S")
        for shown in ("asthma inhaler", "p53 in tumours", "statins", "statins"):
            await session.press("ctrl+r")
            assert session.line.value == shown
        assert session.said == "No earlier query matches"
        await session.press("down", "down", "down", "down")
        assert isinstance(session.focused, VirtualTable)


async def test_a_query_that_was_used_is_kept(small: Catalogue, scripted: Desk, home: Path) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        await answered(session, scripted)
        await session.press("slash", "enter", "slash", "escape")
        await session.press("slash")
        await ask(session, scripted, "  another ")
        await session.press("escape")
    library = SettingsStore(home / "data" / "library.sqlite")
    assert library.queries() == ["another", QUERY]


async def test_a_library_that_cannot_be_written_is_told_and_nothing_is_lost(
    small: Catalogue, scripted: Desk, home: Path
) -> None:
    (home / "data").mkdir(parents=True)
    (home / "data" / "library.sqlite").write_text("no database at all, and far too long for one")
    async with running(make_app(small), WIDE, pane="search") as session:
        await answered(session, scripted)
        assert "cannot be used" in session.said
        await session.press("slash", "ctrl+u", "up")
        assert session.line.value == QUERY
    assert (home / "data" / "library.sqlite").read_text().startswith("no database")


async def test_bm25_loads_no_model(small: Catalogue, scripted: Desk) -> None:
    async with running(make_app(small), pane="search") as session:
        await session.until(lambda: scripted.loads == ["catalogue"])
        await session.press("escape", "m", "m")  # hybrid, dense, lexical
        pane_of(session).search_in("mine")
        session.line.value = "newborn"
        await session.until(lambda: "newborn" in scripted.waiting)
        scripted.answer("newborn", HITS)
        assert scripted.loads == ["catalogue"]
        await session.press("m")  # hybrid again
        await session.until(lambda: scripted.loads == ["catalogue", "mine"])
        await session.press("m", "m")
        assert scripted.loads == ["catalogue", "mine"]


async def test_a_filter_offers_headings_of_mesh(
    small: Catalogue, scripted: Desk, tmp_path: Path
) -> None:
    (tmp_path / "desc2026.xml").write_text(DESCRIPTORS)
    keep_mesh(tmp_path / "desc2026.xml", "desc2026.xml", "2026-07-01")
    async with running(make_app(small), pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("f")
        pane.filter_line.value = "year:2020 -mesh:cancer-"
        await session.until(lambda: pane.session.offered)
        assert "Cancer of Lung: Lung Neoplasms C04.588.894.797.520\u2026" in session.head
        await session.press("end", "right")
        assert pane.filter_line.value == "year:2020 -mesh:cancer-of-Lung"
        pane.filter_line.value = "year:2020"
        await session.until(lambda: not pane.session.offered)
        assert "MeSH" not in session.head


async def test_escape_brings_the_query_and_the_hits_of_before(
    small: Catalogue, scripted: Desk
) -> None:
    async with running(make_app(small), WIDE, pane="search") as session:
        pane = await answered(session, scripted)
        await session.press("j", "slash")
        assert session.line.selected_text == QUERY
        await ask(session, scripted, "another")
        scripted.answer("another", HITS[:1])
        await session.settle()
        assert len(pane.hits) == 1
        await session.press("escape")
        assert (session.line.value, pane.session.text) == (QUERY, QUERY)
        assert (pane.hits, pane.cursor) == (HITS, 1)
        # And the filter, in its line.
        await session.press("f", *"year:2015", "enter", "f", *"year:2016", "escape")
        assert pane.session.filter == "year:2015"
        await session.press("escape", "escape")  # the request, then the filter
        assert pane.session.filter == ""
        await session.press("u")
        assert pane.session.filter == "year:2015"
