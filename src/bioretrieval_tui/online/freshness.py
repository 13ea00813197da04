"""What the model hub and arXiv say of the catalogue's models, data sets and papers, with dates.

Nothing here changes an entry: a file in the cache folder keeps what was found, differences are
shown, and an editor decides. Reading the file loads neither the HTTP client nor an XML parser, so
that the start page of the app may do it.
"""

from __future__ import annotations

import json
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
from bioretrieval_tui.online.services import OnlineError, no_json, unexpected
from bioretrieval_tui.paths import locked, places, save_file
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from bioretrieval_tui.online.http import HttpClient
    from bioretrieval_tui.online.searches import ArxivRecord

FORMAT = 1
MOST_CHANGES = 200
_MOST_BYTES = 64 * 2**20
_PAPERS = 50
"""Papers of one request to arXiv."""
_HUB = "the model hub"
_HUB_BYTES = 8 * 2**20
_GONE = frozenset({401, 404, 410})
"""The hub responds with 401 for what is private or never existed, if one is not signed in."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST_LICENCE = 80
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
    """A model or data set of the hub, or a paper of arXiv, as last seen. name: hub or arXiv id in
    the catalogue; now: its present name, if renamed; facts: by name; etag: for the next request;
    asked: the day of the last response."""

    where: Where
    name: str
    state: State = "there"
    now: str | None = None
    facts: dict[str, Dated] = {}
    etag: str | None = None
    asked: str = ""

    @property
    def key(self) -> str:
        return f"{self.where}:{self.name}"

    def fact(self, name: str) -> Value:
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
    """All that is known. refreshed: when last (ISO 8601, UTC); changes: newest first."""

    format: int = FORMAT
    refreshed: str | None = None
    subjects: dict[str, Subject] = {}
    changes: tuple[SubjectChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of an entry that the network contradicts. entry: its id; catalogue, found: the two
    values as text; subject: the key of its source; date: the day, ISO 8601, of its first reading;
    severe: the subject is not where the catalogue says."""

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


def _file() -> Path:
    """The file, in the cache folder, since it can be requested again."""
    return places().cache / "online" / "freshness.json"


def load_freshness() -> Freshness:
    """Read the file; empty if it does not exist or is invalid."""
    try:
        with _file().open("rb") as stream:
            found = msgspec.json.decode(stream.read(_MOST_BYTES), type=Freshness)
    except (OSError, ValueError, RecursionError):
        return Freshness()
    return found if found.format == FORMAT else Freshness()


def save_freshness(freshness: Freshness) -> None:
    """Replace the file. Raises BioRetrievalError if it cannot be written."""
    save_file(_file(), msgspec.json.encode(freshness), "the result")


def keep_subjects(found: Sequence[Subject], refreshed: str) -> list[SubjectChange]:
    """Merge what a refresh found into the file; returns the changes. Raises BioRetrievalError if
    it cannot be written."""
    if not found:
        return []
    busy, said = "another process refreshes", "the result cannot be saved"
    with locked(_file().with_name(".freshness.lock"), said, busy):
        after, changes = with_subjects(load_freshness(), found, refreshed)
        save_freshness(after)
    return changes


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
    saved; day: today, ISO 8601.
    """
    from bioretrieval_tui.online.searches import arxiv_by_ids

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
            card, etag = repository(client, where, name, etag=before.etag if before else None)
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
            records = arxiv_by_ids(client, names)
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
    """Make a subject from the hub's JSON; a field of another type counts as not stated."""
    now, changed, gated = hub_name(card["id"]), card.get("lastModified"), card.get("gated")
    if now is not None and now.casefold() == name.casefold():
        now = None
    dated = _DAY.match(changed) if isinstance(changed, str) else None
    if not isinstance(gated, bool):  # the hub writes false, or how access is granted
        gated = True if gated in ("auto", "manual") else None
    downloads, likes = (
        one if type(one := card.get(field)) is int and 0 <= one < 2**53 else None
        for field in ("downloads", "likes")
    )
    facts: dict[str, Value] = {"downloads": downloads, "likes": likes}
    facts |= {"changed": dated and dated[0], "gated": gated, "licence": hub_licence(card)}
    state: State = "renamed" if now else "there"
    stated = _dated(facts, day)
    return Subject(where=where, name=name, state=state, now=now, facts=stated, etag=etag, asked=day)


