"""Examples from MeSH headings, as BioHiCL makes them (Lan, Zheng and Kilicoglu, arXiv 2604.15591).

A document has its headings and all that are above them in the tree as labels. Two documents are as
similar as their labels, SimL in the paper: the cosine of `y1 * w` and `y2 * w`, where `y` is 1 for
each label of a document and 0 for all others, and `w` of a label is `log(depth + 1)`. Documents of
a similarity above 0.3 (beta in the paper) are positive pairs, those without a label in common are
negatives. Decided here, as what was read of the paper does not say it: depth is 1 at the top of a
tree, of several places the one nearest to the top counts, and check tags are left out.
"""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.mesh import Heading, Mesh, kept_mesh, mesh_path
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.training.examples import (
    Example,
    ExampleSet,
    InputSum,
    checked,
    sums_of,
    text_of,
)

THRESHOLD = 0.3
"""Label similarity above which two documents are a positive pair: beta of BioHiCL."""
CHECK_TAGS = frozenset(
    name.casefold()
    for name in (
        "Humans", "Animals", "Male", "Female", "Pregnancy", "Infant, Newborn", "Infant",
        "Child, Preschool", "Child", "Adolescent", "Young Adult", "Adult", "Middle Aged", "Aged",
        "Aged, 80 and over", "Mice", "Rats", "Rabbits", "Dogs", "Cats", "Cattle", "Cricetinae",
        "Guinea Pigs", "Chick Embryo",
    )
)  # fmt: skip
"""Headings that say who was studied, not what: Humans, eleven steps deep, would make any two
clinical papers alike."""
_CANDIDATES = 8
"""Documents with rare labels of a document that are compared with it."""
_DRAWS = 32
"""Documents that are drawn in search of negatives."""


class Labels:
    """The labels of headings: numbers of headings, each with its weight."""

    def __init__(self, mesh: Mesh) -> None:
        headings = list(mesh.headings())
        self._named: dict[str, Heading] = {}
        for one in headings:
            for term in one.terms:
                self._named.setdefault(term.casefold(), one)
        self._named |= {one.name.casefold(): one for one in headings}
        self._at = {tree: at for at, one in enumerate(headings) for tree in one.trees}
        self._numbers = {one.name: at for at, one in enumerate(headings)}
        depths = (min((tree.count(".") for tree in one.trees), default=0) for one in headings)
        self._weights = [math.log(depth + 2) for depth in depths]
        self._squares = [weight * weight for weight in self._weights]
        self._known: dict[str, frozenset[int]] = {}

    def of(self, names: Iterable[str]) -> frozenset[int]:
        """The labels of these headings and of all above them; unknown ones and check tags have
        none."""
        return frozenset().union(*map(self._of, names))

    def _of(self, name: str) -> frozenset[int]:
        if name not in self._known:
            heading = self._named.get(name.casefold())
            found: set[int] = set()
            if heading is not None and heading.name.casefold() not in CHECK_TAGS:
                found.add(self._numbers[heading.name])
                for tree in heading.trees:
                    while tree:
                        if tree in self._at:
                            found.add(self._at[tree])
                        tree = tree.rpartition(".")[0]
            self._known[name] = frozenset(found)
        return self._known[name]

    def similarity(self, one: frozenset[int], other: frozenset[int]) -> float:
        """The cosine of the weighted labels of two documents that have some."""
        squares = self._squares
        common = sum(map(squares.__getitem__, one & other))
        if not common:
            return 0.0
        lengths = sum(map(squares.__getitem__, one)) * sum(map(squares.__getitem__, other))
        return min(1.0, common / math.sqrt(lengths))


def mesh_pairs(
    documents: Iterable[Document],
    what: str,
    inputs: Sequence[InputSum],
    *,
    negatives: int = 1,
    threshold: float = THRESHOLD,
    seed: int = 0,
) -> ExampleSet:
    """Each document with another one whose label similarity is above `threshold`; its negatives
    have no label in common with it.

    The query is title and text of the one; weight is the similarity, scores are those of the
    positive and of the negatives (0), of which there may be fewer. Candidates are drawn from the
    documents that share one of the rarest labels, so that no pair is compared that has nothing in
    common. Raises CorpusError: MeSH was not fetched, or no document has a heading of it."""
    mesh = kept_mesh()
    if mesh is None:
        raise CorpusError("the MeSH tree is not here", remedy="bioretrieval-tui fetch mesh")
    labels = Labels(mesh)
    skipped: Counter[str] = Counter()
    held: list[Document] = []
    for one in documents:
        if not labels.of(_headings(one)):
            skipped["without MeSH headings"] += 1
        elif not text_of(one):
            skipped["empty texts"] += 1
        else:
            held.append(one)
    if not held:
        raise CorpusError(
            f"no document of {what} has MeSH headings",
            remedy="build the index from PubMed XML or MEDLINE, whose indexed records have them",
        )
    found = list(_pairs(held, labels, negatives, threshold, random.Random(seed), skipped))  # noqa: S311 - no secret
    said = f"texts of {what} that share MeSH headings ({mesh.source}, {mesh.day})"
    return checked(said, found, [*inputs, *sums_of([mesh_path()])], skipped)


def _pairs(
    held: Sequence[Document],
    labels: Labels,
    negatives: int,
    threshold: float,
    draw: random.Random,
    skipped: Counter[str],
) -> Iterator[Example]:
    postings: dict[int, array[int]] = {}
    for number, one in enumerate(held):
        for label in labels.of(_headings(one)):
            postings.setdefault(label, array("I")).append(number)
    for number, one in enumerate(held):
        own = labels.of(_headings(one))
        rarest = sorted(own, key=lambda label: (len(postings[label]), label))
        shared = [postings[label] for label in rarest if len(postings[label]) > 1][:_CANDIDATES]
        alike: dict[int, float] = {}
        for posting in shared:
            other = posting[draw.randrange(len(posting) - 1)]
            other = posting[-1] if other == number else other
            if other not in alike:
                alike[other] = labels.similarity(own, labels.of(_headings(held[other])))
        close = [other for other, similarity in alike.items() if similarity > threshold]
        if not close:
            skipped["without a document that is alike enough"] += 1
            continue
        positive = draw.choice(close)
        unlike: dict[int, Document] = {}
        for _ in range(_DRAWS):
            if len(unlike) == negatives:
                break
            other = draw.randrange(len(held))
            if own.isdisjoint(labels.of(_headings(held[other]))):
                unlike[other] = held[other]
        scores = (alike[positive], *(0.0 for _ in unlike))
        yield Example(
            one.id, text_of(one), held[positive], tuple(unlike.values()), alike[positive], scores
        )


def _headings(document: Document) -> Iterator[str]:
    given = document.metadata.get("mesh")
    return (
        (name for name in given if isinstance(name, str)) if isinstance(given, list) else iter(())
    )
