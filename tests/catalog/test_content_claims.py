"""What the texts and rows of the catalogue claim, checked a kind at a time.

Each table names every place of its kind: a new statement that is not in its table fails too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry, Benchmark, Content, Model, Paper, Result

SELF_TALK = re.compile(
    r"\b(?:not|never|still|could|been|were|be) (?:be |been )?(?:read|seen|verified|checked)\b"
    r"|\bnot (?:be )?(?:settled by|confirmed)\b|\b(?:recalled|unread|readable|transcription)\b"
    r"|\bsources? read\b|\b(?:we|our|ours|for us|to us|concerns us)\b|\b(?:the|this|seed) page\b"
    r"|\bfor this catalogue\b|\b(?:was|were) found\b|\bread (?:again|here|in two|on the)\b",
    re.IGNORECASE,
)
"""How editors write about their own reading. What they could not verify is a `status`."""

# The external folder of mteb's results holds figures of the authors themselves.
SELF_REPORTED = {
    "gte-small": "nfcorpus scifact scidocs trec-covid biosses",
    "gte-base": "nfcorpus scifact scidocs trec-covid biosses",
    "e5-base": "nfcorpus scifact scidocs trec-covid biosses",
    "e5-base-v2": "nfcorpus scifact biosses",
    "e5-large-v2": "nfcorpus scifact biosses",
    "bge-base-en-v1-5": "biosses",
    "bge-large-en-v1-5": "biosses",
    "medembed-small": "scidocs biosses",
    "nv-embed-v2": "scidocs biosses",
}

BM25_CLAIM = re.compile(
    r"(?:below|under|loses to|behind|ahead of|close to|beats?|above|against)[^.;]{0,20} BM25\b",
    re.IGNORECASE,
)
# A text that places a model against BM25: the model, the baseline, and the sets on either side.
BM25_CLAIMS = [
    ("pubmedbert-static-8m", "pubmedbert-static-8m", "bm25-flat", "nfcorpus", ""),
    ("pubmedbert-static-100k", "pubmedbert-static-8m", "bm25-flat", "nfcorpus scifact", ""),
    ("train-pubmedbert-static", "pubmedbert-static-8m", "bm25s",
     "nfcorpus scifact trec-covid curev1:en medicalqa publichealthqa:english", ""),
    ("all-minilm-l6-v2", "all-minilm-l6-v2", "bm25-flat", "trec-covid", "scidocs"),
    ("contriever-msmarco", "contriever-msmarco", "bm25-flat", "r2med", ""),
    ("train-contriever", "contriever", "bm25-flat", "trec-covid", ""),
    ("train-specter2", "specter2", "bm25-flat", "nfcorpus", ""),
    ("gtr-xxl", "gtr-xxl", "bm25-multifield", "scifact trec-covid", "nfcorpus scidocs"),
    ("step-2", "medcpt", "bm25-flat", "scidocs", "nfcorpus scifact trec-covid"),
    ("step-3", "bmretriever-410m", "bm25-flat", "", "trec-covid"),
]  # fmt: skip
BM25_IN_GENERAL = {"evolution-beir", "evolution-contriever", "contriever"}

BERT_BASE = re.compile(r"0?\.043\b.*0?\.130\b.*0?\.028\b", re.DOTALL)

FAMILY_TRAPS = [
    (("bmretriever-410m", "bmretriever-1b", "bmretriever-2b", "bmretriever-7b"), r"README.*padd"),
    (("medembed-small", "medembed-base", "medembed-large"), r"\b128\b.*\b256\b|\b256\b.*\b128\b"),
]


def texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(place, text) of all that a reader is shown of an entry, without names of sources."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in ("source", "sources", "links", "relations", "statuses", "unverified"):
                yield from texts(one, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts(one, place)
    elif isinstance(value, str):
        yield place, " ".join(value.split())


def said(entry: AnyEntry | Result) -> Iterator[tuple[str, str]]:
    return texts(msgspec.to_builtins(entry))


def score(content: Content, model: str, benchmark: str) -> float:
    """The one figure of a model on a whole set, or on a subset of it, that may be ranked."""
    name, _, subset = benchmark.partition(":")
    (value,) = {
        result.value
        for result in content.results
        if (result.model, result.benchmark, result.subset) == (model, name, subset or None)
        and result.comparable
    }
    return value


def test_no_text_is_about_the_editors(shipped: Content) -> None:
    for one in (*shipped.entries, *shipped.results):
        for place, text in said(one):
            assert not SELF_TALK.search(text), f"{getattr(one, 'id', one)}{place}: {text}"


@pytest.mark.parametrize(
    "text",
    [
        "Licence and pooling were not confirmed.",
        "The code was not read for this catalogue.",
        "Its base is recalled, not read.",
        "164 queries is our sum over the four years.",
        "Dated 2025 on the page.",
        "The short id was never seen in use.",
        "The licence could not be verified.",
        "No hub id was found for this size.",
        "The part that concerns us.",
    ],
)
def test_talk_of_editors_is_recognised(text: str) -> None:
    assert SELF_TALK.search(text)


def test_figures_of_the_authors_say_so(shipped: Content) -> None:
    wanted = {(model, name) for model, names in SELF_REPORTED.items() for name in names.split()}
    held = {
        (result.model, result.benchmark)
        for result in shipped.results
        if result.note and "self-reported" in result.note
    }
    assert held == wanted


def test_a_row_of_r2med_that_departs_from_the_recipe_says_so(shipped: Content) -> None:
    """R2MED scores every embedder by cosine, and its BM25 is gensim's."""
    encodings = {model.id: model.encoding for model in shipped.entries if isinstance(model, Model)}
    rows = [result for result in shipped.results if result.benchmark == "r2med"]
    assert len(rows) == 135
    for row in rows:
        encoding = encodings[row.model]
        kind = encoding.type if encoding else "service"
        note = row.note or ""
        assert ("gensim" in note) is (kind == "lexical"), row
        departs = kind == "bi-encoder" and encoding is not None and encoding.similarity != "cosine"
        assert ("cosine" in note) is departs, row


