"""One ranking of the hits of several indexes, and the search process over real ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bioretrieval_tui.backend import protocol, server
from bioretrieval_tui.backend.server import Searching
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.errors import FilterError, InterruptedByUser, NotFoundError
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.vector_cache import Vectoriser, embedded_facts
from bioretrieval_tui.search.federated import Federation, merged
from bioretrieval_tui.search.types import Facet, Hit, Query, Scores, SearchResult
from homes import share_encoders


def hit(rank: int, name: str, dense: float = 0.0, lexical: float = 0.0, **other: Any) -> Hit:
    """A hit whose title and text are of its id alone."""
    title, text = other.pop("title", f"Title {name}"), other.pop("text", f"Text {name}")
    score = other.pop("score", dense + lexical)
    return Hit(rank, name, title, text, None, None, score, Scores(dense, lexical), other)


ONE = dict.fromkeys(("x", "y", *(f"index-{n}" for n in range(4))), "model")
"""All are encoded by one model."""
TWO = {"x": "model", "y": "another"}


def named(found: SearchResult) -> list[tuple[str, str]]:
    return [(one.index, one.id) for one in found.hits]


@st.composite
def results(draw: st.DrawFn) -> dict[str, SearchResult]:
    """Results of one to four indexes, with no work and no score twice."""
    sizes = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    numbers = st.lists(
        st.integers(-999, 999), unique=True, min_size=sum(sizes), max_size=sum(sizes)
    )
    scores = iter(draw(numbers))
    found = {}
    for place, size in enumerate(sizes):
        rows = sorted((next(scores) / 7 for _ in range(size)), reverse=True)
        found[f"index-{place}"] = SearchResult(
            tuple(hit(n, f"{place}-{n}", row, row / 3) for n, row in enumerate(rows, start=1))
        )
    return found


@settings(max_examples=40)
@given(results(), st.integers(1, 30), st.sampled_from(["hybrid", "dense", "lexical"]), st.data())
def test_the_ranking_is_of_the_hits_whatever_the_order_of_the_indexes(
    found: dict[str, SearchResult], k: int, mode: str, data: st.DataObject
) -> None:
    given_hits = {(name, one.id) for name, result in found.items() for one in result.hits}
    first = merged(found, k, mode, ONE)
    assert set(named(first)) <= given_hits
    assert len(first.hits) == min(k, len(given_hits))
    assert [one.rank for one in first.hits] == list(range(1, len(first.hits) + 1))
    assert [one.score for one in first.hits] == sorted((h.score for h in first.hits), reverse=True)
    order = data.draw(st.permutations(list(found)))
    again = merged({name: found[name] for name in order}, k, mode, ONE)
    assert named(again) == named(first)


@settings(max_examples=20)
@given(results(), st.sampled_from(["hybrid", "dense", "lexical"]))
def test_a_single_index_gives_its_own_hits(found: dict[str, SearchResult], mode: str) -> None:
    name, result = next(iter(found.items()))
    expected = tuple(replace(one, index=name) for one in result.hits)
    assert merged({name: result}, 10, mode, ONE).hits == expected


def test_both_halves_count_alike_in_hybrid() -> None:
    """In a plain sum "c" would be the first: BM25 scores vary more than similarities."""
    one = SearchResult((hit(1, "a", 0.9, 2.0), hit(2, "b", 0.1, 2.1)))
    two = SearchResult((hit(1, "c", 0.5, 2.45), hit(2, "d", 0.5, 1.5)))
    found = merged({"x": one, "y": two}, 4, "hybrid", ONE)
    assert [one.id for one in found.hits] == ["a", "c", "b", "d"]
    assert sum(one.score for one in found.hits) == pytest.approx(0.0)


def test_ranks_are_fused_where_the_models_differ() -> None:
    both = {"doi": "10.1/x", "title": "One work of two indexes"}
    one = SearchResult((hit(1, "a", 900.0), hit(2, "b", 800.0, **both)))
    two = SearchResult((hit(1, "c", 0.3), hit(2, "d", 0.2), hit(3, "e", 0.1, **both)))
    found = merged({"x": one, "y": two}, 9, "hybrid", TWO)
    assert [one.id for one in found.hits] == ["b", "a", "c", "d"]
    assert found.hits[0].score == pytest.approx(1 / 62 + 1 / 63)
    assert (found.hits[0].index, found.hits[0].also) == ("x", ("y",))
    # BM25 scores have one scale, whatever the vectors are.
    assert merged({"x": one, "y": two}, 1, "lexical", TWO).hits[0].score == 900.0


def test_the_indexes_of_a_model_are_one_ranking_before_ranks_are_fused() -> None:
    """An index without a relevant document does not get every third place."""
    work = {"pmid": "7"}
    found = merged(
        {
            "x": SearchResult((hit(1, "a", 0.9), hit(2, "b", 0.8), hit(3, "c", 0.7, **work))),
            "off": SearchResult((hit(1, "d", 0.1), hit(2, "e", 0.05, **work))),
            "y": SearchResult((hit(1, "f", 70.0), hit(2, "g", 60.0))),
        },
        9, "dense", {"x": "model", "off": "model", "y": "another"},
    )  # fmt: skip
    assert [one.id for one in found.hits] == ["a", "f", "b", "g", "c", "d"]
    # A work counts once in a ranking.
    assert found.hits[4].score == pytest.approx(1 / 63)
    assert found.hits[4].also == ("off",)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (hit(1, "7"), hit(1, "7"), True),
        (hit(1, "7", title="Asthma"), hit(1, "7", title="Migraine"), False),
        (hit(1, "7", title=""), hit(1, "7", title="", text="another"), False),
        (hit(1, "7", title="", text=""), hit(1, "8", title="", text=""), False),
        (hit(1, "7", title="Asthma", text="Wheeze."), hit(1, "8", title="ASTHMA", text="wheeze."),
         True),
        (hit(1, "7", pmid="123"), hit(1, "8", pmid="123"), True),
        (hit(1, "7", title="Same", pmid="123"), hit(1, "7", title="Same", pmid="456"), False),
        (hit(1, "7", title="Asthma in children", doi="10.1/A"),
         hit(1, "8", title="Asthma in children.", doi="10.1/a"), True),
    ],
)  # fmt: skip
def test_which_hits_are_one_work(one: Hit, other: Hit, same: bool) -> None:
    pair = {"x": SearchResult((one,)), "y": SearchResult((replace(other, score=1.0),))}
    found = merged(pair, 9, "lexical", ONE)
    expected = [("y", ("x",))] if same else [("y", ()), ("x", ())]
    assert [(one.index, one.also) for one in found.hits] == expected


def test_documents_of_one_index_stay_apart() -> None:
    twice = SearchResult((hit(1, "7", pmid="1"), hit(2, "8", pmid="1")))
    found = merged({"x": twice, "y": SearchResult((hit(1, "9", pmid="1"),))}, 9, "dense",
                   ONE)  # fmt: skip
    assert [(one.id, one.also) for one in found.hits] == [("7", ("y",)), ("8", ())]


def test_notes_and_dates() -> None:
    one = SearchResult(
        (hit(1, "a", 3.0, year=2001), hit(2, "b", 1.0)),
        fitting=7,
        note="odd",
    )
    two = SearchResult((hit(1, "c", 2.0, date="2001-05"),), fitting=1)
    found = merged({"x": one, "y": two}, 9, "dense", ONE, order="date")
    assert [one.id for one in found.hits] == ["c", "a", "b"]
    assert (found.fitting, found.note) == (8, "odd")
    both = {"x": one, "y": replace(two, note="odd", fitting=None)}
    found = merged(both, 1, "dense", ONE, order="date")
    assert [one.id for one in found.hits] == ["a"]  # of the best one
    assert (found.fitting, found.note) == (7, "odd")


@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
def test_a_document_that_the_query_names_comes_first(mode: str) -> None:
    one = SearchResult((hit(1, "a", 0.9, 9.0), hit(2, "b", 0.8, 8.0)))
    two = SearchResult((hit(1, "c", 0.1, 0.0), hit(2, "d", 0.2, 3.0)), named=1)
    found = merged({"x": one, "y": two}, 3, mode, ONE)
    assert [one.id for one in found.hits] == ["c", "a", "b"]
    assert found.hits[0].score == found.hits[1].score
    assert found.named == 1


# Real indexes -----------------------------------------------------------------------------------

STATINS = {"title": "Statins and muscle pain", "text": "Simvastatin causes myalgia.",
           "metadata": {"doi": "10.1/s", "year": 2012}}  # fmt: skip
CORPORA = {
    "one": [
        {"_id": "1", **STATINS},
        {"_id": "2", "title": "Asthma in children", "text": "Inhaled steroids help wheezing."},
    ],
    "two": [
        {"_id": "1", "title": "Zebrafish hearts", "text": "Hearts regenerate after injury."},
        {"_id": "9", **STATINS},
    ],
    "plain": [{"_id": "5", "title": "Myopathy", "text": "Muscle pain by statins."}],
}


@pytest.fixture(scope="module")
def built(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two indexes of the embedded model and one for BM25 alone."""
    home = share_encoders(tmp_path_factory.mktemp("built"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(home))
        for name, records in CORPORA.items():
            path = home / f"{name}.jsonl"
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
            source = Vectoriser(embedded_facts()) if name == "plain" else (lambda: encoder)
            build_index(name, [path], source)
    return home


@pytest.fixture
def searching(built: Path, home: Path) -> Searching:
    """A search process over copies of these indexes."""
    shutil.copytree(built / "data", home / "data")
    return Searching("cpu")


def ask(searching: Searching, *names: str, waits: bool = True, **query: Any) -> SearchResult:
    question = Query(text=query.pop("text", "muscle pain from statins"), **query)
    request = protocol.Search(names[0], question, waits=waits, also=names[1:])
    answer = searching(request, lambda _: None)
    assert isinstance(answer, SearchResult)
    return answer


def test_real_indexes_give_one_ranking(searching: Searching) -> None:
    found = ask(searching, "one", "two")
    assert (found.hits[0].index, found.hits[0].id, found.hits[0].also) == ("one", "1", ("two",))
    assert sorted(named(found)[1:]) == [("one", "2"), ("two", "1")]
    assert not found.pending
    assert all(one.scores.dense is not None for one in found.hits)
    alone = ask(searching, "two")
    assert {one.index for one in alone.hits} == {""}


def test_bm25_answers_until_every_model_was_tried(searching: Searching) -> None:
    found = ask(searching, "one", "plain", waits=False)
    assert found.pending
    assert all(one.scores.dense is None for one in found.hits)
    searching.load(protocol.Load("one"), lambda _: None)
    assert ask(searching, "one", "plain", waits=False).pending
    with pytest.raises(Exception, match="has no vectors"):
        searching.load(protocol.Load("plain"), lambda _: None)
    found = ask(searching, "one", "plain", waits=False)
    assert not found.pending
    assert {one.index: one.scores.dense is None for one in found.hits} == (
        {"one": False, "plain": True}
    )
    assert found.note == "plain by BM25 alone: no vectors"
    why = searching(protocol.Explain("plain", Query(text="statins"), ["5"]), lambda _: None)
    assert why[0].scores.lexical > 0  # type: ignore[index]
    dense = ask(searching, "one", "plain", mode="dense")
    assert {one.index for one in dense.hits} == {"one"}
    assert (dense.note, dense.left_out) == ("plain is left out: no vectors", ("plain",))
    # All are of BM25 if none has a model that loads.
    assert ask(searching, "plain", "gone").hits[0].score > 0.1


def test_facets_count_the_hits(searching: Searching) -> None:
    """A work of two indexes once; of a field that the filter names, as if it did not."""
    found = ask(searching, "one", "two", mode="lexical")
    assert found.among == len(found.hits)
    assert found.facets == (Facet("year", (("2012", 1),)),)
    found = ask(searching, "one", "two", where="year:..2000", mode="lexical", text="statins")
    assert (found.hits, found.fitting, found.facets) == ((), 0, (Facet("year", (("2012", 1),)),))


def test_a_failure_is_of_one_query(searching: Searching) -> None:
    indexes = Federation(("one", "plain"), lambda name: searching._engine(name, lambda _: None))
    asked = Query(text="statins", mode="lexical")
    assert indexes.search(replace(asked, where="year:2012")).left_out == ("plain",)
    assert indexes.search(asked).note is None


def test_an_index_that_fails_is_left_out(searching: Searching) -> None:
    found = ask(searching, "one", "gone", mode="lexical")
    assert found.note == "gone is left out: there is no index gone; did you mean one?"
    (index_folder("two") / "manifest.json").write_text("{")
    found = ask(searching, "two", "one", mode="lexical")
    assert {one.index for one in found.hits} == {"one"}
    assert (found.note or "").startswith("two is left out: index two: its manifest is damaged")
    found = ask(searching, "one", "plain", where="doi:10.1/s")
    assert named(found) == [("one", "1")]
    assert 'plain is left out: "doi" is not a field' in (found.note or "")
    with pytest.raises(FilterError, match="did you mean year"):
        ask(searching, "plain", "one", where="yaer:2012", mode="lexical")
    with pytest.raises(FilterError, match=r"there are .*doi.*year"):
        ask(searching, "plain", "one", where="no-such-field:1", mode="lexical")
    with pytest.raises(NotFoundError, match="no index gone"):
        ask(searching, "gone", "lost")


def test_an_interruption_is_no_fault_of_an_index() -> None:
    def interrupted(_: str) -> Any:
        raise InterruptedByUser("interrupted")

    with pytest.raises(InterruptedByUser):
        Federation(("one", "two"), interrupted)


def test_the_indexes_of_a_search_stay_open(
    searching: Searching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_KEPT_OPEN", 1)
    for _ in range(2):
        assert ask(searching, *CORPORA, mode="lexical").note is None
        assert set(searching._open) == set(CORPORA)
