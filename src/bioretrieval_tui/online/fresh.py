"""What the network said of the catalogue's subjects, and when: figures with their days.

A subject is a model or data set of the hub, or a paper of arXiv. Nothing here changes an entry:
the catalogue keeps what its editors read, and this file, in the cache folder, what was found since.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places, write_atomically

FORMAT = 1
MOST_CHANGES = 200
_MOST_BYTES = 64 * 2**20

Where = Literal["model", "dataset", "arxiv"]
State = Literal["there", "renamed", "removed"]
Value = str | int | bool | None
"""One fact as it was found; None where the place says nothing of it."""

NOISE = frozenset({"downloads", "likes"})
"""Facts that differ every day: they are kept, and their change is no news."""


class Dated(msgspec.Struct, frozen=True):
    """A fact, and the day (ISO 8601) on which it was first read so."""

    value: Value
    date: str


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One subject as it was last seen.

    name: hub id or arXiv id as the catalogue has it; state: whether it is there; now: its present
    name, where it was renamed; facts: by name; etag: what the server wants to hear the next time;
    asked: the day of the last answer.
    """

    where: Where
    name: str
    state: State = "there"
    now: str | None = None
    facts: dict[str, Dated] = {}
    etag: str | None = None
    asked: str = ""

    @property
    def key(self) -> str:
        """What names the subject in the file."""
        return f"{self.where}:{self.name}"


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one refresh found other than the one before."""

    date: str
    where: Where
    name: str
    field: str
    before: Value = None
    after: Value = None

    def line(self) -> str:
        """The change in words, without its day."""
        if self.field == "state":
            return f"{self.name} {_STATES.get(str(self.after), 'is there again')}"
        if self.field == "version":
            return f"arXiv {self.name} has a new version, v{self.after}"
        if self.field == "changed":
            return f"{self.name} was changed on {self.after}"
        return f"{self.name}: {self.field} {said(self.before)} -> {said(self.after)}"


_STATES = {"removed": "is no longer there", "renamed": "has another name now"}


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known: `refreshed` is the time (ISO 8601, UTC) of the last refresh, and
    `changes` is newest first."""

    format: int = FORMAT
    refreshed: str | None = None
    subjects: dict[str, Subject] = {}
    changes: tuple[Change, ...] = ()


def said(value: Value) -> str:
    """A fact as a reader meets it."""
    if value is None:
        return "not stated"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else value


def freshness_file() -> Path:
    """Where it is kept: it can be asked for again, so it is in the cache folder."""
    return places().cache / "online" / "freshness.json"


def load_freshness(path: Path | None = None) -> Freshness:
    """What is known; nothing where there is no file, or none that can be read.

    Reads one small file and asks nothing of the network, so Home may call it.
    """
    try:
        with (path or freshness_file()).open("rb") as stream:
            data = stream.read(_MOST_BYTES)
        found = msgspec.json.decode(data, type=Freshness)
    except (OSError, ValueError, RecursionError):
        # A copy of what the network says: a damaged one is asked for anew.
        return Freshness()
    return found if found.format == FORMAT else Freshness()


def save_freshness(freshness: Freshness, path: Path | None = None) -> None:
    """Replace the file.

    Raises:
        BioRetrievalError: it cannot be written; the one before is untouched.
    """
    where = path or freshness_file()
    try:
        write_atomically(where, msgspec.json.encode(freshness))
    except OSError as error:
        raise BioRetrievalError(
            f"what was found cannot be kept in {where.parent}: {error.strerror or error}",
            remedy="make room, or let the folder be written",
        ) from error


def seen_again(before: Subject | None, found: Subject) -> Subject:
    """`found` with the day of each fact that has not changed since `before`."""
    if before is None:
        return found
    facts = {
        name: before.facts[name]
        if name in before.facts and before.facts[name].value == fact.value
        else fact
        for name, fact in found.facts.items()
    }
    return msgspec.structs.replace(found, facts=facts)


def changes_between(before: Subject | None, found: Subject) -> list[Change]:
    """What is other than at the last look; nothing at the first look, and never mere noise."""
    if before is None:
        return []

    def change(field: str, old: Value, new: Value) -> Change:
        return Change(
            date=found.asked,
            where=found.where,
            name=found.name,
            field=field,
            before=old,
            after=new,
        )

    changes = []
    if (before.state, before.now) != (found.state, found.now):
        changes.append(change("state", before.state, found.state))
    if found.state == "removed":
        return changes
    for name in sorted(before.facts.keys() | found.facts.keys()):
        if name in NOISE:
            continue
        old = before.facts[name].value if name in before.facts else None
        new = found.facts[name].value if name in found.facts else None
        if old != new:
            changes.append(change(name, old, new))
    return changes


def with_subjects(
    freshness: Freshness, found: Iterable[Subject], refreshed: str
) -> tuple[Freshness, list[Change]]:
    """`freshness` with what a refresh found, and what that changed, in the order of `found`."""
    subjects = dict(freshness.subjects)
    changes: list[Change] = []
    for one in found:
        before = subjects.get(one.key)
        changes += changes_between(before, one)
        subjects[one.key] = seen_again(before, one)
    kept = (*changes, *freshness.changes)[:MOST_CHANGES]
    return Freshness(refreshed=refreshed, subjects=subjects, changes=kept), changes
