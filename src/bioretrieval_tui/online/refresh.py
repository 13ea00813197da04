"""Asking the model hub and arXiv what has become of the catalogue's subjects.

Models and data sets are asked for one by one, with the tag of the last answer, so that what has
not changed costs a few bytes; papers of arXiv are asked for many at a time. A place that fails
leaves what was known of its subjects as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.answers import (
    ArxivRecord,
    arxiv_records,
    arxiv_subject,
    hub_name,
    hub_subject,
    removed,
)
from bioretrieval_tui.online.fresh import Change, Freshness, Subject, Where, with_subjects
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from bioretrieval_tui.online.door import Answer, Door

HUB = "hub"
ARXIV = "arxiv"
BATCH = 50
"""Papers asked for in one request to arXiv."""
MOST_BYTES = 8 * 2**20
_PATIENCE = 3
"""Failures of a place, one after the other, after which it is not asked any more."""
GONE = frozenset({401, 404, 410})
"""The hub answers 401 for what is private or was never there, to whoever is not signed in."""
_UNCHANGED = 304


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to. asked: subjects that were answered for; failures: a line each, by
    place."""

    freshness: Freshness
    changes: tuple[Change, ...]
    asked: int
    failures: tuple[str, ...]


class Asking:
    """One refresh; `found` grows as answers come, so that an interrupted one can be kept too."""

    def __init__(self, door: Door, before: Freshness, *, day: str) -> None:
        self._door = door
        self._before = before
        self._day = day
        self.found: list[Subject] = []
        self.failures: list[str] = []

    def ask(self, subjects: Sequence[tuple[Where, str]], reporter: Reporter = silent) -> None:
        """Ask about all of `subjects`, hub first.

        Raises:
            What `reporter` raises; failures of a place are in `failures` instead.
        """
        repositories = [one for one in subjects if one[0] != "arxiv"]
        papers = [name for where, name in subjects if where == "arxiv"]
        total = len(subjects)

        def tell() -> None:
            reporter(Progress("refreshing", len(self.found), total, unit="subjects"))

        failed = 0
        for where, name in repositories:
            tell()
            try:
                self._repository(where, name)
                failed = 0
            except BioRetrievalError as error:
                failed += 1
                if error.line() not in self.failures:
                    self.failures.append(error.line())
                if failed >= _PATIENCE:
                    break
        for start in range(0, len(papers), BATCH):
            tell()
            try:
                self._papers(papers[start : start + BATCH])
            except BioRetrievalError as error:
                self.failures.append(error.line())
                break
        tell()

    def outcome(self, now: str) -> Refreshed:
        """What is known now; `now` is the time, ISO 8601, UTC."""
        freshness, changes = with_subjects(self._before, self.found, now)
        return Refreshed(freshness, tuple(changes), len(self.found), tuple(self.failures))

    def _repository(self, where: Where, name: str) -> None:
        before = self._before.subjects.get(f"{where}:{name}")
        if hub_name(name) is None:
            raise BioRetrievalError(f"the catalogue names '{name}', which the hub cannot have")
        etag = None if before is None else before.etag
        answer = self._door.get(
            HUB, hub_address(where, name), etag=etag, most_bytes=MOST_BYTES, check=False
        )
        if answer.status == _UNCHANGED and before is not None:
            self.found.append(msgspec.structs.replace(before, asked=self._day))
        elif is_gone(answer):
            self.found.append(removed(where, name, day=self._day, before=before))
        else:
            described = described_by(answer, name)
            self.found.append(hub_subject(where, name, described, day=self._day, etag=answer.etag))

    def _papers(self, names: Sequence[str]) -> None:
        records = arxiv_papers(self._door, names)
        if 2 * len(records) < len(names):
            # arXiv leaves out what it does not know; so much is no loss of papers but a fault.
            raise BioRetrievalError(
                f"arXiv answered for {len(records)} of {len(names)} papers only",
                remedy="try again later",
            )
        for name in names:
            if name in records:
                self.found.append(arxiv_subject(records[name], day=self._day))
            else:
                before = self._before.subjects.get(f"arxiv:{name}")
                self.found.append(removed("arxiv", name, day=self._day, before=before))


def hub_address(where: Where, name: str) -> str:
    """Where the hub's API describes a repository, below its base."""
    return f"api/{where}s/{name}"


def is_gone(answer: Answer) -> bool:
    """Whether the hub itself says that there is no such repository, or none to be seen: whatever
    answers in its place has other words for it."""
    if answer.status not in GONE:
        return False
    try:
        return isinstance(json.loads(answer.body), dict)
    except (ValueError, RecursionError):
        return False


def described_by(answer: Answer, name: str) -> Mapping[str, Any]:
    """The JSON of an answer of the hub.

    Raises:
        BioRetrievalError: the hub refused or failed, or it is no JSON.
    """
    if answer.status != 200:
        raise BioRetrievalError(
            f"the model hub answered {answer.status} for {name}", remedy="try again later"
        )
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise BioRetrievalError(
            f"the model hub answered something that is no JSON for {name}",
            remedy="try again later; a proxy or a login page may answer in its place",
        ) from error
    if not isinstance(found, dict):
        raise BioRetrievalError(
            f"the model hub described {name} in a form that is not known", remedy="try again later"
        )
    return found


def arxiv_papers(door: Door, names: Sequence[str]) -> dict[str, ArxivRecord]:
    """The papers of these arXiv ids, by id; those that arXiv has not are left out.

    Raises:
        BioRetrievalError: arXiv failed, or answered in a form that is not known.
    """
    answer = door.get(
        ARXIV,
        "query",
        params={"id_list": ",".join(names), "max_results": str(len(names))},
        most_bytes=MOST_BYTES,
    )
    return arxiv_records(answer.body)
