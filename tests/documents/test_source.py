"""A corpus file as a stream: lines, blocks, packing, damage, and bounds on all of it."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_help import SmallBlocks, documents, file_of, read_path, rejected

from bioretrieval_tui.documents.detect import by_name, items, recognise
from bioretrieval_tui.documents.document import Record
from bioretrieval_tui.documents.source import (
    ReadSettings,
    SourceDamaged,
    SourceReader,
    likely_encoding,
    text_encoding,
)
from bioretrieval_tui.errors import CorpusError, NotFoundError, UsageError


def test_head_is_read_again(tmp_path: Path) -> None:
    data = b"".join(b"line %d\n" % number for number in range(50_000))
    path = tmp_path / "a"
    for written in (data, gzip.compress(data)):
        path.write_bytes(written)
        with SourceReader(path) as source:
            assert source.head(10) == data[:10]
            assert source.head() == data[: 1 << 16]
            assert b"".join(line or b"" for _, line in source.lines()) == data
            assert source.consumed == len(written)
            assert source.sha256() == hashlib.sha256(written).hexdigest()


def test_members_of_gzip_one_after_another(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"a\nb") + gzip.compress(b"c\n"))
    with SourceReader(path) as source:
        assert list(source.lines()) == [(1, b"a\n"), (2, b"bc\n")]


@given(
    st.lists(st.sampled_from([b"a", b"\n", b"bbb", b"\r\n"]), max_size=30).map(b"".join),
    st.integers(1, 6),
    st.integers(1, 10),
)
def test_lines_do_not_depend_on_blocks(data: bytes, limit: int, block: int) -> None:
    expected = [
        (number, line if len(line) <= limit else None)
        for number, line in enumerate(data.replace(b"\n", b"\n\0").split(b"\0"), start=1)
        if line
    ]
    with file_of(data) as path:
        with SourceReader(path) as source:
            assert list(source.lines(limit)) == expected
        with SmallBlocks(path) as source:
            source.block = block
            assert list(source.lines(limit)) == expected


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" \t\n"])
@pytest.mark.parametrize("block", [7, 1 << 20])
def test_a_long_run_of_blank_lines_is_one(blank: bytes, block: int) -> None:
    """Its lines are counted, and none is lost at the edge of a block."""
    data = b"a\n" + blank * 5_000 + b"b\n" + blank * 3 + b"c"
    with file_of(data) as path, SmallBlocks(path) as source:
        source.block = block
        lines = list(source.lines())
    full = [(number, line) for number, line in lines if line and line.strip()]
    assert full == [(1, b"a\n"), (5_002, b"b\n"), (5_006, b"c")]
    if block > 5_000:
        assert [number for number, _ in lines] == [1, 2, 5_002, 5_003, 5_004, 5_005, 5_006]


def test_a_long_line_in_small_blocks_is_whole() -> None:
    with file_of(b"x" * 200_000 + b"\ny\n") as path, SmallBlocks(path) as source:
        source.block = 100
        assert [len(line or b"") for _, line in source.lines()] == [200_001, 2]


_ARTICLES = b"<?xml version='1.0'?><PubmedArticleSet>"
_ARTICLE = (
    b"<PubmedArticle><MedlineCitation><PMID>%d</PMID><Article><ArticleTitle>T</ArticleTitle>"
    b"</Article></MedlineCitation></PubmedArticle>"
)
BLANKS = {
    "jsonl": (b'{"_id": "1", "title": "t", "text": "x"}\n', b'{"_id": "2", "text": "x"}\n'),
    "ris": (b"TY  - JOUR\nTI  - One\nER  - \n", b"TY  - JOUR\nTI  - Two\nER  - \n"),
    "nbib": (b"PMID- 1\nTI  - One\n", b"PMID- 2\nTI  - Two\n"),
    "csv": (b"id,title,text\n1,a,b\n", b"2,c,d\n"),
    "tsv": (b"id\ttitle\ttext\n1\ta\tb\n", b"2\tc\td\n"),
    "bib": (b"@article{a,\n title={One}\n}\n", b"@article{b,\n title={Two}\n}\n"),
    "enw": (b"%0 Journal Article\n%T One\n", b"%0 Journal Article\n%T Two\n"),
    "xml": (_ARTICLES + _ARTICLE % 1, _ARTICLE % 2 + b"</PubmedArticleSet>"),
    "json": (b'[{"id": "1", "title": "t"},', b'{"id": "2", "title": "u"}]'),
}


@pytest.mark.parametrize("name", BLANKS)
@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" "])
def test_blanks_by_the_million_are_nothing(name: str, blank: bytes, tmp_path: Path) -> None:
    """Two records with a megabyte of blanks between them, as long as it would take minutes if a
    line, or a pattern of a format, cost anything."""
    first, second = BLANKS[name]
    path = tmp_path / f"a.{name}"
    path.write_bytes(first + blank * (1_000_000 // len(blank)) + b"\n" + second)
    with SourceReader(path) as source:
        found = list(items(source, recognise(source), ReadSettings()))
    kinds = [type(one).__name__ for one in found]
    # A million blanks at the start of a line are part of the line.
    assert kinds == ["Record"] * 2 or blank == b" "


def test_hash_rest(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    with SourceReader(path) as source:
        source.head()
        source.hash_rest()
        assert source.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        SourceReader(tmp_path / "none")
    with pytest.raises(CorpusError, match="cannot be read"):
        SourceReader(tmp_path)


@pytest.mark.parametrize("change", ["touched", "grown", "shrunk"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"line\n" * 10)
    with SourceReader(path) as source:
        lines = source.lines()
        next(lines)
        if change == "touched":
            os.utime(path, (1, 1))
        else:
            with path.open("r+b") as stream:
                stream.truncate(3 if change == "shrunk" else 300)
        with pytest.raises(CorpusError, match="changed while it was read"):
            list(lines)


# --- encodings


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("latin-1", "Ærø"), ("cp1252", "“Ærø” €"), ("utf-16-le", "Ærø 🜁"), ("utf-16-be", "Ærø"),
        ("utf-16", "Ærø"), ("gb18030", "苍鹭"), ("shift_jis", "サギ"), ("koi8-r", "Цапля"),
        ("utf-8-sig", "Ærø"), ("iso2022_jp", "サギ"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("format_", ["csv", "beir", "ris"])
def test_every_format_in_a_named_encoding(
    tmp_path: Path, encoding: str, name: str, format_: str
) -> None:
    text = {
        "csv": f"id,title\n1,{name}\n",
        "beir": f'{{"_id": "1", "title": "{name}"}}\n',
        "ris": f"TY  - JOUR\nTI  - {name}\nER  - \n",
    }[format_]
    path = tmp_path / "a"
    for data in (text.encode(encoding), gzip.compress(text.encode(encoding))):
        path.write_bytes(data)
        with SourceReader(path, encoding=encoding) as source:
            assert recognise(source).name == format_
            (item,) = items(source, by_name(format_), ReadSettings())
            assert isinstance(item, Record)
            assert item.document.title == name
            source.hash_rest()
            assert source.sha256() == hashlib.sha256(data).hexdigest()


def test_xml_in_a_named_encoding_is_not_decoded_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    text = '<?xml version="1.0" encoding="UTF-16"?><PubmedArticleSet>é</PubmedArticleSet>'
    path.write_bytes(text.encode("cp1252"))
    with SourceReader(path, encoding="cp1252") as source:
        whole = b"".join(source.blocks()).decode()
    assert whole == '<?xml version="1.0"?><PubmedArticleSet>é</PubmedArticleSet>'


def test_a_mark_is_stronger_than_a_named_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffid,title\n1,Ærø\n".encode())
    with SourceReader(path, encoding="cp1252") as source:
        (item,) = items(source, by_name("csv"), ReadSettings())
    assert isinstance(item, Record)
    assert item.document.title == "Ærø"


def test_a_byte_that_the_encoding_lacks_costs_one_record(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,title\n1,A\n2,\x81\n3,C\n")
    with SourceReader(path, encoding="cp1252") as source:
        found = list(items(source, by_name("csv"), ReadSettings()))
    assert [document.id for document in documents(found)] == ["1", "3"]
    assert rejected(found)[0].reason == "not CP1252 at byte 3 of line 3"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("Müller sah “Reiher”".encode("cp1252"), "cp1252"),
        (b"M\x81ller", "latin-1"),
        ("苍鹭吃蝾螈".encode("gb18030"), "gb18030"),
        ("サギはイモリを食べた".encode("shift_jis"), "shift_jis"),
        ("백로".encode("euc_kr"), "euc_kr"),
        ("Цапля ела тритонов".encode("cp1251"), "cp1251"),
    ],
)
def test_the_encoding_to_try(data: bytes, expected: str) -> None:
    assert expected in likely_encoding(data).split(" or ")


@pytest.mark.parametrize("name", ["base64", "rot13", "zip", "idna", "punycode", "unicode_escape",
                                  "no such", "", "utf\0"])  # fmt: skip
def test_what_is_no_text_encoding(name: str) -> None:
    with pytest.raises(UsageError, match="no text encoding"):
        text_encoding(name)


def test_text_encodings() -> None:
    for name in ("utf-8", "UTF8", "latin-1", "cp1252", "utf-16-le", "gbk", "mac_roman", "ascii"):
        assert text_encoding(name) == name


# --- damage


def lines_of(count: int) -> bytes:
    return b"".join(
        b'{"_id": "%d", "text": "%s"}\n' % (n, hashlib.sha256(b"%d" % n).hexdigest().encode())
        for n in range(count)
    )


@pytest.mark.parametrize("count", [20, 2_000, 20_000])
def test_cut_gzip_keeps_the_records_before_the_cut(tmp_path: Path, count: int) -> None:
    packed = gzip.compress(lines_of(count))
    path = tmp_path / "corpus.jsonl.gz"
    path.write_bytes(packed[: len(packed) * 9 // 10])
    sound = zlib.decompressobj(wbits=31).decompress(path.read_bytes())
    found = read_path(path, by_name("beir"))
    (damage,) = rejected(found)
    assert found[-1] is damage
    assert "damaged or cut off" in damage.reason
    assert len(documents(found)) == sound.count(b"\n") > 0


def test_a_wrong_gzip_checksum_is_reported(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(lines_of(20)))
    packed[-5] ^= 1
    path = tmp_path / "corpus.jsonl.gz"
    path.write_bytes(packed)
    assert "damaged or cut off" in rejected(read_path(path, by_name("beir")))[-1].reason


@given(cut=st.floats(0, 1), flip=st.integers(0, 255))
def test_any_damage_of_gzip_is_reported(cut: float, flip: int) -> None:
    whole = gzip.compress(lines_of(30), mtime=0)
    at = 2 + int(cut * (len(whole) - 3))
    flipped = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
    for data in (whole[:at], flipped):
        with file_of(data) as path:
            found = read_path(path, by_name("beir"))
            is_sound = [d.id for d in documents(found)] == [str(n) for n in range(30)]
            assert is_sound or rejected(found)


def test_a_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioretrieval_tui.documents.source._RATIO_FROM", 16 << 20)
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(b'{"_id": "first", "text": "x"}\n')
        for _ in range(24):
            stream.write(bytes(1 << 20))
    assert path.stat().st_size < 300_000
    with SourceReader(path) as source:
        sizes = map(len, source.blocks())
        with pytest.raises(SourceDamaged, match="more than 200 times") as caught:
            max(sizes)
    assert 16 << 20 < caught.value.offset < 24 << 20
    found = read_path(path, by_name("beir"))
    assert [document.id for document in documents(found)] == ["first"]
    assert "more than 200 times" in rejected(found)[-1].reason


# --- bounds, in a process of its own that reads stdin

CHILD = """
import pathlib, re, sys
from bioretrieval_tui.documents import source as bounded
bounded.MAX_LINE_BYTES = 1 << 20  # before the readers take their bounds from it
from bioretrieval_tui.documents.document import Record
from bioretrieval_tui.documents.detect import by_name
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.documents.detect import items
from bioretrieval_tui.documents.source import SourceReader
def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s*(\\d+)", status)[1]) // 1024
before = peak()
with SourceReader(None) as source:
    found = list(items(source, by_name(sys.argv[1]), ReadSettings()))
    assert source.name == "-"
