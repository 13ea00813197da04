"""Examples from judgements, files of pairs and texts: what is kept, what is told, what is split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.training.examples import (
    Example,
    checked,
    conclusion_pairs,
    file_pairs,
    held_out,
    judged_pairs,
    sentence_pairs,
    text_key,
    text_of,
    title_pairs,
)
from bioretrieval_tui.util.folding import equal_key

Told = tuple[str, str, list[str]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))


def told(examples: Sequence[Example]) -> list[Told]:
    """Query, positive and negatives of each as text."""
    return [(one.query, text_of(one.positive), list(map(text_of, one.negatives)))
            for one in examples]  # fmt: skip


def read(path: Path, content: str | bytes) -> list[Told]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return told(file_pairs(path).examples)


def lines(*records: Any) -> str:
    return "".join(json.dumps(one) + "\n" for one in records)


PAIRED = {"query": "a", "positive": "b"}
PAIR = lines(PAIRED)


# Files of pairs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("p.jsonl", lines({"query": "a b", "positive": "c d"}), [("a b", "c d", [])]),
        ("p.jsonl", lines({"anchor": "a", "pos": ["c"], "neg": ["x", "y"]}),
         [("a", "c", ["x", "y"])]),
        ("p.jsonl", lines({"question": "a", "answer": {"title": "T", "text": "c", "_id": 7}}),
         [("a", "T c", [])]),
        ("p.json", json.dumps([{"query": "a", "positive": "c"}]), [("a", "c", [])]),
        ("p.tsv", "query\tpositive\tnegative_1\tnegative_2\na\tc\tx\ty\n",
         [("a", "c", ["x", "y"])]),
        ("p.csv", 'query,positive,hard_negative\na,"c,\nd",\n', [("a", "c,\nd", [])]),
        ("p.csv", "sentence1,sentence2,label\na,c,1.0\na,x,0\n", [("a", "c", ["x"])]),
        ("p.csv", "\ufeffQuery,Positive\r\na,c\r\n", [("a", "c", [])]),
        # The order of scores, and how a query is written, do not count.
        ("p.jsonl", lines({"query": "A-b", "positive": "x", "score": "-1"},
                          {"query": "a B", "positive": "c", "score": None}), [("a B", "c", ["x"])]),
        # A negative that answers the query, is it, is empty or stands twice as a positive is none.
        ("p.jsonl", lines({"query": "a", "positive": "c", "negatives": ["d", "", "A", "x", "C"]},
                          {"query": "a", "positive": "d"}), [("a", "c", ["x"]), ("a", "d", [])]),
    ],
)  # fmt: skip
def test_pairs_of_a_file(tmp_path: Path, name: str, content: str, expected: list[Told]) -> None:
    assert read(tmp_path / name, content) == expected


def test_pairs_of_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = {"query": ["a", "b"], "positive": ["c", "d"], "negatives": [["x", "y"], None],
             "score": [0.5, 0.0]}  # fmt: skip
    parquet.write_table(pyarrow.table(table), tmp_path / "p.parquet")
    found = file_pairs(tmp_path / "p.parquet")
    assert told(found.examples) == [("a", "c", ["x", "y"])]
    assert found.skipped == {"queries with negatives only": 1}


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        (PAIR + lines({"query": "a"}), ":2", "no column positive among query"),
        (lines({"query": 5, "positive": "c"}), ":1", "its query is no text: 5"),
        (lines({"query": "a", "positive": 5}), ":1", "a document is no text: 5"),
        (lines({"query": "a", "positive": ["b", "c"]}), ":1", "2 positives; write a record for"),
        (lines({"query": "a", "positive": []}), ":1", "0 positives"),
        (lines({"query": "a", "positive": {"text": ["b"]}}), ":1", "`text` is a list, not text"),
        (lines({**PAIRED, "negatives": [["c"]]}), ":1", "a document is no text"),
        (lines({"query": "a", "positive": "b\0"}), ":1", "holds a NUL character"),
        (lines({"query": "a\0", "positive": "b"}), ":1", "holds a NUL character"),
        (lines({**PAIRED, "negative": "\0"}), ":1", "holds a NUL character"),
        (lines({**PAIRED, "score": "high"}), ":1", "its score is no number: 'high'"),
        (lines({**PAIRED, "score": "nan"}), ":1", "its score is no number: 'nan'"),
        (lines({**PAIRED, "label": [1]}), ":1", "its score is no number: [1]"),
        (lines({**PAIRED, "weight": 0}), ":1", "its weight is not above 0: 0"),
        (PAIR + '{"query": "a", "positive": "b\n', ":2", "not JSON"),
        ('{"query": "a",\n "positive": "b"\n', ": byte 0: ", "ends within the record"),
        ('{"query": "a"}\n[1]\n', ":1", "no column positive"),
        ("query,positive\na,b\na,b,c\n", ":3", "3 columns, but the header has 2"),
        ('query,positive\na,"b\nc\n', ":2", "end of data"),
        ("query,positive\na,\xff\n".encode("latin-1"), ":2", "UTF-8"),
    ],
)  # fmt: skip
def test_a_malformed_record_is_named(
    tmp_path: Path, content: str | bytes, place: str, reason: str
) -> None:
    path = tmp_path / "pairs"
    with pytest.raises(CorpusError) as error:
        read(path, content)
    said = error.value.line()
    assert said.startswith(f"{path}{place}")
    assert reason in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", ""),
        ("query,positive\n", ""),
        ("query,positive\n ,b\na,- -\n", "2 empty texts"),
        (lines({"query": "a", "positive": None}), "1 empty texts"),
        ("query,positive\nA b,a-B\n", "1 query and document equal"),
        ("query,positive,score\na,b,0\na,c,0\nd,e,-1\n", "2 queries with negatives only"),
    ],
)
def test_no_pair_is_left_and_why(tmp_path: Path, content: str, why: str) -> None:
    with pytest.raises(CorpusError, match="no pair is left") as error:
        read(tmp_path / "p.csv", content)
    assert why in error.value.line()


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("query,positive,weight\na,b,2\nA,B,1\na,c,\n,d,1\n")
    found = file_pairs(path)
    assert found.skipped == {"the same pair again": 1, "empty texts": 1}
    assert [one.weight for one in found.examples] == [2.0, 1.0]
    assert [one.path for one in found.inputs] == [str(path)]
    assert len(found.inputs[0].sha256) == 64
    assert [query for query, _ in found.texts()] == ["a", "a"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"none\.csv"):
        file_pairs(tmp_path / "none.csv")


# Judgements -----------------------------------------------------------------------------------


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    folder = tmp_path / "bench"
    (folder / "qrels").mkdir(parents=True)
    corpus = ({"_id": name, "title": "", "text": f"text {name}"} for name in "cdx")
    (folder / "corpus.jsonl").write_text(lines(*corpus))
    queries = ({"_id": f"q{n}", "text": f"query {n}"} for n in (1, 2, 3))
    (folder / "queries.jsonl").write_text(lines(*queries))
    rows = ("q1\tc\t2", "q1\td\t1", "q1\tx\t0", "q2\tgone\t1", "q3\tx\t-1")
    (folder / "qrels" / "train.tsv").write_text(
        "\n".join(("query-id\tcorpus-id\tscore", *rows, "")))  # fmt: skip
    return folder


def test_judged_pairs(benchmark: Path) -> None:
    corpus = {name: Document(name, "", f"text {name}") for name in "cdx"}
    found = judged_pairs(benchmark, corpus)
    assert told(found.examples) == [
        ("query 1", "text c", ["text x"]),
        ("query 1", "text d", ["text x"]),
    ]
    assert [one.query_id for one in found.examples] == ["q1", "q1"]
    assert found.skipped == {"judged documents that the corpus lacks": 1}
    assert len(found.inputs) == 3
    assert "train" in found.description
    with pytest.raises(CorpusError, match="5 judged documents that the corpus lacks"):
        judged_pairs(benchmark, {})


# Texts ----------------------------------------------------------------------------------------

SENTENCES = ["One fish is red.", "Two fish are very blue.", "Three fish swim far away."]


def test_a_title_asks_for_its_text() -> None:
    documents = [
        Document("1", "A title of five words", " ".join(SENTENCES)),
        Document("2", "Editorial", " ".join(SENTENCES)),
        Document("3", "A title of five words", "Short."),
        Document("4", "A  Title of five-words", " ".join(SENTENCES)),
    ]
    found = title_pairs(documents, "x", [])
    assert told(found.examples) == [("A title of five words", " ".join(SENTENCES), [])]
    assert sum(found.skipped.values()) == 3


def test_a_sentence_asks_for_the_rest() -> None:
    text = " ".join(SENTENCES)
    documents = [Document(f"{n}", f"Title {n}", f"{text} Number {n} is the last one.")
                 for n in range(200)]  # fmt: skip
    documents.append(Document("one", "", SENTENCES[0]))
    found = sentence_pairs(documents, "x", [])
    assert found == sentence_pairs(documents, "x", [])
    assert found.examples != sentence_pairs(documents, "x", [], seed=1).examples
    assert found.skipped == {"of fewer than two sentences": 1}
    stays = 0
    for one, document in zip(found.examples, documents, strict=False):
        assert one.query in document.text
        assert one.positive.title == document.title
        stays += one.positive.text == document.text
        if one.positive.text != document.text:
            assert sorted(f"{one.query} {one.positive.text}".split()) == sorted(
                document.text.split()
            )
    assert 5 < stays < 40


@pytest.mark.parametrize(
    ("text", "conclusion", "rest"),
    [
        ("RESULTS: It was so good here.\nCONCLUSIONS: We know what it is.",
         "We know what it is.", "RESULTS: It was so good here."),
        ("Results It was so good here. Conclusions/Significance: We know what it is.",
         "We know what it is.", "Results It was so good here."),
        ("It was all good.\nCONCLUSIONS AND RELEVANCE: We know it.\nTRIAL NUMBER: NCT00000001",
         None, None),
        ("It was all good.\nConclusions and relevance: We know what it is.\nFunding: Nobody.",
         "We know what it is.", "It was all good.\nFunding: Nobody."),
        ("It was all good here. CONCLUSION: We know what it is. TRIAL REGISTRATION: NCT00000001",
         "We know what it is.", "It was all good here.\nTRIAL REGISTRATION: NCT00000001"),
        ("It was all good here. [Conclusion] We know what it is. Trial registration: NCT00000001",
         "We know what it is.", "It was all good here.\nTrial registration: NCT00000001"),
        ("CONCLUSION: Nothing was before it at all.", None, None),
        ("It was all good here and the Conclusions: We know what it is.", None, None),
        ("It was all good here. CONCLUSION: Yes.", None, None),
        ("It was all good here. In conclusion, we know what it is.", None, None),
    ],
)  # fmt: skip
def test_a_conclusion_asks_for_the_rest(
    text: str, conclusion: str | None, rest: str | None
) -> None:
    documents = [Document("1", "", "A text of words.\nINTERPRETATION: We know what it is not."),
                 Document("2", "Title", text)]  # fmt: skip
    found = conclusion_pairs(documents, "x", [])
    expected = [] if conclusion is None else [(conclusion, f"Title {rest}", [])]
    assert told(found.examples)[1:] == expected
    assert found.skipped == ({"without a conclusion under a heading": 1} if not conclusion else {})


# Any examples -----------------------------------------------------------------------------------

_TEXTS = st.text(alphabet="ab -\u00c9\u00e9\n", max_size=4)
_EXAMPLES = st.lists(
    st.builds(
        lambda query, positive, negatives, scored: Example(
            "", query, Document("", "", positive), tuple(Document("", one) for one in negatives),
            scores=tuple(float(n) for n in range(len(negatives) + 1)) if scored else (),
        ),
        _TEXTS, _TEXTS, st.lists(_TEXTS, max_size=3), st.booleans(),
    ),
    max_size=30,
)  # fmt: skip


@given(st.text(max_size=20), st.text(alphabet="aA -_\t\x1f\u00e9\u2010", max_size=6))
def test_keys_are_equal_where_texts_are(one: str, other: str) -> None:
    for text in (one, other, other.upper(), f" {one}-", one + other):
        key = equal_key(text)
        assert text_key(text) == text_key(key)
        assert (text_key(text) == b"") == (key == "")
    assert (text_key(one) == text_key(other)) == (equal_key(one) == equal_key(other))


@given(_EXAMPLES)
def test_what_is_kept_teaches_something(examples: list[Example]) -> None:
    try:
        found = checked("x", examples, [])
    except CorpusError:
        assert all(text_key(one.query) in (b"", text_key(text_of(one.positive)))
                   or not text_key(text_of(one.positive)) for one in examples)  # fmt: skip
        return
    scored = {id(each): score for one in examples
              for each, score in zip(one.negatives, one.scores[1:], strict=False)}  # fmt: skip
    answers: dict[bytes, set[bytes]] = {}
    for one in found.examples:
        query, positive = text_key(one.query), text_key(text_of(one.positive))
        assert query
        assert positive
        assert positive != query
        assert positive not in answers.setdefault(query, set())
        answers[query].add(positive)
        assert one.scores in ((), (0.0, *(scored.get(id(each)) for each in one.negatives)))
    for one in found.examples:
        negatives = {text_key(text_of(each)) for each in one.negatives}
        assert negatives.isdisjoint({b"", text_key(one.query), *answers[text_key(one.query)]})
    assert len(found.examples) <= len(examples)


@given(_EXAMPLES, st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(0, 3))
def test_no_text_is_on_both_sides(examples: list[Example], share: float, seed: int) -> None:
    trained, watched = held_out(examples, share, seed)
    assert (trained, watched) == held_out(examples, share, seed)
    sides = [
        {text_key(text) for one in side
         for text in (one.query, *map(text_of, (one.positive, *one.negatives)))}
        for side in (trained, watched)
    ]  # fmt: skip
    assert not watched or sides[0].isdisjoint(sides[1])
    assert bool(trained) == bool(examples)
    queries = {text_key(one.query) for one in watched}
    assert {text_key(one.query) for one in trained}.isdisjoint(queries)
    for one in (*trained, *watched):
        assert not one.scores or len(one.scores) == len(one.negatives) + 1


@pytest.mark.parametrize(
    ("count", "share", "most", "expected"),
    [(100, 0.1, 1_000, 10), (100, 0.5, 7, 7), (10, 0.01, 1_000, 1), (9, 0.01, 1_000, 0)],
)
def test_so_many_queries_are_watched(count: int, share: float, most: int, expected: int) -> None:
    examples = [
        Example(f"{n}", f"query {n}", Document(f"{n}{m}", "", f"document {n}.{m}"))
        for n in range(count)
        for m in range(2)
    ]
    trained, watched = held_out(examples, share, 13, most)
    assert len(watched) == 2 * expected
    assert len(trained) == 2 * (count - expected)


def test_a_document_that_answers_everything_is_no_reason_to_train_on_nothing() -> None:
    document = Document("1", "", "the answer")
    examples = [Example(f"{n}", f"query {n}", document) for n in range(20)]
    assert held_out(examples, 0.1, 13) == (examples, [])
