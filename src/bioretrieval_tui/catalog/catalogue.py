"""The loaded catalogue: entries by id, kind and relation, results by model and benchmark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from bioretrieval_tui.catalog.models import (
    SECTIONS,
    AnyEntry,
    Benchmark,
    Change,
    Content,
    Dataset,
    Milestone,
    Model,
    Paper,
    Recipe,
    Result,
    Source,
    Step,
)
from bioretrieval_tui.errors import NotFoundError

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.board import BoardHeader, DeclaredModel
    from bioretrieval_tui.shelf import Shelf
    from bioretrieval_tui.training.own_models import Lineage, UnfinishedTraining

EntryT = TypeVar("EntryT", Paper, Model, Dataset, Benchmark, Recipe, Milestone, Step)

_RELATING = ("model", "paper", "trained_on", "members")
"""Fields that hold ids: they are relations too."""
SECTION_OF = {kind: name for name, kind in SECTIONS.items()}


def kind_of(entry: AnyEntry) -> str:
    """The kind's name in the singular, as in the entry's `kind` key."""
    return str(entry.__struct_config__.tag)


def section_of(entry: AnyEntry) -> str:
    """The kind's name on the command line: papers, models, ..., timeline, path."""
    return SECTION_OF[type(entry)]


def kind_of_section(section: str) -> str:
    """The singular of a section's name, as entries call their kind."""
    return str(SECTIONS[section].__struct_config__.tag)


