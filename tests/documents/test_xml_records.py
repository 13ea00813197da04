"""Cutting XML into records: nothing but the documented comes out, whatever goes in."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioretrieval_tui.documents.document import Place, RecordFault, Rejected
from bioretrieval_tui.documents.readers.xml_records import shows, xml_records
from bioretrieval_tui.documents.source import SourceReader

NAMES = ("rec", "other")
HEAD = b'<?xml version="1.0"?>\n<set>\n'


class Pieces(SourceReader):
    size = 1

    def blocks(self, size: int = 1 << 20) -> Iterator[bytes]:
        return super().blocks(self.size)


def read(
    data: bytes, *, size: int = 1 << 20, limit: int = 1 << 20
) -> list[tuple[str, Place] | Rejected]:
    with Pieces(None, data=data, name="f.xml") as source:
        source.size = size
        found = list(xml_records(source, None, NAMES, limit=limit))
    return [
        Rejected(place, item.reason, item.remedy)
        if isinstance(item, RecordFault)
        else ("".join(item.itertext()), place)
        for place, item in found
    ]


def texts(data: bytes, **options: int) -> list[str]:
    """The text of each record; of a rejected one its reason behind an exclamation mark."""
    found = read(data, **options)
    return [f"!{item.reason}" if isinstance(item, Rejected) else item[0] for item in found]


def rec(text: str = "x") -> bytes:
    return f"<rec>{text}</rec>\n".encode()


def test_records_and_their_places() -> None:
    data = HEAD + rec("one") + b"<other a='>'>two</other>\n\n  <rec\n b='1'>three</rec ></set>"
    first, second, third = read(data)
    assert first == ("one", Place("f.xml", offset=data.index(b"<rec>")))
    assert second == ("two", Place("f.xml", offset=data.index(b"<other")))
    assert third == ("three", Place("f.xml", offset=data.index(b"<rec\n")))


def test_longer_names_are_other_tags() -> None:
    assert texts(b"<recs><rec><record/>a<rec-x>b</rec-x></rec></recs>") == ["ab"]


def test_an_empty_record_does_not_take_the_next_one_along() -> None:
    assert texts(b"<set><rec/><rec a='/'/><rec>x</rec></set>") == ["", "", "x"]


def test_comments_and_cdata_are_not_looked_into() -> None:
    hidden = b"<!-- <rec>no</rec> --><![CDATA[<rec>no</rec>]]>"
    data = b"<set>" + hidden + b"<rec>a<!-- </rec> -->b<![CDATA[</rec><rec>]]>c</rec></set>"
    assert texts(data) == ["ab</rec><rec>c"]


def test_the_doctype_is_not_looked_into() -> None:
    data = b"""<!DOCTYPE set [ <!ENTITY e "<rec>no</rec>"> <!-- ' <rec>no</rec> --> ]><set>"""
    assert texts(data + rec("yes")) == ["yes"]


@pytest.mark.parametrize(
    "broken",
    [
        "<rec><b></c></rec>",
        "<rec>a & b</rec>",
        "<rec a=1/></rec>",
        "<rec>\x00</rec>",
        "<rec>\x1b[31m</rec>",
        "<rec>&#27;</rec>",
        "<rec>&evil;</rec>",
        "<rec><b>",
        "<rec><!-- not closed </rec>",
        "<rec><![CDATA[ not closed </rec>",
        "<rec a='not closed></rec>",
        "<rec><?pi </rec>",
        "<rec><rec-x></rec>",
        "<other><b></other>",
        "<rec>" + "<a>" * 300 + "</a>" * 300 + "</rec>",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_broken_record_costs_no_neighbour(broken: str, size: int) -> None:
    data = (
        HEAD + rec("before") + broken.encode() + b"\n" + rec("a") + rec("<!-- - -->b") + b"</set>"
    )
    found = texts(data, size=size)
    assert found[0] == "before"
    assert found[-2:] == ["a", "b"]
    assert len(found) == 4
    assert found[1].startswith("!")


def test_a_fault_is_reported_with_its_place() -> None:
    (item,) = read(HEAD + b"<rec>\n\n<b></c></rec>")
    assert isinstance(item, Rejected)
    assert str(item) == (
        f"f.xml: byte {len(HEAD)}: not well-formed XML in its line 3:"
        " Opening and ending tag mismatch: b and c"
    )


def test_where_one_record_begins_within_another_the_outer_one_is_refused() -> None:
    assert texts(b"<rec>a<rec>b</rec>c</rec>" + rec("d")) == [
        "!the record is not closed before the next one begins",
        "b",
        "d",
    ]


def test_a_file_that_ends_within_a_record() -> None:
    *kept, last = read(HEAD + rec("a") + rec("b") + b"<rec>c</re")
    assert [item[0] for item in kept if not isinstance(item, Rejected)] == ["a", "b"]
    assert isinstance(last, Rejected)
    assert last.reason == "the file ends within a record"


def test_names_of_characters_and_undeclared_prefixes_are_no_fault() -> None:
    data = rec("&eacute;&nbsp;&amp;&lt;&NotEqualTilde;<![CDATA[&eacute;]]><m:i x:y='1'>z</m:i>")
    assert texts(b"<set>" + data) == ["é\xa0&<\u2242\u0338&eacute;z"]


def test_entities_of_the_file_do_not_exist() -> None:
    laughs = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
    data = (
        f'<!DOCTYPE set [<!ENTITY l0 "ha">{laughs}<!ENTITY f SYSTEM "file:///etc/passwd">'
        '<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><set>'
    ).encode()
    found = texts(data + rec("&l9;") + rec("&f;") + rec("<a b='&l0;'/>") + rec("good"))
    assert [text[:16] for text in found] == ["!not well-formed"] * 3 + ["good"]
    own = b'<!DOCTYPE rec [<!ENTITY l "ha">]>'
    assert texts(b"<rec>" + own + b"&l;</rec>" + rec())[0].startswith("!not well-formed")


# Charsets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charset", "declared"),
    [
        ("utf-8-sig", "UTF-8"),
        ("latin-1", "ISO-8859-1"),
        ("cp1252", "windows-1252"),
        ("utf-16", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-8", "UTF-16"),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_charsets(charset: str, declared: str, size: int) -> None:
    text = (
        f'<?xml version="1.0" encoding="{declared}"?>\n<set>é\n<rec>naïve</rec>\n<rec>b</rec></set>'
    )
    data = text.encode(charset)
    first, second = read(data, size=size)
    assert isinstance(first, tuple)
    assert isinstance(second, tuple)
    assert (first[0], second[0]) == ("naïve", "b")
    for _, place in (first, second):
        assert place.offset is not None
        start = data[place.offset :]
        wide = charset.startswith("utf-16")
        assert start.startswith("<rec>".encode("utf-16-be" if "be" in charset else "utf-16-le")
                                if wide else b"<rec>")  # fmt: skip


def test_wrong_bytes_reject_the_record_in_which_they_stand() -> None:
    data = b"<set><rec>a</rec><rec>\xff\xfe</rec><rec>b</rec>"
    assert [text[:4] for text in texts(data)] == ["a", "!not", "b"]
    declared = b'<?xml version="1.0" encoding="windows-1252"?>'
    data = declared + b"<set><rec>\xe9</rec><rec>\x81</rec><rec>b</rec>"
    assert texts(data)[0] == "é"
    assert "is not cp1252" in texts(data)[1]
    assert texts(data)[2] == "b"
    half = "\ufeff<set><rec>a</rec><rec>\ud800</rec><rec>b</rec>".encode(
        "utf-16-le", "surrogatepass"
    )
    assert [text[:4] for text in texts(half)] == ["a", "!not", "b"]


@pytest.mark.parametrize(
    "data", [b'<?xml version="1.0" encoding="UTF-7"?><rec/>', "<rec/>".encode("utf-32")]
)
def test_a_charset_that_cannot_be_read_is_reported_once(data: bytes) -> None:
    (item,) = read(data)
    assert isinstance(item, Rejected)
    assert (item.remedy or "").startswith("convert the file to UTF-8")


def test_patterns_in_a_head() -> None:
    pattern = re.compile("<set>(é|$)".encode())
    for head in (
        "\ufeff <set>é".encode(),
        "<set>é".encode("utf-16"),
        "<set>é".encode("utf-16")[:-1],
    ):
        assert shows([pattern], head)
        assert not shows([pattern, re.compile(b"<rec>")], head)
    for head in (b"", b"{}", b"<html><rec>", b"<!-- x -->\n<!DOCTYPE HTML ><rec>"):
        assert not shows([], head)


# Bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 13, 1 << 20])
def test_a_record_that_is_too_large_is_passed_over(size: int) -> None:
    large = b"<rec>" + b"x" * 500 + b"</rec>"
    data = rec("a") + large + rec("b") + b"<rec><!-- " + b"x" * 500 + b"</rec>" + rec("c")
    found = texts(data, size=size, limit=100)
    assert found == ["a", "!the record is larger than 100 bytes", "b",
                     "!the record is larger than 100 bytes", "c"]  # fmt: skip


def test_a_record_of_too_many_parts_is_refused() -> None:
    data = b"<rec>" + b"<a/>" * 1_100_000 + b"</rec>" + rec("b")
    assert texts(data, limit=16 << 20) == ["!the record has more than 1,000,000 parts", "b"]


_HUGE = """
import resource, sys
from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.readers.xml_records import xml_records

def blocks():
    yield b"<set><rec>a</rec>" + sys.argv[1].encode()
    for _ in range(32):
        yield b"x" * (1 << 20)
    yield b"</rec><rec>b</rec></set>"

class Endless:
    name = "f"
    blocks = staticmethod(blocks)
class Short:
    name = "f"
    blocks = staticmethod(lambda: iter([b"<rec>a</rec>"]))
list(xml_records(Short, None, ("rec",)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = list(xml_records(Endless, None, ("rec",), limit=1 << 20))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kinds = "".join("!" if isinstance(item, RecordFault) else item.text for _, item in found)
print(kinds, (after - before) // 1024)
"""


@pytest.mark.parametrize("opening", ["<rec>", "<rec><![CDATA[", "<rec a='"])
def test_a_record_beyond_the_limit_is_never_held(opening: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HUGE, opening], capture_output=True, text=True, check=True
    )
    kinds, grown = done.stdout.split()
    assert kinds == "a!b"
    assert int(grown) < 16  # MiB, of 32


@pytest.mark.parametrize(
    "unit",
    [
        b"<rec>",
        b"<rec><![CDATA[",
        b"<rec><!--",
        b"<rec>x</rec><other>",
        b"<!DOCTYPE [",
        b'<!DOCTYPE "',
        b"<!--",
        b"<![CDATA[",
        b"<rec>&nbsp;<!--</rec>",
        b"<rec></rec ",
        b"<rec></re",
    ],
)
def test_work_grows_with_the_file_and_no_faster(unit: bytes) -> None:
    """Work that grew with the square of the file would go on for an hour here, not a second."""
    data = unit * (200_000 // len(unit)) + b"</rec></other>" + rec("last")
    assert texts(data, size=1 << 14)[-1] == "last"


# Anything at all ------------------------------------------------------------------------------

_BITS = st.sampled_from(
    [b"<rec>", b"</rec>", b"<other ", b"/>", b">", b"</other>", b"<!--", b"-->", b"--", b"\n",
     b"<![CDATA[", b"]]>", b"<!DOCTYPE ", b"[", b"]", b"'", b'"', b"&", b"&amp;", b"&nbsp;", b"x",
     b"<b>", b"</b>", b"<?", b"?>", b"\xff", b"\x00", b"</rec  ", b"</re", b"<m:a/>", b" "]
)  # fmt: skip
_SOUP = st.lists(_BITS | st.binary(max_size=3), max_size=40).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(data=_SOUP, size=st.integers(1, 9), limit=st.integers(30, 200))
def test_blocks_of_any_size_give_the_same(data: bytes, size: int, limit: int) -> None:
    data = b"<set>" + data  # else three bytes may be a byte order mark
    whole = read(data, limit=limit)
    assert read(data, size=size, limit=limit) == whole


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200) | _SOUP)
def test_any_bytes_give_records_or_refusals(data: bytes) -> None:
    for item in read(data):
        assert isinstance(item, Rejected) or isinstance(item[0], str)


_GOOD = st.lists(
    st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs"]), max_size=8).map(rec),
    min_size=1,
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(good=_GOOD, soup=_SOUP, data=st.data())
def test_a_cut_costs_no_record_before_it(
    good: list[bytes], soup: bytes, data: st.DataObject
) -> None:
    content = HEAD + b"".join(good)
    cut = data.draw(st.integers(0, len(content)))
    whole = read(content)
    ends = [len(HEAD) + len(b"".join(good[: n + 1])) - 1 for n in range(len(good))]
    before = [item for item, end in zip(whole, ends, strict=True) if end <= cut]
    assert len(whole) == len(good)
    assert read(content[:cut])[: len(before)] == before
    assert len(read(content[:cut])) <= len(before) + 1
    assert read(content + soup)[: len(whole)] == whole
