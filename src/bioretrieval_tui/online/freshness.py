"""What the model hub and arXiv say of the catalogue's models, data sets and papers, with dates.

Nothing here changes an entry: a file in the cache folder keeps what was found, differences are
shown, and an editor decides. Reading the file loads neither the HTTP client nor an XML parser, so
that the start page of the app may do it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry, Dataset, Model, Paper
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places, save_file
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from bioretrieval_tui.online.arxiv import ArxivRecord
    from bioretrieval_tui.online.http import HttpClient

FORMAT = 1
MOST_CHANGES = 200
_MOST_BYTES = 64 * 2**20
_PAPERS = 50
"""Papers of one request to arXiv."""
_MOST_FAILURES = 3
"""Failures of the hub in a row after which the rest is skipped."""
_WORD = re.compile(r"[a-z0-9]+")
_UNSTATED_LICENCES = frozenset({"other", "unknown"})
"""What the hub writes for a licence that it has no name for: it contradicts nothing."""
_NOISE = frozenset({"downloads", "likes"})
"""Facts that differ every day: kept, but not reported as changes."""

Where = Literal["model", "dataset", "arxiv"]
State = Literal["there", "renamed", "removed"]
Value = str | int | bool | None
"""A fact; None where it is not stated."""


class Dated(msgspec.Struct, frozen=True):
    """A fact, and the day (ISO 8601) on which it was first read with this value."""

    value: Value
    date: str


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model or data set of the hub, or a paper of arXiv, as last seen.

    name: hub id or arXiv id in the catalogue; now: its present name, if renamed; facts: by name;
    etag: for the next request; asked: the day of the last response.
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
        """Identifies the subject in the file."""
        return f"{self.where}:{self.name}"

    def fact(self, name: str) -> Value:
        """The value of a fact, None if not stated."""
        found = self.facts.get(name)
        return None if found is None else found.value


class SubjectChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A field that one refresh found with another value than the one before."""

    date: str
    where: Where
    name: str
    field: str
    before: Value = None
    after: Value = None

    def line(self) -> str:
        """The change in words, without its day."""
        match self.field:
            case "state":
                states = {"removed": "was removed", "renamed": "was renamed"}
                return f"{self.name} {states.get(str(self.after), 'is available again')}"
            case "version":
                return f"arXiv {self.name} has a new version, v{self.after}"
            case "changed":
                return f"{self.name} was changed on {self.after}"
        return f"{self.name}: {self.field} {value_text(self.before)} -> {value_text(self.after)}"


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known. refreshed: time (ISO 8601, UTC) of the last refresh; changes: newest
    first."""

    format: int = FORMAT
    refreshed: str | None = None
    subjects: dict[str, Subject] = {}
    changes: tuple[SubjectChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of an entry that the network contradicts.

    entry: its id; catalogue, found: the two values as text; subject: the key of its source; date:
    the day, ISO 8601, of its first reading; severe: the subject is not where the catalogue says.
    """

    entry: str
    field: str
    catalogue: str
    found: str
    subject: str
    date: str
    severe: bool = False


def value_text(value: Value) -> str:
    """A fact as text for readers."""
    if value is None:
        return "not stated"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else value


# The file -----------------------------------------------------------------------------------------


def freshness_file() -> Path:
    """The file, in the cache folder, since it can be requested again."""
    return places().cache / "online" / "freshness.json"


def load_freshness(path: Path | None = None) -> Freshness:
    """Read the file; empty if it does not exist or is invalid."""
    try:
        with (path or freshness_file()).open("rb") as stream:
            found = msgspec.json.decode(stream.read(_MOST_BYTES), type=Freshness)
    except (OSError, ValueError, RecursionError):
        return Freshness()
    return found if found.format == FORMAT else Freshness()


def save_freshness(freshness: Freshness, path: Path | None = None) -> None:
    """Replace the file. Raises BioRetrievalError if it cannot be written."""
    save_file(path or freshness_file(), msgspec.json.encode(freshness), "the result")


# Refreshing ---------------------------------------------------------------------------------------


