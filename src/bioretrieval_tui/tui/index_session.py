"""The state and the requests of the Indexes pane, without a widget; names and models of indexes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bioretrieval_tui.actions import key_of, keyed
from bioretrieval_tui.backend.protocol import MAKES_INDEX, ListIndexes
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Encoding, Model
from bioretrieval_tui.errors import (
    BioRetrievalError,
    ModelError,
    NotFoundError,
    UsageError,
    VectorsMissing,
)
from bioretrieval_tui.index.layout import CATALOGUE, check_name
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.render.indexes import status
from bioretrieval_tui.util.formatting import percent, short

if TYPE_CHECKING:
    from bioretrieval_tui.actions import Action
    from bioretrieval_tui.backend.job_folder import JobRecord
    from bioretrieval_tui.tui.pane_context import PaneContext

MUCH_DEAD = 0.2
"""Share of deleted or replaced documents from which the list names it: compacting frees it."""
LONGEST_NAME = 64
"""Most characters of a name."""
UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A row of the list: an index, or (`info` None) one whose first build is not done or failed."""

    name: str
    info: IndexInfo | None


class IndexesSession:
    """The indexes as they were last read, with the jobs that change them.

    infos: the indexes; problem: why they cannot be read.
    """

    def __init__(self, app: PaneContext) -> None:
        self._app = app
        self.infos: list[IndexInfo] = []
        self.problem = ""
        self.with_cached = False
        """Whether the indexes that evaluations made are listed."""

    async def load(self, *, stores: bool = False) -> None:
        """Read the indexes again; the command line may have changed them. stores: ask those too."""
        try:
            self.infos = await self._app.client.ask(ListIndexes(stores=stores))
            self.problem = ""
        except BioRetrievalError as error:
            self.problem = error.line()

    def rows(self) -> list[IndexRow]:
        """All rows by name: indexes, and those whose first build runs, waits or failed."""
        jobs = self._app.jobs
        failed = [outcome.job for outcome in jobs.outcomes.values() if outcome.state != "done"]
        made = {job.target for job in (*jobs.all, *failed) if isinstance(job, MAKES_INDEX)}
        infos = {one.name: one for one in self.infos if self.with_cached or not one.cached}
        return [IndexRow(name, infos.get(name)) for name in sorted(made | infos.keys())]

    def health(self, row: IndexRow) -> tuple[str, str]:
        """The job of an index, else its status: a text and its role."""
        jobs, info = self._app.jobs, row.info
        job, outcome = jobs.of(row.name), jobs.outcomes.get(row.name)
        if job is not None and job is not jobs.current:
            return "waits", "warn"
        if job is not None:
            share = jobs.progress.share if jobs.progress else None
            done = f" {percent(share)}" if share is not None else ""
            return f"{job.title.split()[0].lower()}{done}", "warn"
        if machine := jobs.elsewhere(row.name):
            return f"in work on {machine}", "warn"
        if info is None and outcome is None:
            return "not begun", "warn"
        if info is None:
            failed = outcome is not None and outcome.role == "error"
            return ("failed", "error") if failed else ("stopped", "warn")
        if info.status != "ok":
            mild = info.status.startswith((UNFINISHED, "outdated"))
            return info.status, "warn" if mild else "error"
        if (info.dead_share or 0) >= MUCH_DEAD:
            return f"{info.dead_share:.0%} unused", "ok"
        return status(info), "ok"

    def outcome(self, row: IndexRow) -> JobRecord | None:
        """How the last job of an index ended, unless the index was built or restored since."""
        found, info = self._app.jobs.outcomes.get(row.name), row.info
        if found is None or info is None:
            return found
        built_since = found.state != "done" and (info.built or "")[:19] > (found.ended or "")[:19]
        return None if built_since or found.removed else found

    def resumable(self, row: IndexRow | None) -> JobRecord | None:
        """The last job of an index, if it was stopped or failed."""
        found = self.outcome(row) if row is not None else None
        return found if found is not None and found.state != "done" else None

    def to_resume(self, row: IndexRow | None) -> JobRecord:
        """The last job of an index, if it was stopped or failed; else UsageError says why."""
        if (found := self.resumable(row)) is not None:
            return found
        if row is not None and row.info and row.info.status.startswith(UNFINISHED):
            raise UsageError(f"{row.name} was built in a shell: b resumes its build")
        raise UsageError("No job of this index was stopped or failed")

    def footer_place(self, row: IndexRow | None, action: Action) -> int:
        """The place of a key in the bottom line, 0 for one that does nothing with this row."""
        jobs = self._app.jobs
        job = jobs.of(row.name) if row is not None else None
        info = row.info if row is not None and job is None else None
        whole = info is not None and not info.status.startswith(UNFINISHED)
        own = row is not None and row.name != CATALOGUE
        match action.id:
            case "stop":
                return int(job is not None or jobs.current is not None)
            case "resume":
                return int(job is None and self.resumable(row) is not None)
            case "vectors":
                return int(info is not None and whole and own and not info.dimension)
            case "use" | "verify":
                return action.footer if whole else 0
            case "add" | "compact" if info is not None and info.store:
                return 0
            case "evaluate-index" | "train-index" | "add" | "compact":
                return action.footer if whole and own else 0
            case "remove":
                return action.footer if job is None and own else 0
        return action.footer

    def checked(
        self,
        row: IndexRow | None,
        verb: str,
        needs: Literal["any", "complete", "own", "files"] = "any",
    ) -> IndexInfo:
        """The index of a row, if `verb` is possible with it; else UsageError says why.

        needs: "complete": a finished index of the user's; "files": one whose files are here too;
        "own": any index of the user's.
        """
        if row is None:
            raise UsageError(f"There is no index to {verb} yet: {key_of('build')} builds one")
        if row.info is None:
            resumes = ": p resumes its build" if self.resumable(row) else ""
            raise UsageError(f"{row.name} does not exist yet{resumes}")
        if needs != "any" and row.name == CATALOGUE:
            raise UsageError(f"{CATALOGUE} is the app's own index and keeps itself up to date")
        if needs == "files" and row.info.store:
            raise UsageError(
                f"{row.name} is in {row.info.store}: {verb} the index that it was copied from, and"
                " copy that again with: bioretrieval-tui index copy"
            )
        if needs in ("complete", "files") and row.info.status.startswith(UNFINISHED):
            key = "p" if self.resumable(row) else "b"
            raise UsageError(f"{row.name} is unfinished: {key} resumes its build")
        return row.info


