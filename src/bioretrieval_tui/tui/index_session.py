"""The state and the requests of the Indexes pane, without a widget; names and models of indexes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bioretrieval_tui.backend.client import SearchClient
from bioretrieval_tui.backend.jobs import JobQueue
from bioretrieval_tui.backend.protocol import MAKES_INDEX, ListIndexes
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Encoding, Model
from bioretrieval_tui.errors import BioRetrievalError, ModelError, UsageError
from bioretrieval_tui.index.layout import CATALOGUE, check_name
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.util.formatting import percent

MUCH_DEAD = 0.2
"""Share of deleted or replaced documents that warrants a warning."""
LONGEST_NAME = 64
"""Most characters of a name; the error of `check_name` would not fit a line."""
UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A row of the list: an index, or (`info` None) one whose first build is not done or failed."""

    name: str
    info: IndexInfo | None


class IndexContext(Protocol):
    """What a session needs of the app."""

    @property
    def client(self) -> SearchClient: ...
    @property
    def jobs(self) -> JobQueue: ...


class IndexesSession:
    """The indexes as they were last read, with the jobs that change them.

    infos: the indexes; problem: why they cannot be read.
    """

    def __init__(self, context: IndexContext) -> None:
        self._context = context
        self.infos: list[IndexInfo] = []
        self.problem = ""

    @property
    def jobs(self) -> JobQueue:
        """The queue of jobs."""
        return self._context.jobs

    async def load(self) -> None:
        """Read the indexes again; the command line may have changed them."""
        try:
            self.infos = await self._context.client.ask(ListIndexes())
            self.problem = ""
        except BioRetrievalError as error:
            self.problem = error.line()

    def rows(self) -> list[IndexRow]:
        """All rows by name: indexes, and those whose first build runs, waits or failed."""
        known = {info.name: IndexRow(info.name, info) for info in self.infos}
        for job in self.jobs.all:
            if isinstance(job, MAKES_INDEX):
                known.setdefault(job.target, IndexRow(job.target, None))
        for name, outcome in self.jobs.outcomes.items():
            if isinstance(outcome.job, MAKES_INDEX) and outcome.state != "done":
                known.setdefault(name, IndexRow(name, None))
        return [known[name] for name in sorted(known)]

    def health(self, row: IndexRow) -> tuple[str, str]:
        """The job of an index, else its status: a text and its role."""
        job, info = self.jobs.of(row.name), row.info
        if job is not None and job is not self.jobs.current:
            return "waits", "warn"
        if job is not None:
            share = self.jobs.progress.share if self.jobs.progress else None
            done = f" {percent(share)}" if share is not None else ""
            return f"{job.title.split()[0].lower()}{done}", "warn"
        if info is None:
            outcome = self.jobs.outcomes.get(row.name)
            if outcome is None:
                return "not begun", "warn"
            return "failed" if outcome.role == "error" else "stopped", "warn"
        if info.status != "ok":
            mild = info.status.startswith((UNFINISHED, "outdated"))
            return info.status, "warn" if mild else "error"
        if info.dead_share:
            role = "warn" if info.dead_share >= MUCH_DEAD else "ok"
            return f"ok, {info.dead_share:.0%} dead", role
        return "ok", "ok"

    def checked(
        self, row: IndexRow | None, verb: str, needs: Literal["any", "complete", "own"] = "any"
    ) -> IndexInfo:
        """The index of a row, if `verb` is possible with it.

        needs: "complete": a finished index of the user's; "own": any index of the user's.

        Raises:
            UsageError: it is not, and why.
        """
        if row is None:
            raise UsageError(f"There is no index to {verb} yet: b builds one")
        if row.info is None:
            raise UsageError(f"{row.name} does not exist yet")
        if needs != "any" and row.name == CATALOGUE:
            raise UsageError(f"{CATALOGUE} is the app's own index and keeps itself up to date")
        if needs == "complete" and row.info.status.startswith(UNFINISHED):
            raise UsageError(f"{row.name} is unfinished: b resumes its build")
        return row.info


def short_model(model: str | None) -> str:
    """A model without its owner or folder."""
    return (model or "").rstrip("/").rpartition("/")[2]


def model_entry(info: IndexInfo, catalogue: Catalogue) -> tuple[str, str] | None:
    """Id and name of the catalogue entry of an index's model."""
    entries = (m for m in catalogue.of_type(Model) if info.model and info.model in m.hub)
    entry = next(entries, None)
    return (entry.id, entry.name) if entry else None


# Names ------------------------------------------------------------------------------------------


def name_problem(name: str) -> str | None:
    """What is wrong with the name of an index, or None."""
    if name == CATALOGUE:
        return f"{CATALOGUE} is the app's own index: choose another name"
    if len(name) > LONGEST_NAME:
        return f"a name has at most {LONGEST_NAME} characters, and this has {len(name)}"
    try:
        check_name(name)
    except UsageError as error:
        return error.line()
    return None


def suggested_name(file: str) -> str:
    """A name for an index after a file or folder; "" if no character of it is usable."""
    stem = file.removesuffix(".gz")
    return slug(stem.rpartition(".")[0] or stem)


def slug(text: str, longest: int = 40) -> str:
    """A text as the name of an index, cut between words; "" if no character is usable."""
    whole = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")
    if len(whole) <= longest:
        return whole
    return whole[: longest + 1].rpartition("-")[0] or whole[:longest]


# Models -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that can encode an index; `model` None for the one that comes with the app."""

    label: str
    model: str | None = None
    recipe: Encoding | None = None
    note: str = ""


def model_choices(catalogue: Catalogue) -> Sequence[ModelChoice]:
    """The embedded model, then the catalogue's models with a supported recipe."""
    from bioretrieval_tui.encoding import embedded
    from bioretrieval_tui.encoding.recipe import refuse_unsupported

    found = [ModelChoice(short_model(embedded.MODEL_ID), note="comes with the app")]
    for entry in catalogue.of_type(Model):
        recipe = entry.encoding
        if recipe is None or embedded.MODEL_ID in entry.hub:
            continue
        hub = entry.weights
        if hub is None:
            continue
        try:
            refuse_unsupported(hub, recipe)
        except ModelError:
            continue
        note = f"needs: bioretrieval-tui doctor --model {entry.id} --download"
        found.append(ModelChoice(entry.name, hub, recipe, note))
    return found
