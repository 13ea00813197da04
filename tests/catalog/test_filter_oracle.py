"""The fast filter against a slow one that is written straight from docs/filter.md.

Also the source of 10,000 realistic rows (`many_rows`), made of a fixed seed.
"""

from __future__ import annotations

import random
import re
import unicodedata
from bisect import bisect
from collections.abc import Iterator
from functools import cache, cached_property
from itertools import accumulate, chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioretrieval_tui.catalog.filter import Field, Filter, Row, Schema, parse
from bioretrieval_tui.catalog.filter.nodes import (
    All,
    Any,
    Compares,
    Everything,
    Flag,
    Has,
    Matches,
    Node,
    Not,
    Phrase,
    Word,
)
from bioretrieval_tui.errors import FilterError

SCHEMA = Schema(
    [
        Field("name", "text"),
        Field("tags", "set", ("tag",)),
        Field("venue", "text"),
        Field("hub", "set"),
        Field("year", "number"),
        Field("params", "number"),
        Field("docs", "number", ("documents",)),
        Field("gated", "bool"),
    ]
)

# ---- 10,000 rows ----------------------------------------------------------------------------

_HEADS = "Bio Med Pub Clin Sci Sap Gene Chem Onco Cardio Neuro Pharma Micro Immuno Radio".split()
_TAILS = "BERT CPT Hop Retriever Ranker RoBERTa E5 GTE HiCL CLIP Former Llama ColBERT DPR".split()
_SIZES = ["", "-110M", "-335M", "-2B", "-7B", " base", " large", "-v2", "_small", " Query Encoder"]
_TOPICS = (
    "dense sparse retrieval late-interaction reranking entity-linking contrastive distillation "
    "biomedical clinical pubmed metformin diabetes cancer genomics question-answering zero-shot "
    "benchmark negatives synthetic"
).split()
_SYLLABLES = (
    "an bi car do en for ga hy in ko lin me nor ox pa ri sta tri ul ver xi ze mab ol ine ose phen "
    "gly thy amid cyt derm hep neph oste path plas zol statin form"
).split()
_VENUES = ["ACL 2023", "EMNLP", "NeurIPS", "Bioinformatics", "TREC", "SIGIR 2024", None]


def _zipfian(count: int) -> list[float]:
    return list(accumulate(1 / (rank + 2.7) for rank in range(count)))


@cache
def many_rows(count: int = 10_000, seed: int = 20) -> tuple[Row, ...]:
    """Rows with names of about three words, five tags and sixty words of text.

    The words of the texts follow Zipf's law over some 20,000, as those of abstracts do.
    """
    draw = random.Random(seed)
    lexicon = [*_TOPICS, *"the of and in for with a on to is model trained retriever".split()]
    seen = set(lexicon)
    while len(lexicon) < 20_000:
        word = "".join(draw.choices(_SYLLABLES, k=draw.choice((1, 2, 2, 3, 3, 4))))
        if len(lexicon) % 8 == 0:
            word += draw.choice(("-" + draw.choice(_TOPICS), str(draw.randrange(100))))
        if word not in seen:
            seen.add(word)
            lexicon.append(word)
    weights = _zipfian(len(lexicon))
    tags = [*_TOPICS, *draw.sample(lexicon[100:3000], 280)]
    tag_weights = _zipfian(len(tags))

    def pick(words: list[str], cumulative: list[float], k: int) -> list[str]:
        total = cumulative[-1]
        return [words[bisect(cumulative, draw.random() * total)] for _ in range(k)]

    rows = []
    for number in range(count):
        name = draw.choice(_HEADS) + draw.choice(_TAILS) + draw.choice(_SIZES)
        name += " " + " ".join(pick(lexicon, weights, draw.choice((1, 2, 2, 3)))).title()
        if number % 400 == 7:
            name = "BMRetriever" + draw.choice(_SIZES)
        words = pick(lexicon, weights, draw.randrange(45, 76))
        if number % 9 == 0:
            words.insert(draw.randrange(40), draw.choice(("Alzheimer\u2019s", "β-cell", "naïve")))
        text = " ".join(words).capitalize() + "."
        rows.append(
            Row(
                key=f"row-{number}",
                name=name,
                tags=tuple(dict.fromkeys(pick(tags, tag_weights, draw.randrange(3, 8)))),
                text=text.replace(" the ", ", the ").replace(" and ", " (and) "),
                values={
                    "venue": draw.choice(_VENUES),
                    "hub": (f"org-{number % 90}/{name.split()[0]}",),
                    "year": draw.randrange(2015, 2027),
                    "params": draw.choice((None, int(10 ** draw.uniform(6, 11)))),
                    "docs": draw.choice((None, None, draw.randrange(10**6))),
                    "gated": draw.choice((True, False, None)),
                },
            )
        )
    return tuple(rows)