def require_model(name: str) -> None:
    """Raise, with the remedy, if papers cannot go into this index, if it exists: it is damaged, or
    its model is not on this machine. Reads the disk."""
    from bioretrieval_tui.encoding.model_files import require_models
    from bioretrieval_tui.index.registry import manifest_of

    try:
        manifest = manifest_of(name)
    except NotFoundError:
        return
    if manifest.encoded:
        require_models(manifest.model, manifest.recipe)


def short_model(model: str | None) -> str:
    """A model without its owner or folder."""
    return (model or "").rstrip("/").rpartition("/")[2]


# Names ------------------------------------------------------------------------------------------


def name_problem(name: str) -> str | None:
    """What is wrong with the name of an index, or None."""
    if name == CATALOGUE:
        return f"{CATALOGUE} is the app's own index: choose another name"
    if len(name) > LONGEST_NAME:
        return f"a name has at most {LONGEST_NAME} characters, and this has {len(name)}"
    try:
        check_name(name)
    except UsageError:
        # In one line of a dialog; the name stands above.
        return "use a-z 0-9 - _ . with a letter or digit at both ends"
    return None


def suggested_name(file: str) -> str:
    """A name for an index after a file or folder; "" if no character of it is usable."""
    stem = file.removesuffix(".gz")
    return slug(stem.rpartition(".")[0] or stem)


def unused_name(path: Path, taken: Collection[str]) -> str:
    """A name for an index of a file or a folder that may be used; the corpus of a benchmark has
    that of its folder."""
    names = [path.parent.name] if path.name.startswith("corpus.") else [path.name, path.parent.name]
    name = next(filter(None, map(suggested_name, names)), "index")
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    offered = itertools.chain([name], numbered)
    return next(one for one in offered if one not in taken and one != CATALOGUE)


def slug(text: str, longest: int = 40) -> str:
    """A text as the name of an index, cut between words; "" if no character is usable."""
    whole = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")
    if len(whole) <= longest:
        return whole
    return whole[: longest + 1].rpartition("-")[0] or whole[:longest]


# Models -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that can encode an index; `model` None for the one that comes with the app. note: how
    it gets here; facts: its size and licence; download: it is fetched before it is used."""

    label: str
    model: str | None = None
    recipe: Encoding | None = None
    note: str = ""
    facts: str = ""
    download: bool = False

    def missing(self) -> Sequence[str]:
        """The models and adapters that it needs and this machine lacks; reads the disk."""
        from bioretrieval_tui.encoding.model_files import missing_models

        return missing_models(self.model, self.recipe) if self.model else ()


def remedy_of(model: str) -> str:
    """The command that fetches a model."""
    return f"bioretrieval-tui doctor --model {model} --download"


def model_choices(catalogue: Catalogue) -> Sequence[ModelChoice]:
    """The embedded model, then the catalogue's models with a supported recipe."""
    from bioretrieval_tui.encoding import embedded
    from bioretrieval_tui.encoding.recipe import refuse_unsupported

    found = [ModelChoice(short_model(embedded.MODEL_ID), note="comes with the app")]
    for entry in catalogue.of_type(Model):
        recipe, hub = entry.encoding, entry.weights
        if recipe is None or hub is None or embedded.MODEL_ID in entry.hub:
            continue
        try:
            refuse_unsupported(hub, recipe)
        except ModelError:
            continue
        note = remedy_of(entry.id)
        size = f"{short(entry.params)} parameters, " if entry.params else ""
        facts = f"{size}licence {entry.licence or 'not stated'}"
        found.append(ModelChoice(entry.name, hub, recipe, note, facts))
    return found


def in_keys(error: BioRetrievalError, remedy: str) -> BioRetrievalError:
    """The error; of an index without vectors with what to do in the app, as of `keyed`."""
    if not isinstance(error, VectorsMissing):
        return error
    return VectorsMissing(error.message, remedy=keyed(remedy))
