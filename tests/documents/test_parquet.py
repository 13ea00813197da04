"""Parquet: columns of every kind, damage, and what is said where pyarrow is missing."""

from __future__ import annotations

import datetime
import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_help import documents, promises_kept, read_path, rejected

from bioretrieval_tui.documents.detect import by_name, items, recognise
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.util.formatting import install_command

FORMAT = by_name("parquet")

pyarrow = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pyarrow.table(columns), path, **options)
    return path


def test_fields_and_values(tmp_path: Path) -> None:
    columns = {
        "pmid": pyarrow.array([7, 8]),
        "Title": ["T", None],
        "abstract": ["B", "C"],
        "authors": [["A B", "C D"], []],
        "mesh": ["x; y", None],
        "year": pyarrow.array([1999, None]),
        "date": [datetime.date(1999, 2, 3), None],
        "score": [0.5, float("nan")],
        "nested": [{"k": [1]}, None],
    }
    path = write(tmp_path / "a.parquet", columns)
    assert FORMAT.recognises(path.read_bytes()[:4])
    first, second = documents(read_path(path, FORMAT, text="abstract"))
    assert first == Document(
        "7",
        "T",
        "B",
        {
            "pmid": "7",
            "authors": ["A B", "C D"],
            "mesh": ["x", "y"],
            "year": 1999,
            "date": "1999-02-03",
            "score": 0.5,
            "nested": {"k": [1]},
        },
    )
    assert second == Document("8", "", "C", {"pmid": "8"})


def test_columns_of_vectors_are_left_out(tmp_path: Path) -> None:
    halves = pyarrow.array([[0.5, 0.25]] * 2, pyarrow.list_(pyarrow.float32()))
    columns = {
        "id": ["1", "2"],
        "text": ["B", "C"],
        "vector": halves,
        "fixed": halves.cast(pyarrow.list_(pyarrow.float32(), 2)),
        "passages": [[{"start": 0, "vector": [0.5]}], []],
        "weight": [0.5, 1.5],
        "counts": [[1, 2], [3]],
    }
    first, second = documents(read_path(write(tmp_path / "a.parquet", columns), FORMAT))
    assert first == Document("1", "", "B", {"weight": 0.5, "counts": [1, 2]})
    assert second == Document("2", "", "C", {"weight": 1.5, "counts": [3]})


def test_rows_of_many_groups_in_order(tmp_path: Path) -> None:
    numbers = [str(number) for number in range(5_000)]
    path = write(tmp_path / "a.parquet", {"id": numbers, "title": numbers}, row_group_size=700)
    assert [document.id for document in documents(read_path(path, FORMAT))] == numbers


def test_the_checksum_is_of_the_whole_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": ["1"], "title": ["T"]})
    with SourceReader(path) as source:
        source.head()
        assert len(list(items(source, FORMAT, ReadSettings()))) == 1
        source.hash_rest()
        assert source.consumed == path.stat().st_size
        assert source.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_bad_rows_are_reported_with_their_number(tmp_path: Path) -> None:
    columns = {
        "id": ["1", None, "3", "4", "5"],
        "title": ["T", "U", None, "a\0", "V"],
        "extra": pyarrow.array([None, None, None, None, b"\xff"]),
    }
    found = read_path(write(tmp_path / "a.parquet", columns, row_group_size=2), FORMAT)
    first, second = documents(found)
    assert first.id == "1"
    assert second.id.startswith("made:")
    assert [(refused.place.line, refused.reason) for refused in rejected(found)] == [
        (3, "the record has neither a title nor an abstract"),
        (4, "the record holds a NUL character"),
        (5, "a cell holds bytes, not text"),
    ]


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    bad = pyarrow.array([b"caf\xe9", b"ok"]).cast(pyarrow.binary()).view(pyarrow.utf8())
    found = read_path(write(tmp_path / "a.parquet", {"id": ["1", "2"], "title": bad}), FORMAT)
    assert [document.id for document in documents(found)] == ["2"]
    (refused,) = rejected(found)
    assert str(refused).startswith(f"{refused.place.file}:1: a cell cannot be read")