# ---- the slow filter ------------------------------------------------------------------------


def slow_fold(text: str) -> str:
    out = ""
    for char in text:
        for part in unicodedata.normalize("NFKD", char):
            if unicodedata.combining(part) or unicodedata.category(part) == "Cf":
                continue
            if part in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212":
                part = "-"
            out += "'" if part in "\u2018\u2019\u02bc" else part
    return out.casefold()


def slow_variants(text: str) -> tuple[str, str]:
    """Without hyphens and underscores, and with spaces for them."""
    folded = slow_fold(text)
    return (
        " ".join(re.sub("[-_]", "", folded).split()),
        " ".join(re.sub("[-_]", " ", folded).split()),
    )


def slow_forms(text: str, *, humps: bool = False) -> list[str]:
    out = [slow_variants(text)[1]]
    for chunk in re.findall(r"[\w-]+", slow_fold(text)):
        words = chunk.strip("-_")
        if "-" in words or "_" in words:
            out.append(words.replace("-", "").replace("_", ""))
    for run in re.findall("[A-Za-z0-9]+", text) if humps else ():
        for at in range(1, len(run)):
            before, here, after = run[at - 1], run[at], run[at + 1 : at + 2]
            if here.isupper() and (before.islower() or (before.isupper() and after.islower())):
                out.append(run[at:].lower())
    return out


def slow_places(form: str, needle: str) -> Iterator[tuple[bool, bool]]:
    """For each occurrence: does it begin, does it end, where a word may?"""
    for at in range(len(form)):
        if needle and form.startswith(needle, at):
            end = at + len(needle)
            cut_before = at > 0 and form[at - 1].isalnum() and needle[0].isalnum()
            cut_after = end < len(form) and form[end].isalnum() and needle[-1].isalnum()
            yield not cut_before, not cut_after


def slow_distance(one: str, other: str) -> int:
    """Optimal string alignment: letters added, dropped, changed, or neighbours swapped."""
    table = [
        [i + j if not i or not j else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)
    ]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            cost = one[i - 1] != other[j - 1]
            best = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + cost)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                best = min(best, table[i - 2][j - 2] + 1)
            table[i][j] = best
    return table[-1][-1]