@pytest.mark.parametrize(("owner", "model", "baseline", "below", "above"), BM25_CLAIMS)
def test_a_claim_against_bm25_holds(
    shipped: Content, owner: str, model: str, baseline: str, below: str, above: str
) -> None:
    entry = next(entry for entry in shipped.entries if entry.id == owner)
    assert any(BM25_CLAIM.search(text) for _, text in said(entry))
    for name in below.split():
        assert score(shipped, model, name) < score(shipped, baseline, name), name
    for name in above.split():
        assert score(shipped, model, name) > score(shipped, baseline, name), name


def test_every_claim_against_bm25_is_in_the_table(shipped: Content) -> None:
    held = {
        entry.id
        for entry in shipped.entries
        if any(BM25_CLAIM.search(text) for _, text in said(entry))
    }
    assert held == {claim[0] for claim in BM25_CLAIMS} | BM25_IN_GENERAL


def test_no_paper_is_younger_than_its_source(catalogue: Catalogue) -> None:
    """A source that names the month of its copy knows no later paper."""
    months = {
        source.id: found[1]
        for source in catalogue.sources.values()
        if (found := re.search(r"\((20\d\d-\d\d)(?:-\d\d)?\)", source.text))
    }
    assert len(months) >= 3
    for paper in catalogue.of_type(Paper):
        cited = {*paper.sources, *(fact.source for fact in paper.facts),
                 *(note.source for note in paper.notes)}  # fmt: skip
        for source in cited & months.keys():
            if paper.arxiv:
                month = f"20{paper.arxiv[:2]}-{paper.arxiv[2:4]}"
                assert month <= months[source], f"{paper.id} from {source}"
            assert str(paper.year) <= months[source][:4], f"{paper.id} from {source}"


@pytest.mark.parametrize(("family", "trap"), FAMILY_TRAPS)
def test_a_trap_of_a_family_stands_at_each_member(
    catalogue: Catalogue, family: tuple[str, ...], trap: str
) -> None:
    for identifier in family:
        model = catalogue.entry(identifier)
        assert isinstance(model, Model)
        assert model.encoding is not None
        traps = [" ".join(text.split()) for text in model.encoding.traps]
        assert any(re.search(trap, text) for text in traps), identifier


def test_figures_of_bert_base_stand_once_and_under_its_name(shipped: Content) -> None:
    held = [
        (entry.id, text)
        for entry in shipped.entries
        for _, text in said(entry)
        if BERT_BASE.search(text)
    ]
    assert len(held) <= 1, held
    assert all("BERT-base" in text for _, text in held)


def test_members_of_a_suite_are_names(catalogue: Catalogue) -> None:
    """A loader can use them: no remark stands inside an id."""
    for suite in catalogue.of_type(Benchmark):
        for member in suite.members:
            assert re.fullmatch(r"[\w./-]+", member), f"{suite.id}: {member}"
