"""No bytes whatever make loading raise anything but its own error."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bioretrieval_tui.catalog.loader import parse
from bioretrieval_tui.catalog.models import Content
from bioretrieval_tui.errors import CatalogueError

DATA = Path(__file__).resolve().parents[2] / "data"
ENTRY_FILE = b"version: 1\ninclude: [all.yaml]\n"


def check(main: bytes, rest: bytes) -> bool:
    """Parse two files; whether they were sound. Whatever else is raised fails the test."""
    try:
        _, content = parse({Path("catalog.yaml"): main, Path("all.yaml"): rest})
    except CatalogueError as error:
        lines = [str(problem) for problem in error.problems]
        assert lines, "an error names its problems"
        assert all("\n" not in line for line in lines)
        return False
    # What is accepted survives its compiled form.
    again = msgspec.json.decode(msgspec.json.encode(content), type=Content)
    assert again == content
    return True


@given(st.binary(max_size=200), st.binary(max_size=400))
def test_arbitrary_bytes(main: bytes, rest: bytes) -> None:
    check(main, rest)


# fmt: off
WORDS = [
    "models:", "papers:", "results:", "sources:", "encoding:", "id:", "name:", "value:", "type:",
    "-", "[", "]", "{", "}", ",", "?", "|", ">", "&a", "*a", "<<", ":", "#", "~", "'x'", '"\\e"',
    "!!int", "!!float", "!!null", "!!python/object:os.system", "!x", "%YAML 1.1", "---", "...",
    ".inf", "0x1f", "1_0", "1:30", "true", "null", "2026-11-22", "{query}",
    "\n", "\n\n", "\n  ", "\n    ", "\t", "\ufeff", "\u2028", "\u202e", "\x00",
]
SHARDS = [
    b"[", b"]", b"{", b"}", b": ", b"- ", b'"', b"'", b"&a ", b"*a ", b"\t", b"\xff", b"\x00",
    b"!!int ", b"!!float ", b"~", b"\n", b"  ", b"#", b"null", b"-1", b"\\ud800", b"\\e",
    b"999999999999999999999", b"0x" + b"f" * 9000, b"1e999", b"\xe2\x80\xa8", b"{", b"}}",
]
# fmt: on


@given(st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))
def test_arbitrary_words_of_yaml(text: str) -> None:
    check(ENTRY_FILE, text.encode())


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with a few places cut, overwritten or filled with what means something to YAML."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out))
        match chance.randrange(3):
            case 0:
                out[at:at] = chance.choice(SHARDS)
            case 1:
                del out[at : at + chance.randint(1, 40)]
            case _:
                out[at] = chance.randrange(256)
    return bytes(out)


@settings(max_examples=200)
@given(st.sampled_from(sorted(p.name for p in DATA.glob("*.yaml"))), st.integers(0, 2**32))
def test_mutated_stretches_of_the_real_files(name: str, seed: int) -> None:
    chance = random.Random(seed)
    data = (DATA / name).read_bytes()
    section = data[: data.index(b"\n", data.index(b":")) + 1]
    start = data.rfind(b"\n  - ", 0, chance.randrange(len(data))) + 1
    check(ENTRY_FILE, mutated(section + data[start : start + 5000], chance))


def test_mutations_of_a_sound_catalogue(small: bytes) -> None:
    """Some mutations leave it sound: those must also pass into values and their compiled form."""
    chance = random.Random(20261122)
    sound = sum(check(ENTRY_FILE, mutated(small, chance)) for _ in range(600))
    assert 5 < sound < 300
