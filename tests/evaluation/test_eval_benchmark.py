"""Benchmark folders: what is read of them, what is said of them, what is refused and where."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from folders import CORPUS, QRELS, QUERIES, write_benchmark
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError
from bioretrieval_tui.evaluation.benchmark import find_parts, read_benchmark
from bioretrieval_tui.evaluation.topics import read_judgements, read_queries

# Letters that a line of either file can carry in an id, without those that end a line or a cell.
IDS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=20
)
GRADES = st.integers(-1_000, 1_000)


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_is_read_packed_or_not(tmp_path: Path, packed: bool) -> None:
    found = read_benchmark(write_benchmark(tmp_path / "tiny", packed=packed))
    assert (found.parts.name, found.parts.split) == ("tiny", "test")
    assert dict(found.queries) == {"q1": "muscle pain", "q2": "tumour gene"}
    assert found.judgements == QRELS
    assert found.judged() == ["d1", "d4", "d2"]
    assert any("1 query is without a judgement" in line for line in found.notes)
    assert any("1 of grade 2 or more, 0 of grade 0" in line for line in found.notes)


def test_the_checksum_is_of_all_three_files(tmp_path: Path) -> None:
    first = read_benchmark(write_benchmark(tmp_path / "a"))
    assert read_benchmark(write_benchmark(tmp_path / "b")).sha256 == first.sha256
    other = [
        write_benchmark(tmp_path / "c", corpus={**CORPUS, "d5": "more"}),
        write_benchmark(tmp_path / "d", queries={**QUERIES, "q2": "tumours"}),
        write_benchmark(tmp_path / "e", qrels={**QRELS, "q3": {"d3": 1}}),
    ]
    sums = {read_benchmark(folder).sha256 for folder in other}
    assert len(sums | {first.sha256}) == 4
    corpora = [read_benchmark(folder).corpus_sums for folder in other]
    assert [one == first.corpus_sums for one in corpora] == [False, True, True]


def test_whatever_the_scores_leave_out_is_counted_in_notes(tmp_path: Path) -> None:
    qrels = "q1\td1\t2\nq1\td1\t2\nq1\td1\t2.0\nq2\td2\t0\nq9\td1\t1\nq1\tgone\t-1\n"
    found = read_benchmark(write_benchmark(tmp_path, qrels=qrels))
    assert found.judgements == {"q1": {"d1": 2, "gone": -1}, "q2": {"d2": 0}}
    said = "\n".join(found.notes)
    for words in (
        "1 query is judged but not in queries.jsonl",
        "1 query is without a judgement in the split test: not run",
        "1 query is without a relevant document: scored 0",
        "2 judgements are given again, the first q1 d1 at ",
        "test.tsv:1 and 2, with the same grade",
        "1 of grade 2 or more, 2 of grade 0 or less",
    ):
        assert words in said


def test_a_plain_benchmark_has_no_notes(tmp_path: Path) -> None:
    qrels = {name: {"d1": 1} for name in QUERIES}
    assert read_benchmark(write_benchmark(tmp_path, qrels=qrels)).notes == ()


@pytest.mark.parametrize("header", ["", "query-id\tcorpus-id\tscore\n", "Query-ID\ta\tb\r\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_header_is_optional(tmp_path: Path, header: str, end: str) -> None:
    path = tmp_path / "test.tsv"
    path.write_bytes(f"{header}q1\td1\t1{end}{end}q2\td 2\t+0".encode())
    assert read_judgements(path).grades == {"q1": {"d1": 1}, "q2": {"d 2": 0}}


@pytest.mark.parametrize(
    ("qrels", "said"),
    [
        ("q1\td1\t1\nq1\td2\t0.5\n", "test.tsv:2: the grade '0.5' is no whole number"),
        (
            "q1\td1\t1\nq2\td2\t1\nq1\td1\t0\n",
            "test.tsv:3: query 'q1' and document 'd1' have the grade 0 here and 1 at ",
        ),
        ("q1\td1\tx\n", "test.tsv:1: the grade 'x' is no number"),
        ("q1\td1\tNaN\n", "test.tsv:1: the grade 'NaN' is no number"),
        ("q1\td1\t9999999\n", "test.tsv:1: the grade 9999999 is beyond 1,000"),
        ("q1\n", "test.tsv:1: 1 column where 3 (or 4 of TREC) are due"),
        ("q1 0 d1 2 1\n", "test.tsv:1: 5 columns where 3"),
        ("q1\t\t1\n", "test.tsv:1: the document id is empty"),
        ("query-id\tcorpus-id\tscore\nquery-id\tcorpus-id\tscore\n", "test.tsv:2: the grade"),
        ("q1\td\x001\t1\n", "test.tsv:1: the record holds a NUL character"),
        ("", "holds no judgement"),
        ("query-id\tcorpus-id\tscore\n", "holds no judgement"),
        ("z\td1\t1\n", "judges no query of queries.jsonl"),
    ],
)
def test_bad_judgements_are_refused_with_their_line(tmp_path: Path, qrels: str, said: str) -> None:
    folder = write_benchmark(tmp_path, qrels=qrels)
    with pytest.raises(CorpusError) as caught:
        read_benchmark(folder)
    assert said in caught.value.message
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"_id": "q1", "text": "a"}\nnot json\n', "queries.jsonl:2: "),
        ('{"_id": "q1", "text": "a"}\n["q1"]\n', "queries.jsonl:2: the record is a list"),
        ('{"text": "a"}\n', "queries.jsonl:1: `_id` is "),
        ('{"_id": "", "text": "a"}\n', "queries.jsonl:1: `_id` is "),
        ('{"_id": true, "text": "a"}\n', "queries.jsonl:1: `_id` is "),
        ('{"_id": "q1"}\n', "queries.jsonl:1: `text` is missing"),
        ('{"_id": "q1", "text": 5}\n', "queries.jsonl:1: `text` is missing or no text"),
        ('{"_id": "q1", "text": "a\\u0000b"}\n', "queries.jsonl:1: the record holds a NUL"),
        ('\n{"_id": "q1", "text": " \\t"}\n', "queries.jsonl:2: query 'q1' has no text"),
        ('{"_id": "q1", "text": "a"}\n{"_id": "q1", "text": "b"}\n', "queries.jsonl:2: query 'q1'"),
        ("", "holds no query"),
    ],
)
def test_bad_queries_are_refused_with_their_line(tmp_path: Path, lines: str, said: str) -> None:
    folder = write_benchmark(tmp_path)
    (folder / "queries.jsonl").write_text(lines)
    with pytest.raises(CorpusError) as caught:
        read_benchmark(folder)
    assert said in caught.value.message


def test_an_empty_query_without_judgements_is_accepted(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path, queries={**QUERIES, "q9": " "})
    assert list(read_benchmark(folder).queries) == ["q1", "q2"]


def test_numbers_serve_as_ids(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path, qrels="7\td1\t1\n")
    (folder / "queries.jsonl").write_text('{"_id": 7, "text": "seven"}\n')
    assert dict(read_benchmark(folder).queries) == {"7": "seven"}


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_benchmark(tmp_path / "tiny")
    (folder / name).unlink()
    with pytest.raises(NotFoundError, match=name.partition("/")[0]):
        read_benchmark(folder)


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is not there"):
        read_benchmark(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotFoundError, match="is a file, not a folder"):
        read_benchmark(tmp_path / "file")
    with pytest.raises(BioRetrievalError):
        read_benchmark(tmp_path / ("n" * 300))


def test_splits(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path, split="dev")
    only = read_benchmark(folder)
    assert only.parts.split == "dev"
    assert "there is no split test; dev is the only one" in only.notes
    with pytest.raises(NotFoundError, match="has no split test") as caught:
        find_parts(folder, "test")
    assert (caught.value.exit_code, caught.value.remedy) == (3, "its splits: dev")
    write_benchmark(tmp_path, split="train")
    with pytest.raises(NotFoundError, match="no split test"):
        find_parts(folder)
    assert find_parts(folder, "train").splits == ("dev", "train")
    with pytest.raises(NotFoundError):
        find_parts(folder, "../qrels/dev")


@given(st.dictionaries(IDS, st.dictionaries(IDS, GRADES, min_size=1, max_size=4), min_size=1))
def test_judgements_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, grades: dict[str, dict[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("qrels") / "test.tsv"
    lines = [f"{q}\t{d}\t{g}\n" for q, graded in grades.items() for d, g in graded.items()]
    path.write_text("query-id\tcorpus-id\tscore\n" + "".join(lines), encoding="utf-8")
    assert read_judgements(path).grades == grades


@given(st.dictionaries(IDS, st.text(st.characters(exclude_categories=("Cs",))).map(
    lambda text: text.replace("\0", " ")), min_size=1))  # fmt: skip
def test_queries_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("queries") / "queries.jsonl"
    lines = (json.dumps({"_id": name, "text": text}) + "\n" for name, text in texts.items())
    path.write_text("".join(lines), encoding="utf-8")
    assert read_queries(path).texts == texts


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-16")))
def test_no_bytes_raise_anything_but_our_own_errors(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "file"
    path.write_bytes(data)
    for read in (read_queries, read_judgements):
        with contextlib.suppress(CorpusError):
            assert read(path) is not None


# --- other forms


@pytest.mark.parametrize(
    "qrels",
    [
        "q1 0 d1 2\nq1 0 d4 1\nq2 0 d2 1\n",
        "q1\t0\td1\t2\r\nq1\t0\td4\t1\r\nq2\t0\td2\t1\r\n",
        "q1 Q0 d1 2.0\nq1  Q0   d4 1.0\nq2 Q0 d2 1e0\n",
        "q1 d1 2\nq1 d4 1\nq2 d2 1\n",
        "query-id\tcorpus-id\tscore\nq1\td1\t2.0\nq1\td4\t1.00\nq2\td2\t+1\n",
        "qid iter docno rel\nq1 0 d1 2\nq1 0 d4 1\nq2 0 d2 1\n",
        "topic-id,iteration,cord-id,judgement\nq1,1,d1,2\nq1,1,d4,1\nq2,2,d2,1\n",
        "corpus-id\tquery-id\tscore\nd1\tq1\t2\nd4\tq1\t1\nd2\tq2\t1\n",
        "".join(
            json.dumps({"query-id": query, "corpus-id": document, "score": float(grade)}) + "\n"
            for query, graded in QRELS.items()
            for document, grade in graded.items()
        ),
    ],
    ids=["trec", "tabs", "floats", "blanks", "beir", "header", "csv", "order", "jsonl"],
)
def test_forms_of_judgements(tmp_path: Path, qrels: str) -> None:
    path = tmp_path / "qrels.txt"
    path.write_text(qrels)
    assert read_judgements(path).grades == QRELS


TOPICS = {
    "sgml": (
        (
            "<top>\n"
            "<num> Number: q1\n"
            "<title> muscle pain\n"
            "\n"
            "<desc> Description:\n"
            "Does it hurt?\n"
            "\n"
            "<narr> Narrative:\n"
            "Any.\n"
            "</top>\n"
            "\n"
            "<top>\n"
            "<num> Number: q2 <title> Topic: tumour\n"
            "gene\n"
            "<desc> Description: x\n"
            "</top>\n"
        ),
        "title",
    ),
    "covid": (
        (
            '<?xml version="1.0"?><topics task="COVID-19"><topic'
            ' number="q1"><query>pain</query><question>muscle'
            " pain</question><narrative>n</narrative></topic>\n"
            "<topic number='q2'><query>q</query><question>tumour"
            " &#103;ene</question></topic></topics>"
        ),
        "question",
    ),
    "precision": (
        (
            "<topics><topic"
            ' number="q1"><disease>muscle</disease><gene>pain</gene></topic><topic'
            ' number="q2"><disease>tumour</disease>\n'
            "<gene>gene</gene></topic></topics>"
        ),
        "text",
    ),
    "trials": (
        (
            '<topics task="2021"><topic number="q1">\n'
            "muscle\n"
            'pain</topic><topic number="q2">tumour gene\n'
            "</topic></topics>"
        ),
        "text",
    ),
    "summary": (
        (
            '<topics><topic number="q1"'
            ' type="test"><description>long</description><summary>muscle'
            ' pain</summary></topic><topic number="q2"><summary>tumour'
            " gene</summary></topic></topics>"
        ),
        "summary",
    ),
    "fields": (
        (
            '<topics><topic number="q1" template="t"><field'
            ' name="a">muscle</field><field name="b">pain</field></topic><topic'
            ' number="q2"><field name="a">tumour gene</field></topic></topics>'
        ),
        "text",
    ),
    "clef": (
        (
            "<queries><query><id>q1</id><title>muscle"
            " pain</title></query><query><id>q2</id><title>tumour"
            " gene</title></query></queries>"
        ),
        "title",
    ),
    "tsv": (
        ("q1\tmuscle pain\nq2\ttumour gene\n"),
        None,
    ),
    "header": (
        ("query_id\ttext\nq1\tmuscle pain\nq2\ttumour gene\n"),
        None,
    ),
    "csv": (
        ('qid,type,query\nq1,a,"muscle pain"\nq2,b,tumour gene\n'),
        None,
    ),
    "jsonl": (
        (
            '{"query-id": "q1", "query": "muscle pain"}\n'
            '{"query-id": "q2", "query": "tumour gene"}\n'
        ),
        None,
    ),
    "bioasq": (
        (
            '{"questions": [{"id": "q1", "body": "muscle pain"},\n'
            '{"body": "tumour gene", "id": "q2", "type": "list"}]}'
        ),
        None,
    ),
}


@pytest.mark.parametrize("form", TOPICS)
def test_forms_of_queries(tmp_path: Path, form: str) -> None:
    text, asked = TOPICS[form]
    path = tmp_path / "topics"
    path.write_text(text)
    found = read_queries(path)
    assert found.texts == {"q1": "muscle pain", "q2": "tumour gene"}
    assert found.asked == asked


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<top><title> a </top>", "topics:1: the topic's number is empty"),
        (
            "\n<top><num>1<title></top>\n<top><num>1<title>b</top>",
            "topics:3: query '1' has another",
        ),
        ("<html><p>x</p></html>", "holds no query"),
        ("<topic <topic", "holds no query"),
        ("q1\ta\tb\n", "topics:1: 3 columns where 2 are due"),
        ("q1\ta\nq1\tb\n", "topics:2: query 'q1' has another text at "),
    ],
)
def test_bad_topics_are_refused_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "topics").write_text(text)
    with pytest.raises(CorpusError) as caught:
        read_queries(tmp_path / "topics")
    assert said in caught.value.message


def test_a_query_given_again_is_said(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path)
    line = '{"_id": "q1", "text": "muscle pain"}\n'
    (folder / "queries.jsonl").write_text(line * 2)
    (note,) = [one for one in read_benchmark(folder).notes if "given again" in one]
    assert note.startswith("1 query is given again: q1 at ")
    assert note.endswith("queries.jsonl:1 and 2, with the same text")


LAYOUTS = {
    "hub": ("corpus/corpus-00000-of-00001.parquet", "queries/queries-00000-of-00001.parquet",
            "qrels/test-00000-of-00001.parquet"),
    "mteb": ("corpus/test-00000-of-00001.parquet", "queries/test-00000-of-00001.parquet",
             "data/test-00000-of-00001.parquet"),
    "converted": ("corpus/corpus/0000.parquet", "queries/queries/0000.parquet",
                  "default/test/0000.parquet"),
    "beir on the hub": ("corpus.jsonl.gz", "queries.jsonl.gz", "scifact-qrels/test.tsv"),
    "old mteb": ("corpus.jsonl", "queries.jsonl", "qrels/test.jsonl"),
    "trec": ("corpus.csv", "topics.xml", "qrels.txt"),
    "trec-covid": ("metadata.csv", "topics-rnd5.xml", "qrels-test.txt"),
    "medline": ("documents/a.nbib", "topics.txt", "test.qrels"),
    "gzipped": ("corpus.tsv.gz", "queries.tsv.gz", "qrels/test.tsv.gz"),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str) -> None:
    for name in (*LAYOUTS[layout], "README.md", "corpus/README.md", ".cache/corpus.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    parts = find_parts(tmp_path)
    found = [parts.corpus, parts.queries, parts.qrels]
    assert [[str(path.relative_to(tmp_path)) for path in paths] for paths in found] == [
        [name] for name in LAYOUTS[layout]
    ]
    assert parts.split == "test"


def test_shards_and_splits_of_the_hub(tmp_path: Path) -> None:
    for name in ("corpus/train-00000-of-00002.parquet", "corpus/train-00001-of-00002.parquet",
                 "queries/queries-00000-of-00001.parquet", "qrels/test-00000-of-00002.parquet",
                 "qrels/test-00001-of-00002.parquet",
                 "qrels/train-00000-of-00001.parquet"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    parts = find_parts(tmp_path)
    assert [path.name[:11] for path in parts.corpus] == ["train-00000", "train-00001"]
    assert [path.name[:10] for path in parts.qrels] == ["test-00000", "test-00001"]
    assert parts.splits == ("test", "train")


def test_parquet_is_read_as_the_hub_has_it(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    qrels = [(q, d, g) for q, graded in QRELS.items() for d, g in graded.items()]
    names = ("query-id", "corpus-id", "score")
    for name, columns in {
        "corpus/corpus-00000-of-00001": {"_id": [*CORPUS], "title": [""] * 4,
                                         "text": [*CORPUS.values()]},
        "queries/queries-00000-of-00001": {"_id": [*QUERIES], "text": [*QUERIES.values()]},
        "qrels/test-00000-of-00001": dict(zip(names, map(list, zip(*qrels, strict=True)),
                                              strict=True)),
    }.items():  # fmt: skip
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir()
        parquet.write_table(arrow.table(columns), path)
    found = read_benchmark(tmp_path)
    assert found.judgements == QRELS
    assert dict(found.queries) == {"q1": "muscle pain", "q2": "tumour gene"}