for item in found:
    print(item.document.id if isinstance(item, Record) else "! " + item.reason)
print(peak() - before, source.consumed)
"""
LONG = 32 << 20


def child(format_: str, before: bytes, after: bytes) -> tuple[list[str], int]:
    """What a child that reads lines of 1 MB made of `before`, 32 MB on one line and `after`, and by
    how many MiB its peak grew."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, format_],
        input=before + b"x" * LONG + after,
        stdout=subprocess.PIPE,
        check=True,
    )
    out = done.stdout.decode().splitlines()
    peak, size = out.pop().split()
    assert int(size) == len(before) + LONG + len(after)
    return out, int(peak)


# Not ru_maxrss: a child inherits that of the process which started it.
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no peak memory to be had")
@pytest.mark.parametrize(
    ("format_", "before", "after", "expected"),
    [
        ("beir", b'{"_id": "a", "text": "', b'"}\n{"_id": "b", "text": "y"}\n', ["! ", "b"]),
        ("medrag", b'{"id": "a", "content": "', b'"}\n{"id": "b", "content": "y"}', ["! ", "b"]),
        ("medline", b"PMID- 1\nAB  - ", b"\n\nPMID- 2\nTI  - T\n", ["! ", "2"]),
        (
            "ris",
            b"TY  - JOUR\nAB  - ",
            b"\nER  - \nTY  - A\nDO  - 10.1000/2\nTI  - T\n",
            ["! ", "10"],
        ),
        ("csv", b"id,text\n1,", b"\n2,T\n", ["! ", "2"]),
        ("csv", b'id,text\n1,"', b'"\n2,T\n', ["! ", "2"]),
        ("medcpt-chunk", b'{"1": {"t": "', b'"}, "2": {"t": "T"}}', ["! ", "2"]),
        ("europepmc", b'[{"id": "1", "title": "', b'"}, {"pmid": "2", "title": "T"}]', ["! ", "2"]),
    ],
)
def test_a_line_beyond_the_limit_is_never_held(
    format_: str, before: bytes, after: bytes, expected: list[str]
) -> None:
    out, grown = child(format_, before, after)
    assert [line[: len(want)] for line, want in zip(out, expected, strict=True)] == expected
    assert "longer than" in out[0]
    assert grown < 16  # a line and blocks of 1 MB in a few copies; not 32 MB


def test_nothing_on_stdin() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", CHILD, "beir"],
        capture_output=True,
    )
    assert b"stdin cannot be read" in done.stderr