def refresh(
    client: HttpClient,
    known: Mapping[str, Subject],
    subjects: Sequence[tuple[Where, str]],
    found: list[Subject],
    *,
    day: str,
    reporter: Reporter = silent,
) -> list[str]:
    """Ask about all subjects, those of the hub first; returns a line for each kind of failure.

    known: the earlier state; found: grows with the responses, so that an interrupted refresh can be
    saved; subjects whose request fails are left out; day: today, ISO 8601. Raises the errors of
    `reporter`.
    """
    from bioretrieval_tui.online import arxiv, hub

    failures: dict[str, None] = {}
    papers = [name for where, name in subjects if where == "arxiv"]
    failed = 0

    def report() -> None:
        reporter(Progress("refreshing", len(found), len(subjects), unit="subjects"))

    for where, name in subjects:
        if where == "arxiv" or failed >= _MOST_FAILURES:
            continue
        report()
        before = known.get(f"{where}:{name}")
        try:
            etag = None if before is None else before.etag
            card, etag = hub.repository(client, where, name, etag=etag)
        except BioRetrievalError as error:
            failed += 1
            failures[error.line()] = None
            continue
        failed = 0
        if card is None:
            found.append(removed(where, name, day=day, before=before))
        elif card or before is None:
            found.append(hub_subject(where, name, card, day=day, etag=etag))
        else:
            found.append(msgspec.structs.replace(before, asked=day))
    for start in range(0, len(papers), _PAPERS):
        report()
        names = papers[start : start + _PAPERS]
        try:
            records = arxiv.by_ids(client, names)
        except BioRetrievalError as error:
            failures[error.line()] = None
            break
        if 2 * len(records) < len(names):
            # arXiv leaves out unknown papers; so many at once are a fault of the service.
            described = f"arXiv described only {len(records)} of {len(names)} papers"
            failures[f"{described}; try again later"] = None
            break
        found += [
            arxiv_subject(records[name], day=day)
            if name in records
            else removed("arxiv", name, day=day, before=known.get(f"arxiv:{name}"))
            for name in names
        ]
    report()
    return list(failures)


def hub_subject(
    where: Where, name: str, card: Mapping[str, Any], *, day: str, etag: str | None = None
) -> Subject:
    """Make a subject from the hub's JSON."""
    from bioretrieval_tui.online.hub import hub_facts, hub_name

    now = hub_name(card["id"])
    if now is not None and now.casefold() == name.casefold():
        now = None
    return Subject(
        where=where,
        name=name,
        state="renamed" if now else "there",
        now=now,
        facts=_dated(hub_facts(card), day),
        etag=etag,
        asked=day,
    )


def arxiv_subject(record: ArxivRecord, *, day: str) -> Subject:
    """Make a subject of a paper."""
    name, facts = record.document.id, _dated(record.facts, day)
    return Subject(where="arxiv", name=name, facts=facts, asked=day)


def removed(where: Where, name: str, *, day: str, before: Subject | None = None) -> Subject:
    """Make a subject that no longer exists, with the facts that were last known."""
    facts = {} if before is None else before.facts
    return Subject(where=where, name=name, state="removed", facts=facts, asked=day)


def _dated(facts: Mapping[str, Value], day: str) -> dict[str, Dated]:
    return {name: Dated(value, day) for name, value in facts.items() if value is not None}


def with_subjects(
    freshness: Freshness, found: Iterable[Subject], refreshed: str
) -> tuple[Freshness, list[SubjectChange]]:
    """Merge what a refresh found into what was known; returns that and the changes, in order.

    A fact keeps its day while its value stays.
    """
    subjects = dict(freshness.subjects)
    changes: list[SubjectChange] = []
    for one in found:
        before = subjects.get(one.key)
        if before is not None:
            changes += _changes(before, one)
            facts = {
                name: before.facts[name] if before.fact(name) == fact.value else fact
                for name, fact in one.facts.items()
            }
            one = msgspec.structs.replace(one, facts=facts)
        subjects[one.key] = one
    newest = (*changes, *freshness.changes)[:MOST_CHANGES]
    return Freshness(refreshed=refreshed, subjects=subjects, changes=newest), changes


