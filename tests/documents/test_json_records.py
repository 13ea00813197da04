"""Large JSON element by element: the same as decoding it whole, and what a fault costs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from reader_help import SmallBlocks, file_of

from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.readers.json_records import JsonElement, elements
from bioretrieval_tui.documents.source import SourceDamaged, SourceReader


def stream(
    data: bytes, path: tuple[str, ...] = (), *, limit: int = 2**20, block: int = 0
) -> tuple[list[JsonElement], SourceDamaged | None]:
    """The elements, and why the file was given up if it was."""
    found: list[JsonElement] = []
    with file_of(data) as name, SmallBlocks(name) if block else SourceReader(name) as source:
        if isinstance(source, SmallBlocks):
            source.block = block
        try:
            found.extend(elements(source, path, limit=limit))
        except SourceDamaged as damage:
            return found, damage
    return found, None


def values(data: bytes, path: tuple[str, ...] = ()) -> list[Any]:
    found, damage = stream(data, path)
    assert damage is None
    return [element.value for element in found]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[]", []),
        (b" { } ", []),
        (b"[1]", [1]),
        (b'\xef\xbb\xbf[1, "a" ,null,true,-1.5e3]', [1, "a", None, True, -1500.0]),
        (b'[{"a": "]}\\"\\\\"}, [[], {}]]', [{"a": ']}"\\'}, [[], {}]]),
        (b'{"k": 1, "l": [2]}', [1, [2]]),
        (b"[1,]", [1]),
        (b"[1][2]\n[3]", [1, 2, 3]),
    ],
)
def test_elements(data: bytes, expected: list[Any]) -> None:
    assert values(data) == expected


def test_keys_and_offsets() -> None:
    data = '{"é": 1,\n "b": {"c": 2}}'.encode()
    found, _ = stream(data)
    assert [(element.key, element.offset) for element in found] == [("é", 1), ("b", 11)]
    assert data[11:14] == b'"b"'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"v": "x", "r": {"n": [0, {}], "l": [1, 2], "z": 3}, "e": []}', [1, 2]),
        (b'{"r": {"l": []}}', []),
        (b'{"r": {"n": 1}, "l": [5]}', []),
        (b"{}", []),
        (b'{"r": {}}', []),
        (b'{"r": {"l": [1]}} {"r": {"m": 0}} {"r": {"l": [2]}}', [1, 2]),
        (b'{"v": "%s", "r": {"l": [1]}}' % (b'\\"' * 3_000_000), [1]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_array_under_keys(data: bytes, expected: list[Any]) -> None:
    assert values(data, ("r", "l")) == expected


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b'{"a": }', "not JSON"),
        (b"nul", "not JSON"),
        (b'{"a" 1}', "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'"tab\there"', "not JSON"),
        (b'"nul\0here"', "NUL"),
        (b'"half \\ud800"', "not JSON"),
        (b'{"long": "%s"}' % (b"x" * 500), "longer than 400 bytes"),
        (b'"%s"' % (b"x" * 500), "longer than 400 bytes"),
        (b"1" * 500, "longer than 400 bytes"),
        (b"[%s]" % (b'"x",' * 150 + b"1"), "longer than 400 bytes"),
        (b"[" * 900 + b"]" * 900, ""),
    ],
)
@pytest.mark.parametrize("block", [0, 1, 7])
def test_a_broken_element_costs_no_neighbour(broken: bytes, reason: str, block: int) -> None:
    found, damage = stream(b"[1, " + broken + b" , 2]", limit=400, block=block)
    assert damage is None
    assert [found[0].value, found[2].value] == [1, 2]
    if reason:
        assert isinstance(found[1].value, RecordFault)
        assert reason in found[1].value.reason
    assert found[1].offset == 4


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (b"", "ends here"),
        (b", ", "no JSON value begins here"),
        (b' {"x": 1}]', "no comma"),
        (b", {]", "was not opened"),
        (b', {"a": "never closed]', "ends within the record"),
        (b', {"a": [1, 2', "ends within the record"),
        (b', "abc', "ends within the record"),
        (b"] x", "no JSON array or object begins here"),
        (b", " + b"[" * 100_000, "nested too deeply"),
        (b",,1]", "no JSON value begins here"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_the_scanner_cannot_go_on_from(rest: bytes, reason: str) -> None:
    found, damage = stream(b"[1" + rest)
    assert [element.value for element in found] == [1]
    assert damage is not None
    assert reason in damage.message
    assert damage.remedy
    assert 0 <= damage.offset <= len(rest) + 2


@pytest.mark.parametrize("data", [b"", b"x", b'"text"', b"12", b'{"a" 1}', b'{"a', b"{1: 2}"])
def test_what_is_no_container(data: bytes) -> None:
    found, damage = stream(data)
    assert (found, damage is not None) == ([], True)


# --- properties

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=12)
json_values = st.recursive(
    scalars.filter(lambda v: not isinstance(v, str) or v.isprintable()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
documents = st.lists(json_values, max_size=6) | st.dictionaries(
    st.text(max_size=6), json_values, max_size=6
)


@given(documents, st.sampled_from([None, 1]), st.booleans(), st.integers(1, 40))
def test_the_same_as_decoding_it_whole(
    given_: Any, indent: int | None, ascii_: bool, block: int
) -> None:
    text = json.dumps(given_, indent=indent, ensure_ascii=ascii_)
    assume("\\u0000" not in text)  # such a record is a fault
    data = text.encode("utf-8", "replace")
    expected = json.loads(data)
    found, damage = stream(data)
    assert damage is None
    if isinstance(expected, dict):
        assert {element.key: element.value for element in found} == expected
    else:
        assert [element.value for element in found] == expected
    assert stream(data, block=block) == (found, None)


@given(st.lists(json_values, min_size=1, max_size=6), st.data())
def test_a_cut_keeps_what_was_complete(given_: list[Any], draw: st.DataObject) -> None:
    parts = [json.dumps(value) for value in given_]
    whole = ("[" + ",".join(parts) + "]").encode()
    assume(b"\\u0000" not in whole)  # such a record is a fault
    cut = draw.draw(st.integers(0, len(whole) - 1))
    found, damage = stream(whole[:cut])
    assert damage is not None
    complete, end = 0, 1
    for part in parts:
        end += len(part) + 1  # with the comma that follows, which ends a number
        complete += end <= cut
    assert [element.value for element in found[:complete]] == given_[:complete]


def told(element: JsonElement) -> tuple[int, str | None, str]:
    return element.offset, element.key, repr(element.value)


json_bytes = st.lists(
    st.sampled_from([b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"a", b" ", b"1", b"\xff"]),
    max_size=40,
).map(b"".join)


@given(json_bytes | st.binary(max_size=60), st.integers(1, 10), st.integers(0, 20))
def test_any_bytes(data: bytes, block: int, limit: int) -> None:
    found, damage = stream(data, limit=limit)
    again, damage_again = stream(data, limit=limit, block=block)
    assert list(map(told, again)) == list(map(told, found))
    assert (damage is None) == (damage_again is None)
    for path in ((), ("a",), ("a", "")):
        stream(data, path)
