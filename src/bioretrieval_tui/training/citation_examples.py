"""Examples from citations, as BiCA makes them (Sinha and others, arXiv 2511.08029), without its
generated queries: what two works that cite one another have in common needs no label.

BiCA asks for an article with a question that a model wrote of its abstract, and walks from it along
citations to hard negatives. Here the title of the citing article is the query, a work that it cites
the answer, and works that those cite, but it does not, are hard negatives.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bioretrieval_tui.documents.bibliography import document_pmid
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import doi_of, pmid_of, same_doi
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.training.examples import Example, ExampleSet, InputSum, checked, long_enough

MOST_CITED = 4
"""Pairs of one citing article: a review would outweigh a hundred papers."""


def citation_pairs(
    documents: Iterable[Document],
    what: str,
    inputs: Sequence[InputSum],
    *,
    negatives: int = 4,
    seed: int = 0,
) -> ExampleSet:
    """The title of each document with works of `references` that are here too, at most
    `MOST_CITED`; negatives are two citations away. Works are found by id, PMID or DOI. Raises
    CorpusError: no document has references, or none of them is here."""
    held = list(documents)
    cited = _citations(held)
    skipped: Counter[str] = Counter()
    found = list(_pairs(held, cited, negatives, random.Random(seed), skipped))  # noqa: S311 - no secret
    if not found:
        known = any(one.metadata.get("references") for one in held)
        reason = "cites another one of them" if known else "has references"
        raise CorpusError(
            f"no document of {what} {reason}",
            remedy="build the index from PubMed XML or JATS of articles that cite one another",
        )
    said = f"titles of {what}, and works that their articles cite"
    return checked(said, found, inputs, skipped)


def _pairs(
    held: Sequence[Document],
    cited: Sequence[Sequence[int]],
    negatives: int,
    draw: random.Random,
    skipped: Counter[str],
) -> Iterator[Example]:
    for number, one in enumerate(held):
        if not cited[number]:
            skipped["that cite no document here"] += 1
        elif not long_enough(one.title):
            skipped["without a title of some length"] += 1
        else:
            own = cited[number]
            far = set().union(*map(cited.__getitem__, own)).difference(own, [number])
            hard = sorted(far)  # the same in every run
            for each in _drawn(own, MOST_CITED, draw):
                wrong = map(held.__getitem__, _drawn(hard, negatives, draw))
                yield Example(one.id, one.title, held[each], tuple(wrong))


def _drawn(numbers: Sequence[int], most: int, draw: random.Random) -> Iterable[int]:
    """At most so many of the numbers. `sample` takes five times as long."""
    if len(numbers) <= most:
        return numbers
    kept: dict[int, None] = {}
    while len(kept) < most:
        kept[numbers[int(draw.random() * len(numbers))]] = None
    return kept


def _citations(held: Sequence[Document]) -> list[list[int]]:
    """For each document the numbers of the others that it cites."""
    named: dict[str, int] = {}
    own: dict[str, int] = {}
    for number, one in enumerate(held):
        pmid, doi = document_pmid(one), one.metadata.get("doi")
        for key in filter(None, (pmid, same_doi(doi) if isinstance(doi, str) else None)):
            named.setdefault(key, number)
        if not (pmid and one.id.isdecimal()):  # then its id may be another work's PMID
            own.setdefault(one.id.casefold(), number)
    named = own | named
    found = []
    for number, one in enumerate(held):
        given = one.metadata.get("references")
        numbers = (_cited(str(each), named) for each in given) if isinstance(given, list) else ()
        found.append([at for at in dict.fromkeys(numbers) if at is not None and at != number])
    return found


def _cited(reference: str, named: Mapping[str, int]) -> int | None:
    """The number of a document that is named by its id, PMID or DOI, or None."""
    text = reference.strip().casefold()
    if text in named:
        return named[text]
    if text.isdecimal() or text.startswith("10."):
        return None
    other = pmid_of(text) or doi_of(text)
    return named.get(same_doi(other)) if other else None