def _changes(before: Subject, found: Subject) -> Iterator[SubjectChange]:
    fields: list[tuple[str, Value, Value]] = []
    if (before.state, before.now) != (found.state, found.now):
        fields.append(("state", before.state, found.state))
    if found.state != "removed":
        names = sorted((before.facts.keys() | found.facts.keys()) - _NOISE)
        facts = [(name, before.fact(name), found.fact(name)) for name in names]
        fields += [one for one in facts if one[1] != one[2]]
    date, where, subject = found.asked, found.where, found.name
    for field, old, new in fields:
        yield SubjectChange(
            date=date, where=where, name=subject, field=field, before=old, after=new
        )


# Differences from the catalogue -------------------------------------------------------------------


def subjects_of(
    catalogue: Catalogue, only: Collection[str] = ()
) -> dict[tuple[Where, str], list[AnyEntry]]:
    """The subjects that the catalogue names, with their entries; only: ids of entries, all of
    them if empty."""
    found: dict[tuple[Where, str], list[AnyEntry]] = {}
    for entry in catalogue.entries:
        subjects: list[tuple[Where, str]] = []
        if only and entry.id not in only:
            continue
        if isinstance(entry, Model | Dataset):
            where: Where = "model" if isinstance(entry, Model) else "dataset"
            subjects = [(where, name) for name in entry.hub]
        elif isinstance(entry, Paper) and entry.arxiv:
            subjects = [("arxiv", entry.arxiv)]
        for subject in subjects:
            found.setdefault(subject, []).append(entry)
    return found


def differences(
    catalogue: Catalogue, freshness: Freshness, only: Collection[str] = ()
) -> list[Difference]:
    """Every known difference, in the order of the catalogue; only: as for `subjects_of`."""
    return [
        difference
        for (where, name), entries in subjects_of(catalogue, only).items()
        if (subject := freshness.subjects.get(f"{where}:{name}")) is not None
        for entry in entries
        for difference in _between(entry, subject)
    ]


def _between(entry: AnyEntry, subject: Subject) -> Iterator[Difference]:
    def severe(field: str, found: str, date: str) -> Difference:
        return Difference(entry.id, field, subject.name, found, subject.key, date, severe=True)

    if subject.state != "there":
        now = subject.now if subject.state == "renamed" and subject.now else "not there"
        yield severe("arxiv" if subject.where == "arxiv" else "hub", now, subject.asked)
    if subject.state == "removed":
        return
    if subject.fact("withdrawn") and isinstance(entry, Paper):
        yield severe("arxiv", "withdrawn", subject.facts["withdrawn"].date)
    for name, same in _COMPARED.items():
        # A fact that one of the two does not state is no contradiction.
        own, other = getattr(entry, name, None), subject.facts.get(name)
        if own is not None and other is not None and not same(own, other.value):
            found = value_text(other.value)
            yield Difference(entry.id, name, value_text(own), found, subject.key, other.date)


def _words(text: Value) -> list[str]:
    return _WORD.findall(text.casefold()) if isinstance(text, str) else []


def same_words(one: Value, other: Value) -> bool:
    """Whether two titles are equal but for case, punctuation and spaces."""
    return _words(one) == _words(other)


def same_licence(own: Value, other: Value) -> bool:
    """Whether the hub's licence `other` is the one that the catalogue names. Either may say more
    ("Apache-2.0 according to mteb", or a version)."""
    found, words = _words(other), _words(own)
    common = min(len(found), len(words))
    unstated = len(found) == 1 and found[0] in _UNSTATED_LICENCES
    return unstated or found[:common] == words[:common]


def _same_doi(own: Value, other: Value) -> bool:
    one, another = (str(doi).casefold().removeprefix("https://doi.org/") for doi in (own, other))
    return one == another


_COMPARED: Mapping[str, Callable[[Value, Value], bool]] = {
    "licence": same_licence,
    "gated": operator.eq,
    "title": same_words,
    "doi": _same_doi,
}
"""Field of an entry and name of a fact -> whether the two values agree."""