def arxiv_subject(record: ArxivRecord, *, day: str) -> Subject:
    """Make a subject of a paper."""
    facts = _dated(record.facts, day)
    return Subject(where="arxiv", name=record.document.id, facts=facts, asked=day)


def removed(where: Where, name: str, *, day: str, before: Subject | None = None) -> Subject:
    """Make a subject that no longer exists, with the facts that were last known."""
    facts = {} if before is None else before.facts
    return Subject(where=where, name=name, state="removed", facts=facts, asked=day)


def _dated(facts: Mapping[str, Value], day: str) -> dict[str, Dated]:
    return {name: Dated(value, day) for name, value in facts.items() if value is not None}


def with_subjects(
    freshness: Freshness, found: Iterable[Subject], refreshed: str
) -> tuple[Freshness, list[SubjectChange]]:
    """Merge what a refresh found into what was known; returns that and the changes, in order. Facts
    keep their days while their values stay."""
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
    def change(field: str, old: Value, new: Value) -> SubjectChange:
        date, where, name = found.asked, found.where, found.name
        return SubjectChange(date=date, where=where, name=name, field=field, before=old, after=new)

    if (before.state, before.now) != (found.state, found.now):
        yield change("state", before.state, found.state)
    names = () if found.state == "removed" else before.facts.keys() | found.facts.keys()
    for name in sorted(set(names) - _NOISE):
        if before.fact(name) != found.fact(name):
            yield change(name, before.fact(name), found.fact(name))


# The model hub ------------------------------------------------------------------------------------


def repository(
    client: HttpClient, kind: Literal["model", "dataset"], name: str, *, etag: str | None = None
) -> tuple[dict[str, Any] | None, str | None]:
    """Ask the hub for a repository; returns the JSON of its API (empty if nothing changed since
    `etag`, which is of an earlier response; None if it does not exist) and the new ETag. Raises
    OnlineError if the hub fails, or something else responds in its place."""
    from bioretrieval_tui.online.http import etag_of

    if hub_name(name) is None:
        raise BioRetrievalError(f"'{name}' cannot be a name on {_HUB}")
    response = client.get(
        "hub", f"api/{kind}s/{name}", etag=etag, most_bytes=_HUB_BYTES, check=False
    )
    if etag and response.status_code == 304:
        return {}, etag
    try:
        card = json.loads(response.content)
    except (ValueError, RecursionError):
        card = None
    # Only the hub itself says in JSON that a repository is gone; a login page does not.
    if response.status_code in _GONE and isinstance(card, dict):
        return None, None
    if response.status_code != 200:
        raise OnlineError(
            f"{_HUB} responded with status {response.status_code} for {name}",
            remedy="try again later",
        )
    if card is None:
        raise no_json(_HUB)
    if not isinstance(card, dict) or not isinstance(card.get("id"), str):
        raise unexpected(_HUB, f"no description of {name}")
    return card, etag_of(response)


def hub_name(text: str) -> str | None:
    """`text` if it is ORG/NAME as the hub allows it, else None."""
    return text if _HUB_NAME.fullmatch(text) and ".." not in text else None


def hub_licence(card: Mapping[str, Any]) -> str | None:
    """The licence of a repository: by its card's metadata, else by its tags."""
    data, tags = card.get("cardData"), card.get("tags")
    stated: list[object] = []
    if isinstance(data, Mapping):
        stated = [data.get("license_name"), data.get("license")]
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith("license:"):
            stated.append(tag.removeprefix("license:"))
    for one in stated:
        text = one[0] if isinstance(one, list) and one else one
        if isinstance(text, str) and (words := text[: 4 * _LONGEST_LICENCE].split()):
            return " ".join(words)[:_LONGEST_LICENCE]
    return None


# Differences from the catalogue -------------------------------------------------------------------


def subjects_of(
    catalogue: Catalogue, only: Collection[str] = ()
) -> dict[tuple[Where, str], list[AnyEntry]]:
    """The subjects that the catalogue names, with their entries; only: ids of entries, if any."""
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
    found: list[Difference] = []
    for (where, name), entries in subjects_of(catalogue, only).items():
        if subject := freshness.subjects.get(f"{where}:{name}"):
            for entry in entries:
                found += _between(entry, subject)
    return found


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
