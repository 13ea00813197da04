"""Random documents with metadata, and random filters over them."""

from __future__ import annotations

from hypothesis import strategies as st

from bioretrieval_tui.index.metadata_fields import FIELDS

WORDS = st.sampled_from(
    ["Nature", "nature", "BioHiCL", "bio-hicl", "Bio_HiCL", "cc-by", "J. Clin", "2020-05", "3",
     "na\u00efve", "\u00d6zil", "A/B", "(x)", "x", "C++", "-", "\u03b2-blocker", "aa", "a a a",
     "ba a a", "\u4e2d\u6587", "tab\there", "\u0130stanbul", "\ufb01x", "\u2014dash"]
)  # fmt: skip
VALUES = st.builds(" ".join, st.lists(WORDS, min_size=1, max_size=3)) | st.text(max_size=6)
LISTS = st.lists(VALUES, max_size=3)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "journal": VALUES,
        "mesh": LISTS,
        "types": LISTS,
        "language": st.sampled_from(["eng", "ger", ["eng", "fre"]]),
        "authors": LISTS | st.sampled_from(["Doe J, Roe AB.", "Doe, Jane", "Li X; Wu, Y"]),
        "year": st.integers(1998, 2003) | st.sampled_from(["1999", "no year", True, None, 0]),
        "date": st.sampled_from(["2001-02-03", "2001 Feb", "1999-12-31", "2002", "x"]),
        "Own Key": st.booleans() | st.integers(0, 3) | VALUES,
        "nested": st.just({"a": 1}),
    },
)
DOCUMENTS = st.lists(
    st.tuples(METADATA, st.sampled_from(["", " ", "a text"])), min_size=1, max_size=8
)

NAMES = [field.name for field in FIELDS if field.type != "bool"] + ["own_key"]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


TERMS = st.one_of(
    st.builds(
        lambda name, sign, value: f"{name}{sign}{quoted(value)}",
        st.sampled_from(NAMES), st.sampled_from([":", "="]), VALUES,
    ),
    st.builds(
        lambda name, values: f"{name}:{','.join(map(quoted, values))}",
        st.sampled_from(NAMES), st.lists(VALUES, min_size=2, max_size=3),
    ),
    st.builds(lambda name: f"has:{name}", st.sampled_from([*NAMES, "year", "abstract"])),
    st.builds(
        lambda sign, year: f"year{sign}{year}",
        st.sampled_from([":", "=", ">", ">=", "<", "<=", "!="]), st.integers(1997, 2004),
    ),
    st.sampled_from(["year:1999..2001", "year:..2000", "year:2001..", "year:2K", "year:1.999k",
                     "year:1999,2002", "is:abstract", "year<99999999999999999999", ""]),
)  # fmt: skip
EXPRESSIONS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds("({} {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("-({})".format, inner),
    ),
    max_leaves=5,
)
