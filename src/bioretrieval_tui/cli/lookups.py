"""The catalogue for verbs: loading it, resolving kinds and ids, completing arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bioretrieval_tui.cli.narration import tell
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError

if TYPE_CHECKING:
    from typing import TypeVar

    import click

    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.catalog.models import Entry

    Kind = TypeVar("Kind", bound=Entry)

KINDS = ("papers", "models", "datasets", "benchmarks", "recipes", "timeline", "path")
"""Values of KIND: the sections of the catalogue."""

_ALSO = {
    "paper": "papers",
    "model": "models",
    "dataset": "datasets",
    "benchmark": "benchmarks",
    "recipe": "recipes",
    "milestone": "timeline",
    "milestones": "timeline",
    "evolution": "timeline",
    "step": "path",
    "steps": "path",
}


def catalogue() -> Catalogue:
    """Load the catalogue; overlays that were left out are reported on stderr, a line each.

    Raises:
        CatalogueError, NotFoundError: it cannot be loaded.
    """
    from bioretrieval_tui.catalog.compiled import load

    loaded = load()
    for problem in loaded.problems:
        tell(problem)
    return loaded.catalogue


def kind_section(word: str) -> str:
    """Return the section that KIND names, in the plural or the singular.

    Raises:
        UsageError: there is no such kind; the nearest is named.
    """
    wanted = word.strip().casefold()
    if wanted in KINDS:
        return wanted
    if wanted in _ALSO:
        return _ALSO[wanted]
    import difflib

    near = difflib.get_close_matches(wanted, [*KINDS, *_ALSO], n=1, cutoff=0.5)
    raise UsageError(
        f"there is no kind '{word}'",
        remedy=f"did you mean {near[0]}?"
        if near
        else f"kinds: {', '.join(KINDS)}; to filter: list -w WORDS",
    )


def entry_of_type(catalogue: Catalogue, identifier: str, kind: type[Kind]) -> Kind:
    """Return the entry of that id, which must be of that type.

    Raises:
        NotFoundError: there is no such entry, or it is of another kind.
    """
    from bioretrieval_tui.catalog.catalogue import kind_of, kind_of_section
    from bioretrieval_tui.catalog.models import SECTIONS

    entry = catalogue.by_id.get(identifier) or catalogue.by_id.get(identifier.casefold())
    if isinstance(entry, kind):
        return entry
    section = next(name for name, other in SECTIONS.items() if other is kind)
    singular = kind_of_section(section)
    if entry is not None:
        raise NotFoundError(
            f"'{entry.id}' is a {kind_of(entry)}, not a {singular}",
            remedy=f"see: bioretrieval-tui show {entry.id}",
        )
    near = [i for i in catalogue.nearest(identifier, 40) if isinstance(catalogue.by_id[i], kind)]
    raise NotFoundError(
        f"no {singular} has the id '{identifier}'",
        remedy=f"nearest: {', '.join(near[:3])}"
        if near
        else f"see: bioretrieval-tui list {section}",
    )


# Completion -----------------------------------------------------------------------------------


def complete_kind(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Complete names of kinds."""
    return [kind for kind in KINDS if kind.startswith(begun)]


def complete_id(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Complete ids of entries."""
    return _ids(begun)


def complete_model(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Complete ids of models."""
    return _ids(begun, "models")


def complete_benchmark(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Complete ids of benchmarks."""
    return _ids(begun, "benchmarks")


def complete_field(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Complete names of fields."""
    from bioretrieval_tui.catalog.fields import TABLE

    return [row.name for row in TABLE.rows if row.type and row.name.startswith(begun)]


def complete_index(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Complete names of indexes."""
    from bioretrieval_tui.index.registry import index_names

    try:
        return [name for name in index_names() if name.startswith(begun)]
    except BioRetrievalError:
        return []


def _ids(begun: str, section: str | None = None) -> list[str]:
    """Ids with that beginning; none if the catalogue is broken."""
    from bioretrieval_tui.catalog.compiled import load

    try:
        found = load().catalogue
    except BioRetrievalError:
        return []
    entries = found.entries if section is None else found.section(section)
    return [entry.id for entry in entries if entry.id.startswith(begun)]
