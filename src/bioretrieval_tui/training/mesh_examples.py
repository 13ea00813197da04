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
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.mesh import Mesh, kept_mesh, mesh_path
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
_RAREST = 8
"""Labels of a document by which others are found: the rarest, of those that others have too."""
_DRAWS = 32
"""Documents that are drawn in search of negatives."""


class _Known(dict[str, frozenset[int]]):
    """The labels of headings by name, looked up once."""

    def __init__(self, mesh: Mesh) -> None:
        super().__init__()
        self.headings = list(mesh.headings())
        self._named: dict[str, int] = {}
        for number, one in enumerate(self.headings):
            for term in one.terms:
                self._named.setdefault(term.casefold(), number)
        self._named |= {one.name.casefold(): number for number, one in enumerate(self.headings)}
        self._at = {tree: number for number, one in enumerate(self.headings) for tree in one.trees}

    def __missing__(self, name: str) -> frozenset[int]:
        # As MEDLINE writes them in other formats: "*Asthma/therapy".
        bare = name.strip(" *").casefold()
        number = self._named.get(bare, self._named.get(bare.partition("/")[0].strip(" *")))
        found: set[int] = set()
        if number is not None and self.headings[number].name.casefold() not in CHECK_TAGS:
            found.add(number)
            for tree in self.headings[number].trees:
                parts = tree.split(".")
                above = (self._at.get(".".join(parts[:depth])) for depth in range(1, len(parts)))
                found.update(one for one in above if one is not None)
        self[name] = frozenset(found)
        return self[name]


class Labels:
    """The labels of headings: numbers of headings, each with its weight."""

    def __init__(self, mesh: Mesh) -> None:
        self._known = _Known(mesh)
        depths = (min((tree.count(".") for tree in one.trees), default=0) + 1
                  for one in self._known.headings)  # fmt: skip
        self._squares = [math.log(depth + 1) ** 2 for depth in depths]

    def of(self, names: Iterable[str]) -> frozenset[int]:
        """The labels of these headings and of all above them; unknown ones and check tags have
        none. A star of a major topic, and qualifiers, are left out."""
        return frozenset().union(*map(self._known.__getitem__, names))

    def square(self, labels: Iterable[int]) -> float:
        """The square of the length of the vector of these labels."""
        return sum(map(self._squares.__getitem__, labels))


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
    positive and of the negatives (0), of which there may be fewer. The other one is drawn from the
    documents that share a rare label, until it is similar: nothing is compared that has nothing in
    common. Raises CorpusError: MeSH was not fetched, or no document has a heading of it."""
    mesh = kept_mesh()
    if mesh is None:
        raise CorpusError("the MeSH tree is not here", remedy="bioretrieval-tui fetch mesh")
    labels = Labels(mesh)
    skipped: Counter[str] = Counter()
    held: list[Document] = []
    own: list[array[int]] = []
    for one in documents:
        found = labels.of(_headings(one))
        if not found:
            skipped["without MeSH headings"] += 1
        elif not text_of(one):
            skipped["empty texts"] += 1
        else:
            held.append(one)
            own.append(array("I", found))  # a set takes twenty times as much
    if not held:
        raise CorpusError(
            f"no document of {what} has MeSH headings",
            remedy="build the index from PubMed XML or MEDLINE, whose indexed records have them",
        )
    draw = random.Random(seed)  # noqa: S311 - no secret
    pairs = list(_pairs(held, own, labels, negatives, threshold, draw, skipped))
    said = f"texts of {what} that share MeSH headings ({mesh.source}, {mesh.day})"
    return checked(said, pairs, [*inputs, *sums_of([mesh_path()])], skipped)


def _pairs(
    held: Sequence[Document],
    own: Sequence[array[int]],
    labels: Labels,
    negatives: int,
    threshold: float,
    draw: random.Random,
    skipped: Counter[str],
) -> Iterator[Example]:
    counts: Counter[int] = Counter()
    for labelled in own:
        counts.update(labelled)
    rare = sorted(counts, key=lambda label: (counts[label], label))
    places = {label: place for place, label in enumerate(rare)}
    alone = sum(count == 1 for count in counts.values())
    postings: defaultdict[int, array[int]] = defaultdict(lambda: array("I"))
    rarest: list[array[int]] = []
    for number, labelled in enumerate(own):
        order = sorted(map(places.__getitem__, labelled))
        first = bisect_left(order, alone)
        rarest.append(array("I", order[first : first + _RAREST]))
        for place in rarest[-1]:
            postings[place].append(number)
    squares = array("d", map(labels.square, own))
    for number, one in enumerate(held):
        mine = frozenset(own[number])
        places_left = list(rarest[number])
        draw.shuffle(places_left)
        for place in places_left:
            posting = postings[place]
            other = posting[int(draw.random() * (len(posting) - 1))]
            other = posting[-1] if other == number else other
            if other == number:
                continue
            common = labels.square(mine.intersection(own[other]))
            similarity = min(1.0, common / math.sqrt(squares[number] * squares[other]))
            if similarity > threshold:
                break
        else:
            skipped["without a document that is alike enough"] += 1
            continue
        unlike: dict[int, Document] = {}
        for _ in range(_DRAWS):
            if len(unlike) == negatives:
                break
            drawn = int(draw.random() * len(held))
            if mine.isdisjoint(own[drawn]):
                unlike[drawn] = held[drawn]
        scores = (similarity, *(0.0 for _ in unlike))
        negative = tuple(unlike.values())
        yield Example(one.id, text_of(one), held[other], negative, similarity, scores)


def _headings(document: Document) -> Iterator[str]:
    # BioASQ, on which the paper trains, names all headings of a record "meshMajor".
    given = document.metadata.get("mesh") or document.metadata.get("mesh_major")
    return (
        (name for name in given if isinstance(name, str)) if isinstance(given, list) else iter(())
    )