class SlowRow:
    """What the slow filter knows of a row, worked out once because it is so slow."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.names = set(slow_variants(row.name))
        self.squeezed_name = slow_variants(row.name)[0]
        self.name_forms = slow_forms(row.name, humps=True)
        self.tags = {variant for tag in row.tags for variant in slow_variants(tag)}
        self.forms = [f for part in (row.name, *row.tags, row.text) for f in slow_forms(part)]
        self.name_words = words(self.name_forms)
        self.words = words(self.forms)

    def literal(self, word: str) -> int:
        """The score of a word that is found as it stands; 0 if it is not."""
        needles = {needle for needle in slow_variants(word) if needle}
        named = [p for n in needles for form in self.name_forms for p in slow_places(form, n)]
        found = [p for n in needles for form in self.forms for p in slow_places(form, n)]
        tests = (
            (12, bool(needles & self.names)),
            (11, any(name.startswith(n) for name in self.names for n in needles)),
            (10, any(begins for begins, _ in named)),
            (9, bool(named)),
            (8, any(tag.startswith(n) for tag in self.tags for n in needles)),
            (7, any(begins for begins, _ in found)),
            (6, bool(found)),
        )
        return next((score for score, passed in tests if passed), 0)

    def fuzzy(self, word: str, near: dict[str, int]) -> int:
        tests = (
            (5, any(near[w] == 1 for w in near.keys() & self.name_words)),
            (4, bool(near.keys() & self.name_words)),
            (3, len(word) >= 3 and word.isalnum() and in_order(self.squeezed_name, word)),
            (2, any(near[w] == 1 for w in near.keys() & self.words)),
            (1, bool(near.keys() & self.words)),
        )
        return next((score for score, passed in tests if passed), 0)

    def fits(self, node: Has | Matches | Compares | Flag) -> bool:
        value = self.row.values.get(node.field)
        if node.field in ("name", "tags") and node.field not in self.row.values:
            value = getattr(self.row, node.field)
        texts = (
            [value]
            if isinstance(value, str)
            else list(value or ())
            if not isinstance(value, int | float)
            else []
        )
        match node:
            case Has():
                return value is not None and (
                    not isinstance(value, str | tuple) or any(t.strip() for t in texts)
                )
            case Flag(_, wanted):
                return value is wanted
            case Compares(_, _, intervals):
                if value is None:
                    return False
                return any(
                    (i.low is None or (value > i.low if i.low_open else value >= i.low))
                    and (i.high is None or (value < i.high if i.high_open else value <= i.high))
                    for i in intervals
                )
            case Matches(_, "=", wanted):
                keys = {re.sub(r"[-_\s]", "", slow_fold(text)) for text in texts if text.strip()}
                return any(re.sub(r"[-_\s]", "", slow_fold(w)) in keys for w in wanted)
            case Matches(_, _, wanted):
                needles = {n for w in wanted for n in slow_variants(w)}
                forms = [f for text in texts if text.strip() for f in slow_forms(text, humps=True)]
                return any(b for n in needles for form in forms for b, _ in slow_places(form, n))
        raise AssertionError(node)


def words(forms: list[str]) -> set[str]:
    return {word for form in forms for word in re.findall(r"[^\W_]+", form)}


def in_order(text: str, word: str) -> bool:
    letters = iter(text)
    return all(letter in letters for letter in word)


class SlowFilter:
    def __init__(self, rows: tuple[Row, ...]) -> None:
        self.rows = [SlowRow(row) for row in rows]

    @cached_property
    def vocabulary(self) -> set[str]:
        return {word for row in self.rows for word in row.words | row.name_words}

    @cache  # noqa: B019 - as long-lived as the test
    def scores(self, word: str) -> tuple[bool, list[int]]:
        """Whether the word is found as it stands anywhere, and its score in each row."""
        literal = [row.literal(word) for row in self.rows]
        if any(literal):
            return True, literal
        squeezed = slow_variants(word)[0] or slow_variants(word)[1]
        limit = 0 if len(squeezed) < 4 else 1 if len(squeezed) < 7 else 2
        near = {}
        if limit and squeezed.isalnum() and not squeezed.isdecimal():
            for known in self.vocabulary:
                if not known.isdecimal() and abs(len(known) - len(squeezed)) <= limit:
                    distance = slow_distance(known, squeezed)
                    if distance <= limit:
                        near[known] = distance
        return False, [row.fuzzy(squeezed, near) for row in self.rows]

    def apply(self, expression: str) -> list[int]:
        node = parse(expression, SCHEMA)
        found = [n for n in range(len(self.rows)) if self.fits(node, n)]
        sought = list(dict.fromkeys(sought_words(node)))
        return sorted(found, key=lambda n: -sum(self.scores(word)[1][n] for word in sought))

    def fits(self, node: Node, number: int, *, negated: bool = False) -> bool:
        match node:
            case Everything():
                return True
            case Word(text):
                literal, scores = self.scores(text)
                return bool(scores[number]) and (literal or not negated)
            case Phrase(text):
                return any(
                    begins and ends
                    for needle in slow_variants(text)
                    for form in self.rows[number].forms
                    for begins, ends in slow_places(form, needle)
                )
            case Not(inner):
                return not self.fits(inner, number, negated=True)
            case All(nodes):
                return all(self.fits(part, number, negated=negated) for part in nodes)
            case Any(nodes):
                return any(self.fits(part, number, negated=negated) for part in nodes)
            case _:
                return self.rows[number].fits(node)


def sought_words(node: Node) -> Iterator[str]:
    if isinstance(node, Word):
        yield node.text
    elif isinstance(node, All | Any):
        yield from chain.from_iterable(map(sought_words, node.nodes))


# ---- fast against slow ----------------------------------------------------------------------

WORDS = [
    *("BMRetriever-2B", "BMRetriever", "BioHiCL", "bio-hicl", "bio_hicl", "PubMedBERT", "bert"),
    *("MedCPT", "RoBERTa", "late-interaction", "late", "interaction", "lateinteraction", "C++"),
    *("metformin", "metfromin", "metform", "metformins", "diabetes", "ner", "general", "e5"),
    *("β-cell", "beta", "naïve", "Alzheimer\u2019s", "2104.08663", "2020", "2021", "(large)"),
    *("straße", "ﬁne", "x\u2013y", "İstanbul", "検索", "a--b", "-_-", "__a__", "K\u00a0Å"),
]
words_st = st.sampled_from(WORDS) | st.text("abBtT-_ .é1", max_size=8) | st.text(max_size=5)
texts_st = st.lists(words_st, max_size=6).map(" ".join)
rows_st = st.lists(
    st.builds(
        Row,
        key=st.just("k"),
        name=st.lists(words_st, min_size=1, max_size=3).map(" ".join),
        tags=st.lists(words_st, max_size=3).map(tuple),
        text=texts_st,
        values=st.fixed_dictionaries(
            {},
            optional={
                "venue": st.none() | texts_st,
                "hub": st.lists(words_st, max_size=2).map(tuple),
                "year": st.none() | st.integers(2018, 2023),
                "params": st.none() | st.integers(0, 2000).map(lambda n: n * 1_000_000),
                "docs": st.none() | st.floats(-2, 200_000),
                "gated": st.none() | st.booleans(),
            },
        ),
    ),
    max_size=8,
).map(tuple)


@st.composite
def typed_words(draw: st.DrawFn) -> str:
    """A word, perhaps cut short or mistyped."""
    word = draw(words_st)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, max(len(word) - 1, 0)))
        edit = draw(st.sampled_from(("cut", "drop", "double", "swap", "change")))
        if edit == "cut":
            word = word[: at + 1]
        elif edit == "drop":
            word = word[:at] + word[at + 1 :]
        elif edit == "double":
            word = word[:at] + word[at : at + 1] + word[at:]
        elif edit == "swap":
            word = word[:at] + word[at : at + 2][::-1] + word[at + 2 :]
        else:
            word = word[:at] + draw(st.sampled_from("abez2")) + word[at + 1 :]
    return word


values_st = st.sampled_from(
    ["year:2020", "year>=2020", "year<2021", "year:2019..2021", "year!=2020", "params<=500M"]
    + [
        "params:1.2B",
        "params>1000M",
        "docs:..100K",
        "docs:171K",
        "gated:yes",
        "gated:no",
        "-is:gated",
    ]
    + ["has:venue", "has:params", "-has:tags", "hub:*", "venue!=late"]
)


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


conditions_st = st.builds(
    lambda field, sign, values: field + sign + ",".join(map(quote, values)),
    st.sampled_from(["name", "tags", "tag", "venue", "hub"]),
    st.sampled_from([":", "=", "!="]),
    st.lists(typed_words(), min_size=1, max_size=2),
)
terms_st = typed_words() | words_st.map(quote) | values_st | conditions_st
terms_st = terms_st | terms_st.map("-{}".format)
expressions_st = st.recursive(
    terms_st,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(" ".join)
        | st.lists(inner, min_size=2, max_size=3).map(" OR ".join)
        | inner.map("({})".format)
        | inner.map("-({})".format)
    ),
    max_leaves=5,
)


def applied(target: Filter | SlowFilter, expression: str) -> list[int] | str:
    try:
        return target.apply(expression)
    except FilterError as error:
        return error.line()


@settings(deadline=None, max_examples=300)
@given(rows_st, st.lists(expressions_st, min_size=1, max_size=4))
def test_fast_and_slow_find_the_same_rows_in_the_same_order(
    rows: tuple[Row, ...], expressions: list[str]
) -> None:
    fast, slow = Filter(rows, SCHEMA), SlowFilter(rows)
    for expression in expressions:
        assert applied(fast, expression) == applied(slow, expression)


@settings(deadline=None, max_examples=100)
@given(rows_st, expressions_st, st.lists(st.integers(0, 40), max_size=6))
def test_no_sequence_of_keystrokes_changes_a_result(
    rows: tuple[Row, ...], expression: str, cuts: list[int]
) -> None:
    """Typing letter by letter, then cutting back and typing on from there."""
    fast, slow = Filter(rows, SCHEMA), SlowFilter(rows)
    steps = [*range(len(expression) + 1)]
    for cut in cuts:
        steps += range(min(cut, len(expression)), len(expression) + 1)
    for step in steps:
        assert applied(fast, expression[:step]) == applied(slow, expression[:step])


@pytest.fixture(scope="module")
def both() -> tuple[Filter, SlowFilter]:
    rows = many_rows(700)
    return Filter(rows, SCHEMA), SlowFilter(rows)


@pytest.mark.parametrize(
    "typed",
    [
        "metform",
        "params<=500M dense retr",
        "bmretriver",
        "zzzz",
        "alzhiemer naive",
        "late-inter (venue:acl OR year:2020..2022) -cancer",
        '"late interaction" tags:dense,sparse hub:org-1 has:params',
    ],
)
def test_typing_over_realistic_rows(both: tuple[Filter, SlowFilter], typed: str) -> None:
    fast, slow = both
    for step in range(0, len(typed) + 1):
        assert applied(fast, typed[:step]) == applied(slow, typed[:step])


def test_ten_thousand_rows_are_searched_whole() -> None:
    rows = many_rows()
    assert len(rows) == 10_000
    fast = Filter(rows, SCHEMA)
    fast.prepare()
    found = fast.apply("diabetes params<=500M")
    expected = [
        number
        for number, row in enumerate(rows)
        if "diabetes" in " ".join((row.name, *row.tags, row.text)).casefold()
        and row.values["params"] is not None
        and row.values["params"] <= 500_000_000
    ]
    assert sorted(found) == expected
    assert 100 < len(found) < 5_000
    scores = ["diabetes" in rows[number].name.casefold() for number in found]
    assert scores == sorted(scores, reverse=True)