class Catalogue:
    """Entries, results and sources. Immutable; look-up tables are made on first use.

    entries: the curated ones. listed: models of the board that are none of them, with the facts
    that mteb declares; declared: what it declares, by the id of a curated or listed model; board:
    where the board comes from. These are empty until `listing.with_board` adds them. own: what is
    known of models that were trained here, by their names; they are among `entries`. here: tells
    whether the weights of a model are on this machine; shelf: gives what the reader noted of
    entries; each where a face has set it.
    """

    def __init__(
        self,
        content: Content,
        *,
        listed: tuple[Model, ...] = (),
        declared: Mapping[str, DeclaredModel] | None = None,
        board: BoardHeader | None = None,
        own: Mapping[str, Lineage | UnfinishedTraining] | None = None,
    ) -> None:
        self.content = content
        self.entries: tuple[AnyEntry, ...] = content.entries
        self.listed = listed
        self.declared = declared or {}
        self.board = board
        self.own: Mapping[str, Lineage | UnfinishedTraining] = own or {}
        self.here: Callable[[Model], bool] | None = None
        self.shelf: Callable[[], Shelf] | None = None
        self.results: tuple[Result, ...] = content.results
        self.changes: tuple[Change, ...] = content.changes
        self.updated: str | None = content.updated
        self._sources = content.sources

    def with_content(
        self, content: Content, own: Mapping[str, Lineage | UnfinishedTraining]
    ) -> Catalogue:
        """The catalogue with other entries, of which `own` are the user's models."""
        made = Catalogue(
            content, listed=self.listed, declared=self.declared, board=self.board, own=own
        )
        made.here, made.shelf = self.here, self.shelf
        return made

    @cached_property
    def by_id(self) -> dict[str, AnyEntry]:
        return {entry.id: entry for entry in chain(self.entries, self.listed)}

    @cached_property
    def names(self) -> dict[str, str]:
        return {entry.id: entry.name for entry in chain(self.entries, self.listed)}

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """The curated models, then the listed ones."""
        return (*self.of_type(Model), *self.listed)

    @cached_property
    def sources(self) -> dict[str, Source]:
        return {source.id: source for source in self._sources}

    def entry(self, identifier: str) -> AnyEntry:
        """The entry with that id, or the model of that hub id or name. Raises NotFoundError: no
        entry has it; the remedy names the nearest three."""
        found = self.by_id.get(identifier) or self.by_id.get(identifier.casefold())
        found = found or self.model_named(identifier)
        if found is None:
            near = self.nearest(identifier)
            raise NotFoundError(
                f"no entry has the id '{identifier}'",
                remedy=f"nearest: {', '.join(near)}" if near else "see: bioretrieval-tui list",
            )
        return found

    def entry_of(self, identifier: str, kind: type[EntryT]) -> EntryT:
        """As `entry`, but of one type. Raises NotFoundError also where it is of another type."""
        found = self.by_id.get(identifier) or self.by_id.get(identifier.casefold())
        found = found or self.model_named(identifier)
        if isinstance(found, kind):
            return found
        section = SECTION_OF[kind]
        singular = kind_of_section(section)
        if found is not None:
            said = f"'{found.id}' is a {kind_of(found)}, not a {singular}"
            raise NotFoundError(said, remedy=f"see: bioretrieval-tui show {found.id}")
        near = [one for one in self.nearest(identifier, 40) if isinstance(self.by_id[one], kind)]
        listed = ", ".join(near[:3])
        remedy = f"nearest: {listed}" if near else f"see: bioretrieval-tui list {section}"
        raise NotFoundError(f"no {singular} has the id '{identifier}'", remedy=remedy)

    def nearest(self, identifier: str, count: int = 3) -> list[str]:
        """The ids most like `identifier`, by id or by name, best first."""
        from rapidfuzz.fuzz import WRatio, ratio

        wanted = "-".join(identifier[:80].casefold().replace("_", " ").split())

        def likeness(entry: AnyEntry) -> tuple[float, float]:
            names = (entry.id, entry.name.casefold().replace(" ", "-"))
            # A model and its paper share a name: the nearer id is first.
            return max(WRatio(wanted, name) for name in names), ratio(wanted, entry.id)

        known = (*self.entries, *self.listed)
        return [e.id for e in sorted(known, key=likeness, reverse=True)[:count]]

    def section(self, name: str) -> tuple[AnyEntry, ...]:
        """The entries of one section (papers, models, ...); timeline and path in their order."""
        if name == "timeline":
            return tuple(sorted(self.of_type(Milestone), key=lambda e: (e.year or 0, e.order)))
        if name == "path":
            return tuple(sorted(self.of_type(Step), key=lambda e: e.number))
        return tuple(entry for entry in self.entries if type(entry) is SECTIONS[name])

    def of_type(self, kind: type[EntryT]) -> tuple[EntryT, ...]:
        """The entries of one type, in catalogue order."""
        return tuple(entry for entry in self.entries if isinstance(entry, kind))

    def model_of_hub(self, hub: str) -> Model | None:
        wanted = hub.casefold()
        return next((one for one in self.models if wanted in map(str.casefold, one.hub)), None)

    def model_named(self, name: str) -> Model | None:
        """The model of that hub id, or the only one that lists show under that name."""
        if "/" in name:
            return self.model_of_hub(name)
        wanted = name.casefold()
        found = [one for one in self.models
                 if wanted in (one.name.casefold(), *(h.casefold().rpartition("/")[2]
                                                      for h in one.hub))]  # fmt: skip
        return found[0] if len(found) == 1 else None

    @cached_property
    def _by_address(self) -> dict[str, Model]:
        """Models by hub id, also by those of their links: one that was renamed keeps the old one.
        The first model of the catalogue comes first."""
        models = self.of_type(Model)[::-1]
        links = ((link.url, model) for model in models for link in model.links)
        found = {url.partition("://")[2].partition("/")[2]: model for url, model in links}
        return found | {hub: model for model in models for hub in model.hub}

    def base_of(self, model: Model) -> Model | None:
        """The model of the catalogue that a model was trained from, as `base` says."""
        found = self._by_address.get(model.base or "")
        return None if found is model or model.base in model.hub else found

    @cached_property
    def _related(self) -> dict[str, tuple[str, ...]]:
        ways: dict[str, dict[str, None]] = defaultdict(dict)
        for entry in self.entries:
            implied = [getattr(entry, field, None) or () for field in _RELATING]
            more = chain.from_iterable((one,) if isinstance(one, str) else one for one in implied)
            base = self.base_of(entry) if isinstance(entry, Model) else None
            more = chain(more, (base.id,) if base else ())
            for target in (*entry.relations, *more):
                if target != entry.id and target in self.by_id:
                    ways[entry.id][target] = None
                    ways[target][entry.id] = None
        order = {name: i for i, name in enumerate(SECTIONS)}
        return {
            identifier: tuple(sorted(targets, key=lambda t: order[section_of(self.by_id[t])]))
            for identifier, targets in ways.items()
        }

    def related(self, identifier: str) -> tuple[AnyEntry, ...]:
        """Entries related to this one, in either direction, grouped by kind."""
        return tuple(self.by_id[target] for target in self._related.get(identifier, ()))

    @cached_property
    def _results_by_entry(self) -> dict[str, list[Result]]:
        found: dict[str, list[Result]] = defaultdict(list)
        for result in self.results:
            found[result.model].append(result)
            found[result.benchmark].append(result)
        return dict(found)

    def results_of(self, identifier: str) -> list[Result]:
        return self._results_by_entry.get(identifier, [])
