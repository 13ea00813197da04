"""Records of one work from several sources: what is the same, what is not, and how they merge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.documents.duplicates import Work, merged, same_journal
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.documents.store_writer import StoreOutcome, StoreWriter, Twin

TITLE = "Effect of diet on the survival of newts in shallow ponds"
SCIENCES = "Academy of Sciences of the United States of America"
WORK: dict[str, Any] = {
    "authors": ["Miller A", "Berg OP"],
    "journal": "Journal of Pond Research",
    "year": 2011,
    "volume": "3",
    "pages": "12-19",
}


def work(identifier: str = "x", title: str = TITLE, text: str = "", **fields: Any) -> Document:
    known = {**WORK, **fields}
    return Document(identifier, title, text, {k: v for k, v in known.items() if v is not None})


def same_work(one: Document, other: Document) -> str | None:
    return Work(one).same_as(Work(other))


def alike(one: Document, other: Document) -> bool:
    return Work(one).is_like(Work(other))


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ({"pmid": "5"}, {"pmid": "5", "title": "Ein anderer Titel"}, "same PMID"),
        ({"doi": "10.1000/X"}, {"doi": "10.1000/x"}, "same DOI"),
        ({"pmcid": "PMC7"}, {"pmcid": "PMC7", "title": ""}, "same PMC id"),
        # A title in the writing of another exporter.
        ({}, {"title": f"{TITLE.upper()}."}, "same title, first author and year"),
        ({}, {"title": f"[{TITLE}]", "year": 2012}, "same title, first author and year"),
        ({}, {"authors": ["Miller, Ada B."]}, "same title, first author and year"),
        ({}, {"journal": "J Pond Res", "pages": "12-9"}, "same title, first author and year"),
        (
            {},
            {"journal": None, "volume": None, "pages": "S12"},
            "same title, first author and year",
        ),
        (
            {"title": "TNF-\u03b1 &amp; <i>Rana</i> in the ponds of Europe"},
            {"title": "TNF-alpha and Rana in the ponds of Europe."},
            "same title, first author and year",
        ),
        (
            {},
            {"title": f"{TITLE}: a study of twelve years"},
            "same beginning of the title, author, volume and page",
        ),
        ({}, {"authors": ["MILLER A"]}, "same title, first author and year"),
        (
            {"authors": ["M\u00fcller A"]},
            {"authors": ["Mueller A"]},
            "same title, first author and year",
        ),
        (
            {"title": f"{TITLE}, and tumour"},
            {"title": f"{TITLE}, and tumor"},
            "same title, first author and year",
        ),
        (
            {"title": "Sepsis in adults"},
            {"title": "Sepsis in adults"},
            "same title, first author and year",
        ),
        ({}, {"authors": None}, "same title, volume and page"),
        ({}, {"volume": "Vol. 3"}, "same title, first author and year"),
        ({}, {"year": 2013}, "same title, first author and year"),
        # A translated title, by author and page.
        (
            {"doi": "10.1000/x"},
            {"doi": "10.1000/x", "title": "Supervivencia de los tritones"},
            "same DOI",
        ),
    ],
)
def test_the_same_work(one: dict[str, Any], other: dict[str, Any], why: str) -> None:
    first, second = work("a", **one), work("b", **other)
    assert same_work(first, second) == same_work(second, first) == why
    assert set(Work(first).keys()) & set(Work(second).keys())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # What has two identifiers of one kind is two works.
        ({"pmid": "5"}, {"pmid": "6"}),
        ({"doi": "10.1101/2020.01.01.1"}, {"doi": "10.1000/x"}),
        # The abstracts of a supplement share its DOI.
        (
            {"doi": "10.1000/s", "pages": None},
            {"doi": "10.1000/s", "title": "Owls over barley fields"},
        ),
        ({}, {"authors": ["Berg OP"]}),
        ({}, {"authors": ["Miller Y"]}),
        ({"pages": None}, {"year": 2014, "pages": None}),
        ({"pages": None}, {"year": None, "pages": None}),
        ({"pages": None}, {"authors": None, "pages": None}),
        (
            {"volume": None, "pages": None, "title": "Annual report of the pond registry"},
            {
                "volume": None,
                "pages": None,
                "title": "Annual report of the pond registry",
                "year": 2012,
            },
        ),
        (
            {"doi": "10.1186/s"},
            {"doi": "10.1186/s", "title": "Poster two: owls", "authors": ["C D"]},
        ),
        (
            {"doi": "10.1186/s", "title": "Effects of vancomycin on kidney injury in rats"},
            {
                "doi": "10.1186/s",
                "title": "Effects of gentamicin on liver injury in mice",
                "pages": None,
            },
        ),
        ({"volume": None, "pages": None}, {"volume": None, "pages": None, "types": ["Preprint"]}),
        (
            {"volume": None, "pages": None},
            {"volume": None, "pages": None, "doi": "10.1101/2020.01.01.1"},
        ),
        ({}, {"types": ["Conference Abstract"]}),
        ({}, {"types": ["Published Erratum"]}),
        # The abstract of a meeting, and the paper.
        ({}, {"journal": "Proceedings of the Pond Congress", "volume": None, "pages": None}),
        ({}, {"pages": "212-219"}),
        ({}, {"volume": "4"}),
        ({"title": "Editorial", "pages": None}, {"title": "Editorial"}),
        ({"title": f"{TITLE}. Part I"}, {"title": f"{TITLE}. Part II", "pages": None}),
        ({}, {"title": f"{TITLE}: a study of twelve years", "volume": None}),
    ],
)
def test_two_works(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = work("a", **one), work("b", **other)
    assert same_work(first, second) is same_work(second, first) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("N Engl J Med", "The New England Journal of Medicine", True),
        ("Proc Natl Acad Sci U S A", f"Proceedings of the National {SCIENCES}", True),
        ("BMJ (Clinical research ed.)", "BMJ", True),
        ("BMJ", "British Medical Journal", True),
        ("Lancet", "The Lancet", True),
        ("Nature", "Nature Medicine", False),
        ("J Biol Chem", "J Cell Biol", False),
    ],
)  # fmt: skip
def test_names_of_journals(one: str, other: str, same: bool) -> None:
    assert same_journal(one, other) is same_journal(other, one) is same


def test_titles_that_share_nothing_are_alike_only_by_their_texts() -> None:
    text = "We watched twelve ponds for a year and counted all of the newts and frogs."
    assert not alike(work(title="Herons", pages=None), work(title="Moss on walls"))
    assert alike(
        work(title="Garzas", text=text, pages=None), work(title="Herons", text=f"{text} (C)")
    )
    assert alike(work(title=""), work(title="Moss on walls"))


def test_merging_keeps_the_fuller_text_and_all_ids() -> None:
    scopus = work("10.1000/x", text="A longer abstract.", doi="10.1000/X", authors=["Miller A"])
    pubmed = work("5", text="Short.", doi="10.1000/x", pmid="5", mesh=["Ponds"])
    both = merged(scopus, pubmed)
    assert (both.id, both.text) == ("5", "A longer abstract.")
    assert both.metadata["authors"] == ["Miller A", "Berg OP"]
    assert both.metadata["mesh"] == ["Ponds"]
    assert merged(work("made:1"), work("WOS:1")).id == "WOS:1"


def written(path: Path, *records: Document, mode: Any, base: DocumentStore | None = None) -> Any:
    said = []
    with StoreWriter(path, base) as writer:
        writer.dedupe, writer.keeps_works = mode, True
        for number, one in enumerate(records, start=1):
            said.append((writer.add(Record(one, Place("f", number))), writer.twin))
        writer.finish()
    return said


SCOPUS = work("10.1000/x", text="A longer abstract.", doi="10.1000/X")
PUBMED = work("5", text="Short.", doi="10.1000/x", pmid="5", mesh=["Ponds"])
EMBASE = work("Embase:2011123456", title=f"{TITLE}.", text="Short")


@pytest.mark.parametrize("split", [False, True])
def test_the_store_names_or_merges_them(tmp_path: Path, split: bool) -> None:
    for mode in ("report", "merge"):
        path, more = tmp_path / f"{mode}.sqlite", tmp_path / f"{mode}2.sqlite"
        if split:  # an index that is extended
            said = written(path, SCOPUS, mode=mode)
            base = DocumentStore([path])
            said += written(more, PUBMED, EMBASE, PUBMED, mode=mode, base=base)
            base.close()
            store = DocumentStore([path, more])
        else:
            said = written(path, SCOPUS, PUBMED, EMBASE, PUBMED, mode=mode)
            store = DocumentStore([path])
        twin = Twin("10.1000/x", "same DOI")
        if mode == "report":
            assert [outcome for outcome, _ in said[:3]] == [StoreOutcome.NEW] * 3
            assert said[1][1] == twin
            assert said[2][1].why == "same title, first author and year"
            assert said[3] == (StoreOutcome.SAME, None)
        else:
            assert [outcome for outcome, _ in said] == [
                StoreOutcome.NEW,
                *[StoreOutcome.MERGED] * 2,
                StoreOutcome.SAME,
            ]
            assert said[1][1] == twin
            labels = {store.lookup(name).label for name in ("5", "10.1000/x", EMBASE.id)}
            assert len(labels) == 1
            label = labels.pop()
            assert set(store.aliases(label)) == {"10.1000/x", EMBASE.id}
        store.close()


def outcomes(path: Path, *records: tuple[str, Document], mode: Any = "report") -> list[str]:
    """What the store does with records of files, and the documents at its end, by id."""
    with StoreWriter(path) as writer:
        writer.dedupe, writer.keeps_works = mode, True
        said = [writer.add(Record(one, Place(file, 1))).value for file, one in records]
        writer.finish()
    return said


def stored(path: Path, identifier: str) -> Document:
    store = DocumentStore([path])
    found = store.find(identifier)
    store.close()
    assert found is not None
    return found[1]


def test_the_numbers_of_two_tables_are_no_ids(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    one, two = work("1", "Herons eat newts"), work("1", "Owls over barley fields", pages=None)
    corrected = work("1", "Herons eat newts in ponds")
    records = [("a", one), ("b", two), ("a", one), ("b", two), ("c", corrected)]
    assert outcomes(path, *records) == ["new", "new", "same", "same", "replaced"]
    # In one file, and without authors, an id is what it is.
    assert outcomes(tmp_path / "t.sqlite", ("a", one), ("a", two)) == ["new", "replaced"]
    plain = [Document("1", title, "", {}) for title in ("Herons eat newts", "Owls over barley")]
    assert outcomes(tmp_path / "u.sqlite", ("a", plain[0]), ("b", plain[1])) == ["new", "replaced"]


def test_an_empty_text_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    bare = work("5", pmid="5", keywords=["Ponds"])
    assert outcomes(path, ("a", PUBMED), ("b", bare), ("b", bare)) == ["new", "merged", "same"]
    found = stored(path, "5")
    assert (found.text, found.metadata["keywords"]) == ("Short.", ["Ponds"])


def test_the_later_revision_stands(tmp_path: Path) -> None:
    old, new = (work("5", text=f"Of {y}.", pmid="5", revised=f"{y}-01-01") for y in (2010, 2020))
    for mode in ("report", "merge"):
        path = tmp_path / f"{mode}.sqlite"
        said = outcomes(path, ("a", old), ("b", new), ("c", old), mode=mode)
        assert said == ["new", "replaced", "same"]
        assert stored(path, "5").text == "Of 2020."


def test_merging_one_id_of_two_sources(tmp_path: Path) -> None:
    scopus = work("5", text="A longer abstract.", pmid="5", doi="10.1000/X", pmcid="PMC7")
    path = tmp_path / "s.sqlite"
    assert outcomes(path, ("a", scopus), ("b", PUBMED), mode="merge") == ["new", "merged"]
    found = stored(path, "5")
    assert (found.text, found.metadata["pmcid"]) == ("A longer abstract.", "PMC7")
    assert found.metadata["mesh"] == ["Ponds"]


def test_equal_texts_under_two_ids_keep_the_fields_of_both(tmp_path: Path) -> None:
    scopus = work("10.1000/x", text="Short.", doi="10.1000/X")
    path = tmp_path / "s.sqlite"
    assert outcomes(path, ("a", scopus), ("b", PUBMED)) == ["new", "alias"]
    for name in ("5", "10.1000/x", "10.1000/X"):
        assert stored(path, name).metadata["pmid"] == "5"


def test_what_was_merged_stays_merged_and_what_was_kept_can_be_merged(tmp_path: Path) -> None:
    first, more, last = (tmp_path / f"{name}.sqlite" for name in "abc")
    written(first, SCOPUS, PUBMED, mode="merge")
    base = DocumentStore([first])
    again = written(more, SCOPUS, PUBMED, mode="report", base=base)
    assert [outcome for outcome, _ in again] == [StoreOutcome.SAME] * 2
    base.close()
    kept = tmp_path / "kept.sqlite"
    written(kept, SCOPUS, PUBMED, mode="report")
    base = DocumentStore([kept])
    joined = written(last, PUBMED, mode="merge", base=base)
    assert joined == [(StoreOutcome.MERGED, Twin("10.1000/x", "same DOI"))]
    base.close()
    store = DocumentStore([kept, last])
    assert store.lookup("5") == (2, False)
    assert store.lookup("10.1000/x") == (2, True)
    assert store.superseded() == [0, 1]
    store.close()


def test_a_shared_doi_joins_no_works(tmp_path: Path) -> None:
    one = Document("10.1000/s", "Herons eat newts in ponds", "A", {"doi": "10.1000/S"})
    two = Document("10.1000/s", "Owls over barley fields", "B", {"doi": "10.1000/S"})
    again = [(StoreOutcome.SAME, None)] * 2
    new = [(StoreOutcome.NEW, None)] * 2
    assert written(tmp_path / "s.sqlite", one, two, one, two, mode="report") == [*new, *again]
    # A corrected title is one work.
    better = Document("10.1000/s", "Herons eat newts in large ponds", "A", {"doi": "10.1000/s"})
    assert written(tmp_path / "t.sqlite", one, better, mode="report")[1][0] is StoreOutcome.REPLACED


def test_the_newest_version_of_a_pmid_stands(tmp_path: Path) -> None:
    old, new = (Document("7", f"T{n}", "", {"pmid_version": n} if n > 1 else {}) for n in (1, 2))
    path = tmp_path / "s.sqlite"
    said = written(path, new, old, Document("7", "T2b", "", {"pmid_version": 2}), mode="report")
    assert [outcome for outcome, _ in said] == [
        StoreOutcome.NEW,
        StoreOutcome.SAME,
        StoreOutcome.REPLACED,
    ]
    assert [outcome for outcome, _ in written(tmp_path / "t.sqlite", old, new, mode="off")] == [
        StoreOutcome.NEW,
        StoreOutcome.REPLACED,
    ]


IDS = [{}, {"doi": "10.1000/1"}, {"doi": "10.1000/2"}, {"pmid": "5"}, {"pmid": "6"}]
RECORDS = st.builds(
    lambda name, one, other, title, text: work(name, title, text, **{**one, **other}),
    st.sampled_from("abcdef"),
    st.sampled_from(IDS),
    st.sampled_from(IDS),
    st.sampled_from([TITLE, "Owls over the barley fields of Europe", "Editorial"]),
    st.sampled_from(["", "One.", "Another."]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(RECORDS, max_size=8), min_size=1, max_size=3))
def test_whatever_merges_every_id_leads_to_a_living_document(
    tmp_path_factory: pytest.TempPathFactory, segments: list[list[Document]]
) -> None:
    folder, died = tmp_path_factory.mktemp("works"), set[int]()
    paths: list[Path] = []
    for number, documents in enumerate(segments):
        base, path = DocumentStore(paths), folder / f"{number}.sqlite"
        with StoreWriter(path, base, frozenset(died)) as writer:
            writer.dedupe, writer.keeps_works = "merge", True
            for document in documents:
                writer.add(Record(document, Place("f")))
            writer.finish()
            died |= writer.died
        base.close()
        paths.append(path)
    store = DocumentStore(paths)
    added = {one.id for documents in segments for one in documents}
    labels = {name: found.label for name in added if (found := store.lookup(name))}
    assert labels.keys() == added
    assert not died & set(labels.values())
    assert sorted(died) == store.superseded()
    living = set(range(store.rows)) - died
    ids = store.ids(sorted(living))
    assert len(ids) == len(set(ids))
    for label, name in zip(sorted(living), ids, strict=True):
        assert store.lookup(name) == (label, False)
        assert all(store.lookup(alias) == (label, True) for alias in store.aliases(label))
    store.close()
