"""A model as it is asked for: its name, its recipe, and its files once they are found and checked.

Nothing heavy is loaded here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.device import prepare_environment
from bioretrieval_tui.encoding.hub import (
    adapter_folder,
    adapter_revision,
    model_folder,
    weights_revision,
)
from bioretrieval_tui.encoding.recipe import Part
from bioretrieval_tui.errors import ModelError

JOIN = "+"
"""Between the revisions of all that makes one encoder: base and adapter, query and document."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model lies. revision: of the weights, and behind JOIN of the adapter's."""

    folder: Path
    revision: str
    adapter: Path | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One model as it is asked for.

    revision: which one, None where only the files can tell; files: finds and checks them.
    """

    model: str
    recipe: Encoding
    revision: str | None
    files: Callable[[], ModelFiles]


def source_of(part: Part, revision: str | None) -> Source:
    """The source of one model; its `files` refuses any other revision than `revision`."""

    def files() -> ModelFiles:
        prepare_environment()
        found = _files(part, revision)
        if revision is not None and revision != found.revision:
            raise ModelError(
                f"{part.model} is here in revision {found.revision[:19]}, not {revision[:19]}",
                remedy="build the index again with the model that is here",
            )
        return found

    known = revision
    if part.model == embedded.MODEL_ID and part.adapter is None and revision is None:
        known = embedded.REVISION
    return Source(part.model, part.recipe, known, files)


def pinned(part: Part, revision: str | None) -> tuple[str | None, str | None]:
    """A part's revision as those of its model and of its adapter."""
    if revision is None or part.adapter is None:
        return revision, None
    base, _, adapter = revision.partition(JOIN)
    return base, adapter or None


def split_revision(query: Part, revision: str) -> tuple[str, str]:
    """The revision of an encoder of two models as that of its `query` part and the other's."""
    pieces = revision.split(JOIN)
    of_query = 1 if query.adapter is None else 2
    return JOIN.join(pieces[:of_query]), JOIN.join(pieces[of_query:])


def _files(part: Part, revision: str | None) -> ModelFiles:
    if part.model == embedded.MODEL_ID and part.adapter is None:
        return ModelFiles(embedded.verify().folder, embedded.REVISION)
    base, of_adapter = pinned(part, revision)
    folder = model_folder(part.model, base)
    found = weights_revision(part.model, folder)
    if part.adapter is None:
        return ModelFiles(folder, found)
    adapter = adapter_folder(part.adapter, of_adapter)
    return ModelFiles(folder, found + JOIN + adapter_revision(part.adapter, adapter), adapter)