def test_a_mapped_column_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": ["1"], "t": ["T"]})
    with pytest.raises(CorpusError, match="its columns are 'id', 't'"):
        read_path(path, FORMAT, title="Titel")


def test_a_damaged_group_costs_no_other(tmp_path: Path) -> None:
    names = [f"{number:040}" for number in range(4_000)]
    path = write(
        tmp_path / "a.parquet", {"id": names, "title": names}, row_group_size=1_500,
        compression="zstd", use_dictionary=False, write_page_checksum=True,
    )  # fmt: skip
    data = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data[start + 60 : start + 160] = bytes(100)
    path.write_bytes(data)
    found = read_path(path, FORMAT)
    assert [document.id for document in documents(found)] == names[:1_500] + names[3_000:]
    (damage,) = rejected(found)
    assert damage.reason.startswith("rows 1,501 to 3,000: the Parquet data is damaged")


def test_a_pipe_is_refused() -> None:
    class Piped(SourceReader):
        def __init__(self) -> None:
            super().__init__(Path(__file__))
            self.path = None

    with Piped() as source, pytest.raises(CorpusError) as caught:
        list(FORMAT.records(source, ReadSettings()))
    assert caught.value.remedy == "save it and name the file"


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", {"id": ["1"], "title": ["T"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CorpusError) as caught:
        read_path(path, FORMAT)
    assert caught.value.remedy == install_command("parquet")


@given(cut=st.floats(0, 1), flip=st.integers(1, 255))
def test_any_damage_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, cut: float, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("parquet")
    path = write(folder / "a.parquet", {"id": ["1", "2"] * 20, "title": ["T", "é"] * 20})
    whole = path.read_bytes()
    at = int(cut * (len(whole) - 1))
    flipped = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
    for data in (whole[:at], flipped):
        path.write_bytes(data)
        line = "read"
        try:
            promises_kept(read_path(path, FORMAT))
        except CorpusError as error:
            line = error.line()
        assert "\n" not in line


def test_kinds_of_columns_that_pyarrow_and_pandas_write(tmp_path: Path) -> None:
    texts = ["Herons ate newts.", "Moss was mapped."]
    columns = {
        "pmid": pyarrow.array([123.0, None]),
        "DOI": pyarrow.array(["10.1000/A1", "10.1000/a2"], pyarrow.large_string()),
        "Title": pyarrow.array(["Herons", "Moss"]).dictionary_encode(),
        "Abstract": pyarrow.array(texts, pyarrow.large_string()),
        "authors": pyarrow.array(
            [[{"name": "Lai, Zhen"}], None],
            pyarrow.list_(pyarrow.struct([("name", pyarrow.string())])),
        ),
        "MeSH terms": pyarrow.array(
            [["Humans", "Birds"], []], pyarrow.large_list(pyarrow.string())
        ),
        "publication_date": pyarrow.array(
            [datetime.datetime(2018, 11, 25), None], pyarrow.timestamp("ns")
        ),
        "empty": pyarrow.nulls(2),
        "share": pyarrow.array([1, 2], pyarrow.decimal128(5, 2)),
        "pairs": pyarrow.array([[("a", 1)], []], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
    }
    table = pyarrow.table(columns)
    for name in ("a.parquet", "b", "c.parquet"):
        pq.write_table(table, tmp_path / name, compression="zstd" if name == "b" else "snappy")
        with SourceReader(tmp_path / name) as source:
            assert recognise(source) is FORMAT
        first, second = documents(read_path(tmp_path / name, FORMAT))
        assert (first.id, first.title, first.text) == ("123", "Herons", texts[0])
        assert first.metadata["authors"] == ["Lai Z"]
        assert first.metadata["mesh"] == ["Humans", "Birds"]
        assert first.metadata["date"] == "2018-11-25"
        assert (second.id, second.text) == ("10.1000/a2", texts[1])
        assert "empty" not in second.metadata
