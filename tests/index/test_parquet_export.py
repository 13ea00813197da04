"""An index as Parquet: exported and taken back equal, read by others, cut, altered, interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hashing_encoder import HashingEncoder, write_corpus
from index_help import deleted, feeding, never, of_hashing, record, tree, whole
from test_passages import LONG, OTHER, SHORT, hashing_windows

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import (
    BioRetrievalError,
    CorpusError,
    IndexFault,
    InterruptedByUser,
    NotFoundError,
    UsageError,
)
from bioretrieval_tui.index import parquet_export, parquet_import
from bioretrieval_tui.index.base import open_base
from bioretrieval_tui.index.build import BuildOutcome, add_to_index, build_index, compact_index
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.parquet_columns import (
    KEY,
)
from bioretrieval_tui.index.parquet_export import Exported, export_index
from bioretrieval_tui.index.parquet_import import IndexExport
from bioretrieval_tui.index.registry import manifest_of, open_index
from bioretrieval_tui.index.vector_cache import Vectoriser, embedded_facts
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import Query

ARTICLE = """<PubmedArticle><MedlineCitation><PMID Version="1">{0}</PMID>
<DateRevised><Year>2024</Year><Month>01</Month><Day>0{1}</Day></DateRevised>
<Article><Journal><ISSN>0140-6736</ISSN><JournalIssue><Volume>{1}</Volume><PubDate>
<Year>20{1}1</Year><Month>Mar</Month></PubDate></JournalIssue><Title>Lancet</Title></Journal>
<ArticleTitle>{2}</ArticleTitle><Pagination><MedlinePgn>12-{1}9</MedlinePgn></Pagination>
<ELocationID EIdType="doi">10.1000/x.{0}</ELocationID>
<Abstract><AbstractText>{3}</AbstractText></Abstract>
<AuthorList><Author><LastName>Öz</LastName><Initials>A</Initials></Author></AuthorList>
<Language>eng</Language></Article><MeshHeadingList><MeshHeading>
<DescriptorName MajorTopicYN="Y">Asthma</DescriptorName><QualifierName MajorTopicYN="N">drug therapy
</QualifierName></MeshHeading><MeshHeading><DescriptorName MajorTopicYN="N">{4}</DescriptorName>
</MeshHeading></MeshHeadingList></MedlineCitation></PubmedArticle>"""
PAPERS = (
    ("101", 1, "Steroids in asthma", "Inhaled steroids help children.", "Humans"),
    ("102", 2, "Γαλήνη und β-blocker", "中文 text 😀 of propranolol.", "Animals"),
    ("103", 3, "Herons", "Newts that herons eat.", "Birds"),
    ("104", 4, "Editorial", "", "Humans"),
    ("105", 5, "Owls", "Owls eat mice; mice eat grain.", "Humans"),
)
QUERIES = (
    "inhaled steroids",
    "propranolol",
    "herons eat",
    "owls mice",
    "newt lake",
    "β-blocker",
    "old n7",
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "demo.parquet"


@pytest.fixture
def papers(tmp_path: Path) -> Manifest:
    """An index `demo` of two segments: with a replaced and a deleted document, and aliases."""
    corpus, more = tmp_path / "papers.xml", tmp_path / "more.xml"
    head, tail = "<PubmedArticleSet>", "</PubmedArticleSet>"
    corpus.write_text(head + "".join(ARTICLE.format(*one) for one in PAPERS[:4]) + tail)
    changed = ("103", 9, "Herons", "Frogs that herons eat.", "Birds")
    twin = ("102b", *PAPERS[1][1:])
    added = "".join(ARTICLE.format(*one) for one in (PAPERS[4], changed))
    gone = "<DeleteCitation><PMID Version='1'>101</PMID></DeleteCitation>"
    more.write_text(head + added + gone + tail)
    build_index("demo", [corpus], HashingEncoder, ids="pmid")
    add_to_index("demo", [more], of_hashing)
    text = f"{twin[2]} {twin[3]}"
    own = [
        record(
            "b",
            "grain of the mill",
            "Mill",
            journal=3,
            doi=None,
            metadata="an own key",
            nested={"a": [1, {"b": 2}]},
        ),
        record("c", text, weight=0.1, big=2**60, year="in 1999", keywords=["x", 3], vector=[1.5]),
        record("d", text),
    ]
    return add_to_index("demo", feeding(own), of_hashing).manifest


def imported(path: Path | list[Path], name: str = "back") -> BuildOutcome:
    export = IndexExport(path if isinstance(path, list) else [path])
    return build_index(name, export.feed, export.vectoriser, ids=export.facts.ids)


def contents(name: str) -> dict[str, Any]:
    """All that an index holds of its living documents, in their order."""
    with open_base(name) as base:
        rows = [one for one in base.store.records() if one[0] not in base.dead]
        labels = np.array([label for label, _ in rows], dtype=np.int64)
        at = labels if base.passages is None else base.passages.rows_of(labels)[0]
        return {
            "records": [one for _, one in rows],
            "aliases": [base.store.aliases(label) for label, _ in rows],
            "longer": None if base.longer is None else [one in base.longer for one in labels],
            "vectors": base.matrix.halves(at).tobytes() if base.manifest.encoded else b"",
            "passages": None
            if base.passages is None
            else [base.passages.spans_of(one.document.content_hash()) for _, one in rows],
            "works": base.store.knows_works,
        }


FACTS = ("model revision recipe recipe_hash dimension similarity normalised ids documents aliases"
         " max_tokens longer passages")  # fmt: skip


def facts(manifest: Manifest) -> dict[str, Any]:
    fields = None if manifest.fields is None else manifest.fields.names
    return {name: getattr(manifest, name) for name in FACTS.split()} | {"fields": fields}


def hits(name: str, encoder: HashingEncoder, mode: str, where: str = "") -> list[Any]:
    dense = mode != "lexical"
    index = open_index(name, vectors=dense)
    with closing(SearchEngine(index, encoder if dense else None)) as engine:
        found = [
            engine.search(Query(text=text, k=5, mode=mode, where=where)).hits  # type: ignore[arg-type]
            for text in QUERIES
        ]
    return [[(hit.id, round(hit.score, 5), hit.title) for hit in some] for some in found]


def same(first: str, second: str, encoder: HashingEncoder | None = None) -> None:
    """Two indexes hold and answer the same; without an encoder they have no vectors."""
    assert contents(first) == contents(second)
    assert facts(manifest_of(first)) == facts(manifest_of(second))
    for mode in ("lexical", "dense", "hybrid") if encoder else ("lexical",):
        answers = hits(first, encoder or HashingEncoder(), mode)
        assert answers == hits(second, encoder or HashingEncoder(), mode)
        assert any(answers)
    assert verify_index(second).ok


# There and back -----------------------------------------------------------------------------------


def test_an_index_comes_back_equal(papers: Manifest, out: Path) -> None:
    assert (papers.documents, papers.rows, papers.aliases, len(papers.segments)) == (6, 8, 1, 3)
    assert export_index("demo", out) == Exported(6, 1, out.stat().st_size)
    outcome = imported(out)
    assert (outcome.report.encoded, outcome.report.kept) == (0, 6)
    (read,) = outcome.manifest.inputs
    assert (read.path, read.documents, read.format) == (str(out), 6, "parquet-export")
    assert contents("demo") == contents("back")
    # BM25 weighs words by all rows, until those of deleted documents are gone.
    compact_index("demo")
    same("demo", "back", HashingEncoder())
    where = 'mesh:Asthma journal:lancet year>=2031 author:"Öz A"'
    found = hits("back", HashingEncoder(), "lexical", where)
    assert found == hits("demo", HashingEncoder(), "lexical", where)
    assert any(found)
    assert tree() == whole(manifest_of("demo")) | whole(outcome.manifest)


def test_columns_have_the_values_of_the_fields(papers: Manifest, out: Path) -> None:
    export_index("demo", out)
    table = pq.read_table(out)
    assert table.schema.field("vector").type == pa.list_(pa.float32())
    assert table.schema.field("mesh").type == pa.list_(pa.string())
    rows = {one["id"]: one for one in table.to_pylist()}
    assert [*rows] == ["102", "104", "105", "103", "b", "c"]
    heron = rows["103"]
    assert (heron["text"], heron["journal"], heron["year"]) == (
        "Frogs that herons eat.", "Lancet", 2091,
    )  # fmt: skip
    assert (heron["mesh"], heron["mesh_major"]) == (["Asthma", "Birds"], ["Asthma"])
    assert (heron["doi"], heron["date"], heron["authors"]) == (
        "10.1000/x.103", "2091-03", ["Öz A"],
    )  # fmt: skip
    assert (rows["103"]["metadata"], rows["c"]["aliases"]) == (None, ["d"])
    assert msgspec.json.decode(rows["b"]["metadata"]) == {
        "doi": None, "journal": 3, "metadata": "an own key", "nested": {"a": [1, {"b": 2}]},
    }  # fmt: skip
    assert rows["c"]["year"] is rows["c"]["keywords"] is None
    assert msgspec.json.decode(rows["c"]["metadata"]) == {
        "weight": 0.1, "big": 2**60, "year": "in 1999", "keywords": ["x", 3], "vector": [1.5],
    }  # fmt: skip
    said = msgspec.json.decode(table.schema.metadata[KEY])
    assert (said["model"], said["dimension"], said["similarity"]) == ("test/hashing", 16, "cosine")
    assert (said["ids"], said["documents"], said["max_tokens"]) == ("pmid", 6, 256)
    assert said["recipe"]["pooling"] == "mean"


def test_a_folder_of_files(papers: Manifest, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    assert export_index("demo", folder, rows=4).files == 2
    names = [f"demo-0000{part}-of-00002.parquet" for part in (1, 2)]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [pq.read_metadata(folder / name).num_rows for name in names] == [4, 2]
    outcome = imported(folder)
    assert contents("demo") == contents("back")
    assert [one.documents for one in outcome.manifest.inputs] == [4, 2]
    # In any order, by their names too.
    imported([folder / name for name in reversed(names)])
    assert contents("demo") == contents("back")


def test_many_row_groups_and_windows(
    built: Manifest, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_export, "_GROUP", 70)
    monkeypatch.setattr(parquet_import, "_BATCH", 33)
    export_index("demo", out)
    assert pq.read_metadata(out).num_row_groups == 5
    imported(out)
    same("demo", "back", HashingEncoder())
    monkeypatch.setattr(parquet_export, "_GROUP_TEXT", 10)
    export_index("demo", out)
    assert pq.read_metadata(out).num_row_groups == 150
    imported(out)
    assert contents("demo") == contents("back")


def test_an_index_for_bm25_alone(out: Path) -> None:
    items = [record("a", "herons eat newts"), record("b", "owls mice", year=2001), deleted("a")]
    build_index("demo", feeding(items), Vectoriser(embedded_facts()))
    export_index("demo", out)
    assert not {"vector", "longer", "passages"} & {*pq.read_schema(out).names}
    outcome = imported(out)
    assert (outcome.manifest.encoded, outcome.manifest.documents) == (False, 1)
    compact_index("demo")
    same("demo", "back")


def test_passages_come_back(out: Path) -> None:
    items = [*SHORT, LONG, OTHER]
    build_index("demo", feeding(items), hashing_windows, passages=True)  # type: ignore[arg-type]  # has no Shape
    more = feeding([record("long", "heron"), record("last", LONG.document.text), deleted("gull")])
    add_to_index("demo", more, hashing_windows)  # type: ignore[arg-type]
    export_index("demo", out)
    rows = {one["id"]: one for one in pq.read_table(out).to_pylist()}
    assert rows["heron"]["passages"] is None
    assert rows["last"]["passages"][0]["vector"] == rows["last"]["vector"]
    places = [(one["start"], one["end"]) for one in rows["last"]["passages"]]
    assert [LONG.document.text[start:end].split()[0] for start, end in places] == [
        "heron", "owl", "frog", "lake", "crane",
    ]  # fmt: skip
    outcome = imported(out)
    assert (outcome.manifest.passages, outcome.manifest.vectors) == (True, 3 + 2 * 5)
    compact_index("demo")
    same("demo", "back", hashing_windows())
    # It is extended as the exported one would be.
    again = add_to_index("back", feeding([record("new", OTHER.document.text)]), never)  # type: ignore[arg-type]
    assert again.report.encoded == 0


def test_additions_and_fields_go_on(papers: Manifest, out: Path) -> None:
    export_index("demo", out)
    imported(out)
    outcome = add_to_index("back", feeding([record("new", "a lake"), deleted("104")]), of_hashing)
    assert (outcome.manifest.documents, outcome.report.encoded) == (6, 1)
    assert verify_index("back").ok
    # And exported again, the same rows come out.
    first, second = out.with_name("1.parquet"), out.with_name("2.parquet")
    imported(out)
    for path in (first, second):
        export_index("back", path)
    assert pq.read_table(first).equals(pq.read_table(out))
    assert first.read_bytes() == second.read_bytes()


# Other readers ----------------------------------------------------------------------------------


def reads_with_datasets(path: Path) -> Mapping[str, Any]:
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset("parquet", data_files=str(path), split="train",
                                  cache_dir=str(path.parent / "cache"))  # fmt: skip
    assert found.features["vector"].feature.dtype == "float32"
    return dict(found[0])


def reads_with_pandas(path: Path) -> Mapping[str, Any]:
    pandas = pytest.importorskip("pandas")
    return dict(pandas.read_parquet(path).iloc[0])


def reads_with_polars(path: Path) -> Mapping[str, Any]:
    polars = pytest.importorskip("polars")
    return dict(polars.read_parquet(path).row(0, named=True))


def reads_with_duckdb(path: Path) -> Mapping[str, Any]:
    duckdb = pytest.importorskip("duckdb")
    found = duckdb.read_parquet(str(path))
    return dict(zip(found.columns, found.fetchone(), strict=True))


@pytest.mark.parametrize(
    "reader", [reads_with_datasets, reads_with_pandas, reads_with_polars, reads_with_duckdb]
)
def test_other_readers(
    papers: Manifest, out: Path, reader: Callable[[Path], Mapping[str, Any]]
) -> None:
    export_index("demo", out)
    row = reader(out)
    assert (row["id"], row["year"], [*row["mesh"]]) == ("102", 2021, ["Asthma", "Animals"])
    assert row["text"] == "中文 text 😀 of propranolol."
    with open_base("demo") as base:
        mine = base.matrix.halves(np.array([1]))[0]
    assert np.array(row["vector"], dtype=np.float32).astype(np.float16).tobytes() == mine.tobytes()


# What is refused ----------------------------------------------------------------------------------


def refused(path: Path | list[Path], kind: type[BioRetrievalError], said: str) -> None:
    """An import ends in one line, and leaves an index of that name as it is."""
    before = tree()
    with pytest.raises(kind, match=said) as failed:
        imported(path, "demo")
    assert failed.value.remedy or kind is NotFoundError
    assert tree() == before
    assert verify_index("demo").ok


def rewritten(path: Path, change: Callable[[pa.Table], pa.Table]) -> Path:
    """A copy of an export in which the table is changed, and what is said of it kept."""
    table = pq.read_table(path)
    changed = change(table).replace_schema_metadata(table.schema.metadata)
    pq.write_table(changed, path.with_name("changed.parquet"))
    return path.with_name("changed.parquet")


def column(name: str, of: Callable[[list[Any]], list[Any]]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        at, field = table.schema.get_field_index(name), table.schema.field(name)
        return table.set_column(at, field, pa.array(of(table[name].to_pylist()), field.type))

    return change


def said_of(path: Path, **other: Any) -> Path:
    """A copy of an export that says other facts."""
    table = pq.read_table(path)
    facts = msgspec.json.decode(table.schema.metadata[KEY]) | other
    changed = table.replace_schema_metadata({KEY: msgspec.json.encode(facts)})
    pq.write_table(changed, path.with_name("said.parquet"))
    return path.with_name("said.parquet")


def test_what_is_no_export(papers: Manifest, out: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1"], "text": ["of others"]}), out)
    refused(out, UsageError, "was not written by `index export`")
    with pytest.raises(UsageError) as failed:
        imported(out)
    assert "index build" in failed.value.line()
    assert "index import-vectors" in failed.value.line()
    refused(tmp_path / "papers.xml", UsageError, "was not written by `index export`")
    out.write_bytes(b"PAR1 and then nothing of the kind PAR1")
    refused(out, CorpusError, "the Parquet data is damaged")
    refused(tmp_path / "no.parquet", NotFoundError, "there is no file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", NotFoundError, "holds no file")
    refused([], UsageError, "no export is named")


def test_a_file_that_was_cut(papers: Manifest, out: Path) -> None:
    export_index("demo", out)
    data = out.read_bytes()
    for length in (0, 3):
        out.write_bytes(data[:length])
        refused(out, UsageError, "was not written by")
    for length in (4, len(data) // 2, len(data) - 9, len(data) - 1):
        out.write_bytes(data[:length])
        refused(out, CorpusError, "the Parquet data is damaged")


def test_a_byte_that_was_altered(papers: Manifest, out: Path) -> None:
    export_index("demo", out)
    data = out.read_bytes()
    group = pq.read_metadata(out).row_group(0)
    for name in ("id", "text", "mesh.list.element", "metadata", "vector.list.element"):
        (found,) = [one for at in range(group.num_columns)
                    if (one := group.column(at)).path_in_schema == name]  # fmt: skip
        altered = bytearray(data)
        altered[found.data_page_offset + found.total_compressed_size - 3] ^= 4
        out.write_bytes(altered)
        refused(out, CorpusError, "the Parquet data is damaged")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (column("id", lambda ids: [ids[1], *ids[1:]]), "the document '104' is there twice"),
        (column("id", lambda ids: [None, *ids[1:]]), "lacks its id"),
        (column("text", lambda texts: [*texts[:-1], None]), "lacks its id, title, text"),
        (column("aliases", lambda of: [*of[:-1], ["104"]]), "the id '104' is there twice"),
        (column("aliases", lambda of: [["105"], *of[1:]]), "the document '105' is there twice"),
        (column("aliases", lambda of: [[None], *of[1:]]), "an alias of '102' is missing"),
        (column("metadata", lambda of: ["{", *of[1:]]), "the metadata of '102' are not JSON"),
        (column("metadata", lambda of: ["[" * 9999, *of[1:]]), "the metadata of '102' are not JSO"),
        (column("vector", lambda of: [None, *of[1:]]), "a vector has not 16 components"),
        (column("vector", lambda of: [of[0][1:], *of[1:]]), "a vector has not 16 components"),
        (column("vector", lambda of: [[0.1] * 16, *of[1:]]), "that float16 does not hold"),
        (column("vector", lambda of: [[1e30] * 16, *of[1:]]), "that float16 does not hold"),
        (column("vector", lambda of: [[float("nan")] * 16, *of[1:]]), "float16 does not hold"),
        (lambda table: table.slice(0, 4), "the export holds 4 documents, not 6"),
        (lambda table: table.drop_columns(["mesh"]), "it has no column mesh of list"),
        (
            lambda table: table.set_column(0, "id", table["id"].cast(pa.large_string())),
            "it has no column id of string",
        ),
    ],
)
def test_rows_that_were_changed(
    papers: Manifest, out: Path, change: Callable[[pa.Table], pa.Table], said: str
) -> None:
    export_index("demo", out)
    refused(rewritten(out, change), CorpusError, said)


def test_facts_that_were_changed(papers: Manifest, out: Path) -> None:
    export_index("demo", out)
    refused(said_of(out, version=2), CorpusError, "exported by another version of this program")
    refused(said_of(out, dimension="x"), CorpusError, "what it says of its index cannot be read")
    refused(said_of(out, recipe_hash="0"), CorpusError, "does not fit together")
    refused(said_of(out, documents=0), CorpusError, "does not fit together")
    refused(said_of(out, dimension=8), CorpusError, "a vector has not 8 components")


def test_parts_that_do_not_belong_together(papers: Manifest, tmp_path: Path) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    export_index("demo", first, rows=2)
    compact_index("demo")
    export_index("demo", other, rows=2)
    one, two, three = sorted(first.iterdir())
    refused([one, three], CorpusError, "part 2 of 3 is missing beside")
    refused(two, CorpusError, "part 1 of 3 is missing beside")
    refused([one, two, three, two], CorpusError, "are given twice")
    refused([one, two, other / three.name], UsageError, "are not of one export")


def test_passages_that_were_changed(out: Path) -> None:
    build_index("demo", feeding([LONG, *SHORT]), hashing_windows, passages=True)  # type: ignore[arg-type]
    export_index("demo", out)

    def with_first(**other: Any) -> Callable[[pa.Table], pa.Table]:
        return column("passages", lambda of: [[of[0][0] | other, *of[0][1:]], *of[1:]])

    for change in (
        with_first(end=10**6), with_first(start=-1), with_first(start=None),
        with_first(vector=[0.0] * 64), column("passages", lambda of: [[], *of[1:]]),
    ):  # fmt: skip
        refused(rewritten(out, change), CorpusError, "passages of a document are not those")


def test_a_file_that_changes_meanwhile(built: Manifest, out: Path) -> None:
    """The vectors are read by themselves: they must be those of the same documents."""
    export_index("demo", out)
    export = IndexExport([out])
    vectoriser = export.vectoriser
    vectoriser.start()
    with pytest.raises(CorpusError, match="its documents are others"):
        vectoriser.rows(0, [Document("new0")], lambda _: None)


def test_without_pyarrow(papers: Manifest, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_index("demo", out)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for call in (lambda: export_index("demo", out), lambda: imported(out)):
        with pytest.raises(BioRetrievalError, match="Parquet needs pyarrow") as failed:
            call()
        assert "bioretrieval-tui[parquet]" in failed.value.line()


# Where it is written ------------------------------------------------------------------------------


def test_places_that_cannot_be_written(papers: Manifest, out: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "folder.parquet").mkdir()
    for place, said in (
        (tmp_path / "there", "is there already"),
        (tmp_path / "papers.xml", "is there already"),
        (tmp_path / "folder.parquet", "is a folder"),
    ):
        with pytest.raises(UsageError, match=said):
            export_index("demo", place)
    with pytest.raises(UsageError, match="for a folder"):
        export_index("demo", out, rows=2)
    with pytest.raises(BioRetrievalError, match="cannot be written: No such file") as failed:
        export_index("demo", tmp_path / "no" / "where" / "a.parquet")
    assert failed.value.remedy
    with pytest.raises(NotFoundError, match="there is no index demos"):
        export_index("demos", out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["demo.parquet", "parts"])
def test_an_interrupt_leaves_nothing(built: Manifest, tmp_path: Path, name: str) -> None:
    def stop(step: Progress) -> None:
        if step.done:
            raise InterruptedByUser("stopped")

    before = sorted(tmp_path.iterdir())
    with pytest.raises(InterruptedByUser):
        export_index("demo", tmp_path / name, reporter=stop)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_is_there_is_kept_until_the_new_one_is_whole(
    built: Manifest, out: Path
) -> None:
    def stop(step: Progress) -> None:
        if step.done:
            raise InterruptedByUser("stopped")

    export_index("demo", out)
    data = out.read_bytes()
    with pytest.raises(InterruptedByUser):
        export_index("demo", out, reporter=stop)
    assert out.read_bytes() == data
    out.write_bytes(b"something else")
    export_index("demo", out)
    assert out.read_bytes() == data


def test_damage_of_the_index_is_found_first(papers: Manifest, out: Path) -> None:
    from bioretrieval_tui.index.layout import index_folder

    path = index_folder("demo") / papers.matrices()[0]
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexFault, match=r"vectors.f16 was altered"):
        export_index("demo", out)
    assert not out.exists()


CHILD = """
import os, resource, signal, sys
from pathlib import Path
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.parquet_export import export_index
out, at, room = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if room:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
def moment(step):
    if step.done == at and at:
        os.kill(os.getpid(), signal.SIGKILL)
try:
    export_index("demo", out, reporter=moment)
except BioRetrievalError as error:
    sys.exit(error.line())
"""


def child(out: Path, *, at: int = 0, room: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(out), str(at), str(room)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", ["demo.parquet", "parts"])
def test_killed_while_exporting(built: Manifest, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    before = {path.name for path in tmp_path.iterdir()}
    for at in (256, 300):
        assert child(out, at=at).returncode == -signal.SIGKILL
        assert not out.exists()
    done = child(out)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == before | {name}
    imported(out)
    assert contents("demo") == contents("back")


@pytest.mark.parametrize("room", [1, 3_000, 12_000])
def test_a_full_disk(tmp_path: Path, room: int) -> None:
    write_corpus(str(tmp_path / "corpus.jsonl"), "old", 300)
    build_index("demo", [tmp_path / "corpus.jsonl"], HashingEncoder)
    before = sorted(tmp_path.iterdir())
    done = child(tmp_path / "out.parquet", room=room)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'out.parquet'} cannot be written: ")
    assert len(done.stderr.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
