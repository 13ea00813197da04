"""Hostile text: nothing that acts on a terminal gets through, nothing readable is lost."""

from __future__ import annotations

import sys
import unicodedata
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bioretrieval_tui.terminal.clean import MAX_URL, clean, safe_url

hostile = st.lists(
    st.one_of(
        st.text(max_size=4),
        st.characters(max_codepoint=0xA0),
        st.sampled_from(
            ["\x1b[", "\x1b]8;;", "\x1b\\", "\x07", "\x9b31m", "\r\n", "\udc9b", "\u202e"]
        ),
    ),
    max_size=12,
).map("".join)


def acts(character: str) -> bool:
    """Whether Unicode itself says that a character controls, reorders or is half of another."""
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(
        character
    ) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN"}


@given(hostile)
@example("\x1b]0;a\x1b[31m\x07")
@example("\x1b\x1b[[3131mm")
def test_nothing_that_acts_gets_through(text: str) -> None:
    line = clean(text)
    assert not any(acts(character) for character in line)
    line.encode()  # no lone surrogate is left
    lines = clean(text, newlines=True)
    assert not any(acts(character) for character in lines.replace("\n", ""))
    assert clean(line) == line
    assert clean(lines, newlines=True) == lines


def test_every_character_that_acts_is_removed_and_only_those_that_do_not_show() -> None:
    format_marks = {"ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN"}  # draw themselves around digits
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        kept = character in clean(f"a{character}b")
        if acts(character):
            assert not kept, hex(code)
        elif not kept:
            name = unicodedata.name(character, "")
            reserved = unicodedata.category(character) == "Cn"
            assert (
                reserved
                or unicodedata.category(character) == "Cf"
                or any(word in name for word in ("SELECTOR", "FILLER", "JOINER", "INHERENT"))
            ), (hex(code), name)
        elif unicodedata.category(character) == "Cf":
            assert unicodedata.name(character).split()[0] in format_marks, hex(code)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("β-catenin 5\u2032→3\u2032 naïve 漢字 🧬", "β-catenin 5\u2032→3\u2032 naïve 漢字 🧬"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred\x9b0m", "red"),
        ("\udc9b31mred", "red"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]0;title\x1b\\b", "ab"),
        ("a\x9d0;title\x9cb", "ab"),
        ("a\x1b]52;c;ZXZpbA==\x07b", "ab"),
        ("\x1b]8;;https://evil.example\x1b\\text\x1b]8;;\x1b\\", "text"),
        ("a\x1bPq#0;2;0\x1b\\b", "ab"),
        ("a\x1b_Gf=100;AAAA\x1b\\b", "ab"),
        ("a\x1b^private\x1b\\b\x1bXstart\x1b\\c", "abc"),
        ("a\x1bktitle\x1b\\b", "ab"),
        ("a\x1bcb\x1b(0c\x1b#8d", "abcd"),
        ("a\x1b[?1049hb\x1b[6nc", "abc"),
        ("never ends \x1b]0;but stays", "never ends 0;but stays"),
        ("cut \x1b[38;5", "cut "),
        ("cut \x1b", "cut "),
        ("a\tb", "a b"),
        ("a\r\nb\rc\nd\x0be\u2028f\x85g", "a b c d e f g"),
        ("nul\0 del\x7f bell\a", "nul del bell"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("zero\u200bwidth\ufeff soft\xadhyphen", "zerowidth softhyphen"),
        ("tag\U000e0041\U000e007f", "tag"),
        ("👩\u200d🔬 ❤\ufe0f", "👩🔬 ❤"),
        ("hidden\U000e0101\U000e0102 bytes", "hidden bytes"),
        ("half \ud83d", "half "),
    ],
)
def test_examples(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_newlines_of_every_kind_become_one_kind() -> None:
    assert clean("a\r\nb\rc\nd\x0ce\u2029f", newlines=True) == "a\nb\nc\nd\ne\nf"
    assert clean("a\nb\tc\x1b[0m", newlines=True) == "a\nb c"


@pytest.mark.parametrize("text", ["plain words", "naïve β", "two\nlines"])
def test_clean_text_is_returned_as_it_is(text: str) -> None:
    assert clean(text, newlines=True) is text


@pytest.mark.parametrize("unit", ["\x1b]", "\x9d", "\x1b[", "\x1bP;", "\x90", "\x1b ", "\udc9d0;"])
def test_long_rows_of_introducers_are_read_in_linear_time(unit: str) -> None:
    # Read in quadratic time this takes minutes.
    assert "\x1b" not in clean(unit * 300_000)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://pubmed.ncbi.nlm.nih.gov/123/", "https://pubmed.ncbi.nlm.nih.gov/123/"),
        (" HTTP://Example.ORG/A?b=C#d\n", "http://example.org/A?b=C#d"),
        ("https://example.org", "https://example.org"),
        ("https://example.org:8080/x", "https://example.org:8080/x"),
        ("http://127.0.0.1:9/x", "http://127.0.0.1:9/x"),
        ("http://[::1]:9/x", "http://[::1]:9/x"),
        (
            "https://doi.org/10.1002/(SICI)1097-0258(1998)17:15<1661::AID-SIM968>3.0.CO;2-2",
            "https://doi.org/10.1002/(SICI)1097-0258(1998)17:15%3C1661::AID-SIM968%3E3.0.CO;2-2",
        ),
        ("https://example.org/naïve?q=β", "https://example.org/na%C3%AFve?q=%CE%B2"),
        ("https://example.org/100%/%41%zz", "https://example.org/100%25/%41%25zz"),
        ('https://example.org/"`{|}^[x]', "https://example.org/%22%60%7B%7C%7D%5E%5Bx%5D"),
        ("https://münchen.example/", "https://xn--mnchen-3ya.example/"),
        (
            "https://\u0430pple.example/",
            "https://xn--pple-43d.example/",
        ),  # a Cyrillic a: now it shows
    ],
)
def test_good_addresses(text: str, url: str) -> None:
    assert safe_url(text) == url
    assert safe_url(url) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "//example.org",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "ftp://example.org/",
        "http:///path",
        "http://",
        "https:example.org",
        "https://user@example.org/",
        "https://pubmed.gov:x@evil.example/",
        "https://pubmed.gov@evil.example/",
        "https://pubmed.gov%40evil.example/",
        "https://evil.example\\@pubmed.gov/",
        "https://example.org/a b",
        "https://example.org/\x1b]0;x\x07",
        "https://example.org/\u202egpj.exe",
        "https://exam\u200bple.org/",
        "https://example.org/\u00a0x",
        "https://example.org/\ud83d",
        "https://example.org\n.evil.example/",
        "https://example.org:99999/",
        "https://example.org:port/",
        "https://exa$mple.org/",
        "https://-x.example/",
        "https://a..example/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[evil]/",
        "https://example\u2100.org/",
        "-https://example.org",
        "https://example.org/" + "a" * MAX_URL,
        "https://example.org/" + "é" * 1000,
        "https://" + "a" * 64 + ".example/",
    ],
)
def test_hostile_addresses_are_refused(text: str) -> None:
    assert safe_url(text) is None


address = st.one_of(
    st.text(max_size=40),
    st.builds("http://{}/{}".format, st.text(max_size=12), st.text(max_size=12)),
    st.builds(
        "https://{}{}{}{}".format,
        st.sampled_from(["a.example", "münchen.example", "[::1]", "a@b", "a\\b", "K.example"]),
        st.sampled_from(["", ":80", ":", ":x"]),
        st.sampled_from(["/", "?", "#", ""]),
        st.text(max_size=12),
    ),
)


@given(address)
@example("http://[::ffff:1.2.3.4]/%")
def test_whatever_is_let_through_is_plain(text: str) -> None:
    url = safe_url(text)
    if url is None:
        return
    assert url.isascii()
    assert url.isprintable()
    assert not set(url) & set(' "<>\\^`{|}')
    parts = urlsplit(url)
    assert parts.scheme in {"http", "https"}
    assert parts.hostname
    assert "@" not in parts.netloc
    assert len(url) <= MAX_URL
    assert safe_url(url) == url
