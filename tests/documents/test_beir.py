"""The BEIR reader: what it accepts, what it refuses and how it says so."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bioretrieval_tui.documents.bibliography import MAX_ID_LENGTH, said
from bioretrieval_tui.documents.detect import by_name, items
from bioretrieval_tui.documents.document import Document, Item, Place, Record, Rejected
from bioretrieval_tui.documents.readers.json_records import json_lines
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.errors import CorpusError

FORMAT = by_name("beir")


def read_all(path: Path, limit: int = 2**20) -> list[Item]:
    """All items, a file that breaks off told as the last one."""
    limited = structs.replace(FORMAT, records=partial(json_lines, limit=limit))
    with SourceReader(path) as source:
        return list(items(source, limited, ReadSettings()))


def read(path: Path, limit: int = 2**20) -> list[Record]:
    """The records of a file in which there is nothing else."""
    found = read_all(path, limit)
    records = [item for item in found if isinstance(item, Record)]
    assert records == found
    return records


def refusal(path: Path, limit: int = 2**20) -> str:
    """How the only refused item of a file is told; its neighbours are kept."""
    (refused,) = [item for item in read_all(path, limit) if isinstance(item, Rejected)]
    assert "\n" not in str(refused)
    return str(refused)


def corpus(tmp_path: Path, data: bytes | str, name: str = "corpus.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


GOOD = '{"_id": "a", "title": "T", "text": "B"}\n'


def test_fields_and_places(tmp_path: Path) -> None:
    path = corpus(
        tmp_path, '\n{"_id": 7, "text": "B", "metadata": {"year": 2020}, "doi": "10.1/x"}'
    )
    (record,) = read(path)
    assert record.document == Document("7", "", "B", {"doi": "10.1/x", "year": 2020})
    assert record.place == Place(str(path), line=2)
    assert str(record.place) == f"{path}:2"


def test_null_title_and_text_are_empty(tmp_path: Path) -> None:
    (record,) = read(corpus(tmp_path, '{"_id": "a", "title": null, "text": null}'))
    assert (record.document.title, record.document.text) == ("", "")


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    data = (
        b"\xef\xbb\xbf" + GOOD.encode().replace(b"\n", b"\r\n") + b'{"_id":"b","text":""}\r\n\r\n'
    )
    assert [record.document.id for record in read(corpus(tmp_path, data))] == ["a", "b"]


@pytest.mark.parametrize("name", ["corpus.jsonl.gz", "corpus.jsonl", "corpus"])
def test_gzip_is_recognised_by_content(tmp_path: Path, name: str) -> None:
    path = corpus(tmp_path, gzip.compress(GOOD.encode() * 1), name)
    assert read(path)[0].document.id == "a"


def test_plain_text_under_a_gzip_name(tmp_path: Path) -> None:
    assert read(corpus(tmp_path, GOOD, "corpus.jsonl.gz"))[0].document.id == "a"


def test_summary_is_of_the_bytes_as_stored(tmp_path: Path) -> None:
    data = gzip.compress(GOOD.encode())
    with SourceReader(corpus(tmp_path, data)) as source:
        assert len(list(items(source, FORMAT, ReadSettings()))) == 1
        assert source.consumed == len(data)
        assert source.sha256() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "not JSON"),
        (b'{"_id": "b", "text": "x"', "not JSON"),
        (b'{"_id": "b", "text": "x"} {}', "not JSON"),
        (b'{"_id": "b", "text": NaN}', "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1]", "a list, not an object"),
        (b'"text"', "a text, not an object"),
        (b"null", "null, not an object"),
        (b'{"text": "x"}', "`_id` is missing"),
        (b'{"_id": "b"}', "neither `title` nor `text`"),
        (b'{"_id": null, "text": "x"}', "`_id` is null"),
        (b'{"_id": true, "text": "x"}', "`_id` is true or false"),
        (b'{"_id": 1.5, "text": "x"}', "`_id` is a number"),
        (b'{"_id": ["b"], "text": "x"}', "`_id` is a list"),
        (b'{"_id": " ", "text": "x"}', "`_id` is empty"),
        (b'{"_id": "%s", "text": "x"}' % (b"i" * (MAX_ID_LENGTH + 1)), "longer than"),
        (b'{"_id": %s, "text": "x"}' % (b"1" * 10_000), ""),
        (b'{"_id": "b", "text": 5}', "`text` is a number"),
        (b'{"_id": "b", "title": {}, "text": "x"}', "`title` is an object"),
        (b'{"_id": "b", "text": "x", "metadata": []}', "`metadata` is a list"),
        (b'{"_id": "b", "text": "x\\u0000y"}', "NUL"),
        (b'{"_id": "b", "text": "x", "metadata": {"k": ["\\u0000"]}}', "NUL"),
        (b'{"_id": "b", "text": "x\x00y"}', "NUL"),
        (b'{"_id": "b", "text": "\xff"}', "not UTF-8"),
        (b'{"_id": "b", "text": "\\ud800 half"}', "not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, reason: str) -> None:
    path = corpus(tmp_path, GOOD.encode() + line + b"\n" + GOOD.encode())
    message = refusal(path)
    assert message.startswith(f"{path}:2: ")
    assert reason in message
    assert [item.place.line for item in read_all(path) if isinstance(item, Record)] == [1, 3]


def test_an_escaped_backslash_is_no_nul(tmp_path: Path) -> None:
    (record,) = read(corpus(tmp_path, '{"_id": "a", "text": "\\\\u0000"}'))
    assert record.document.text == "\\u0000"


def test_an_endless_line_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = corpus(tmp_path, GOOD.encode() + b"x" * 5_000_000)
    assert "longer than 1,024 bytes" in refusal(path, limit=1024)


def test_a_gzip_bomb_of_one_line_is_refused(tmp_path: Path) -> None:
    path = corpus(tmp_path, gzip.compress(b" " * 50_000_000))
    assert f"{path}:1: the line is longer" in refusal(path)


def test_a_line_at_the_limit_is_read(tmp_path: Path) -> None:
    path = corpus(tmp_path, GOOD)
    assert len(read(path, limit=len(GOOD))) == 1
    assert "longer" in refusal(path, limit=len(GOOD) - 1)


def test_cut_gzip(tmp_path: Path) -> None:
    data = gzip.compress(os.urandom(2000).hex().encode())
    assert "damaged or cut off" in refusal(corpus(tmp_path, data[:-100]))


def test_gzip_magic_and_nothing_else(tmp_path: Path) -> None:
    assert "damaged or cut off" in refusal(corpus(tmp_path, b"\x1f\x8bxx"))


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    path = corpus(tmp_path, GOOD)
    with SourceReader(path) as source:
        records = items(source, FORMAT, ReadSettings())
        next(records)
        os.utime(path, (1, 1))
        with pytest.raises(CorpusError, match="changed while it was read"):
            list(records)


# --- properties

json_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
documents = st.builds(
    Document,
    json_text.filter(lambda text: text.strip() != ""),
    json_text,
    json_text,
    st.dictionaries(json_text, json_text | st.integers(-(2**70), 2**70) | st.none(), max_size=3),
)


@given(st.lists(documents, max_size=8), st.booleans(), st.booleans())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, given_: list[Document], packed: bool, ascii_: bool
) -> None:
    lines = "".join(
        json.dumps(
            {"_id": d.id, "title": d.title, "text": d.text, "metadata": dict(d.metadata)},
            ensure_ascii=ascii_,
        )
        + "\n"
        for d in given_
    ).encode()
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    path.write_bytes(gzip.compress(lines) if packed else lines)
    records = read(path)
    assert [record.document for record in records] == [
        structs.replace(d, title=said(d.title), text=said(d.text)) for d in given_
    ]
    assert [record.place.line for record in records] == list(range(1, len(given_) + 1))
