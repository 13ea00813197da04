"""The field over time: milestones by era and year, and which models were trained from which.

Plain values without a drawing: the Evolution pane draws them in cells, `plot timeline` as SVG or
PNG. Milestones, and families of models, have years and no finer date, because preprint, venue and
release of one work are often months apart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from msgspec import Struct

from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Milestone, Model, Paper

BASE = fields.TABLE.by_name["base"]
LONG_GAP = 4
"""Years from one milestone to the next that are a gap: fewer are drawn as they are."""


class TimelineMark(Struct, frozen=True):
    """A milestone.

    name: its short name.
    bases, heirs: ids of the milestones whose models its own were trained from, and of those whose
        models were trained from its own.
    """

    id: str
    name: str
    year: int
    bases: tuple[str, ...] = ()
    heirs: tuple[str, ...] = ()


class Era(Struct, frozen=True):
    """The milestones of one era, in time order."""

    name: str
    marks: tuple[TimelineMark, ...]


class Timeline(Struct, frozen=True):
    """Eras by their first milestone; gaps: pairs of years with no milestone between them."""

    eras: tuple[Era, ...]
    gaps: tuple[tuple[int, int], ...]

    @property
    def years(self) -> tuple[int, ...]:
        """The years that have a milestone, ascending."""
        return tuple(sorted({mark.year for era in self.eras for mark in era.marks}))

    @property
    def marks(self) -> dict[str, TimelineMark]:
        return {mark.id: mark for era in self.eras for mark in era.marks}


class Branch(Struct, frozen=True):
    """A family of models in the tree of families.

    year: of its first model.
    models: their ids, in catalogue order; the first one stands for the family.
    parent: place of the family that most of them were trained from, None at a root.
    bases: names of all models outside the family that they were trained from.
    unverified: no source was read for any of these.
    """

    name: str
    year: int
    models: tuple[str, ...]
    parent: int | None
    bases: tuple[str, ...]
    unverified: bool = False


def timeline(catalogue: Catalogue) -> Timeline:
    """The milestones of a catalogue that have a year."""
    milestones = [
        one
        for one in catalogue.section("timeline")
        if isinstance(one, Milestone) and one.year is not None
    ]
    owners = {model: one.id for one in milestones for model in introduced(one, catalogue)}
    bases: dict[str, dict[str, None]] = defaultdict(dict)
    heirs: dict[str, dict[str, None]] = defaultdict(dict)
    for model, base in trained_from(catalogue):
        earlier, later = owners.get(base.id), owners.get(model.id)
        if earlier and later and earlier != later:
            bases[later][earlier] = None
            heirs[earlier][later] = None
    eras: dict[str, list[TimelineMark]] = {}
    for one in milestones:
        mark = TimelineMark(
            one.id, short_name(one), one.year or 0, tuple(bases[one.id]), tuple(heirs[one.id])
        )
        eras.setdefault(one.era or "other", []).append(mark)
    years = sorted({one.year or 0 for one in milestones})
    gaps = tuple((first, then) for first, then in pairwise(years) if then - first >= LONG_GAP)
    return Timeline(tuple(Era(name, tuple(marks)) for name, marks in eras.items()), gaps)


def introduced(milestone: Milestone, catalogue: Catalogue) -> tuple[str, ...]:
    """The models that a milestone brought: of its year, and of a paper that it names."""
    named = [catalogue.by_id[one] for one in milestone.relations if one in catalogue.by_id]
    papers = {one.id for one in named if isinstance(one, Paper)}
    return tuple(
        one.id
        for one in named
        if isinstance(one, Model) and one.year == milestone.year and papers & {*one.relations}
    )


def trained_from(catalogue: Catalogue) -> Iterator[tuple[Model, Model]]:
    """Each model with the model of the catalogue that it was trained from.

    Where `base` names a copy or another version, it is the related model whose family the name
    begins with: `BioBERT-Base v1.0` is of the family BioBERT.
    """
    for model in catalogue.of_type(Model):
        base = catalogue.base_of(model)
        if base is None and model.base and model.base not in model.hub:
            related = (catalogue.by_id.get(one) for one in model.relations)
            others = (one for one in related if isinstance(one, Model))
            base = next((one for one in others if _is_of(one.family, model.base)), None)
        if base is not None:
            yield model, base


def _is_of(family: str | None, name: str) -> bool:
    """Whether a name, without its organisation, begins with that of the family as a word."""
    begins, name = (family or "").lower(), name.rpartition("/")[2].lower()
    behind = name[len(begins) : len(begins) + 1]
    return bool(begins) and name.startswith(begins) and not (behind.isascii() and behind.isalnum())


def lineage(catalogue: Catalogue) -> tuple[Branch, ...]:
    """The families that were trained from others, and those others: parents before children,
    children of one parent by year."""
    families: dict[str, list[Model]] = defaultdict(list)
    for model in catalogue.of_type(Model):
        families[family_of(model)].append(model)
    years = {name: _first_year(models) for name, models in families.items()}
    from_family: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    verified: set[str] = set()
    for model, base in trained_from(catalogue):
        child, parent = family_of(model), family_of(base)
        if child != parent and years[child] and years[parent]:
            from_family[child][parent].append(base.name)
            verified |= {child} if BASE.status(model) != "unverified" else set()
    parents = {
        child: max(bases, key=lambda one: len(bases[one])) for child, bases in from_family.items()
    }
    known_as = _milestone_names(catalogue)
    order = list(_tree(parents, lambda name: (years[name], name.casefold())))
    places = {name: place for place, (name, _) in enumerate(order)}
    return tuple(
        Branch(
            f"{name} ({known_as[name]})" if name in known_as else name,
            years[name],
            tuple(one.id for one in families[name]),
            None if parent is None else places[parent],
            tuple(dict.fromkeys(one for names in from_family[name].values() for one in names)),
            parent is not None and name not in verified,
        )
        for name, parent in order
    )


def _milestone_names(catalogue: Catalogue) -> dict[str, str]:
    """The name of a family on the timeline, where a model still names it: BiomedBERT was
    PubMedBERT."""
    names: dict[str, str] = {}
    for one in catalogue.of_type(Milestone):
        called = short_name(one)
        for model in (catalogue.by_id[identifier] for identifier in introduced(one, catalogue)):
            family = family_of(model) if isinstance(model, Model) else called
            either, other = called.casefold(), family.casefold()
            if called in model.name and either not in other and other not in either:
                names[family] = called
    return names


def short_name(milestone: Milestone) -> str:
    """The first part of its name: `PubMedBERT` of `PubMedBERT (now BiomedBERT)`."""
    return re.split(r" \(| and ", milestone.name)[0]


def family_of(model: Model) -> str:
    return model.family or model.name


def _first_year(models: Iterable[Model]) -> int:
    """Year of the first of these models, 0 if none is known."""
    return min((one.year for one in models if one.year), default=0)


def _tree(
    parents: dict[str, str], order: Callable[[str], tuple[int, str]]
) -> Iterator[tuple[str, str | None]]:
    """(name, parent) of every family, depth first. A circle begins at its first family."""
    children: dict[str, list[str]] = defaultdict(list)
    for child in sorted(parents, key=order):
        children[parents[child]].append(child)
    seen: set[str] = set()

    def below(name: str, parent: str | None) -> Iterator[tuple[str, str | None]]:
        if name not in seen:
            seen.add(name)
            yield name, parent
            for child in children[name]:
                yield from below(child, name)

    names = sorted({*parents, *parents.values()}, key=order)
    for root in [*(one for one in names if one not in parents), *names]:
        yield from below(root, None)
