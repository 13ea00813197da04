"""Where the catalogue and the network disagree. Shown, never settled: which of the two is right
is for an editor to find out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry, Dataset, Model, Paper
from bioretrieval_tui.online.fresh import Freshness, Subject, Value, Where, said

_WORD = re.compile(r"[a-z0-9]+")
_UNSAID = frozenset({"other", "unknown"})
"""What the hub writes for a licence that it has no name for: it contradicts nothing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of an entry of which the network says something else.

    entry: its id; catalogue and found: as readers meet them; subject: who said so; date: the day
    on which that was first read, ISO 8601; severe: the subject is not where the catalogue says.
    """

    entry: str
    field: str
    catalogue: str
    found: str
    subject: str
    date: str
    severe: bool = False


def subjects_of(
    catalogue: Catalogue, only: Collection[str] = ()
) -> dict[tuple[Where, str], list[AnyEntry]]:
    """Everything of the catalogue that can be asked about, with the entries that name it.

    only: ids of the entries that are looked at, all of them if there are none.
    """
    found: dict[tuple[Where, str], list[AnyEntry]] = {}
    for entry in catalogue.entries:
        if only and entry.id not in only:
            continue
        for subject in _named_by(entry):
            found.setdefault(subject, []).append(entry)
    return found


def _named_by(entry: AnyEntry) -> Iterator[tuple[Where, str]]:
    if isinstance(entry, Model):
        yield from (("model", name) for name in entry.hub)
    elif isinstance(entry, Dataset):
        yield from (("dataset", name) for name in entry.hub)
    elif isinstance(entry, Paper) and entry.arxiv:
        yield "arxiv", entry.arxiv


def differences(
    catalogue: Catalogue, freshness: Freshness, only: Collection[str] = ()
) -> list[Difference]:
    """Every difference that is known, in the order of the catalogue; `only` as `subjects_of`."""
    found: list[Difference] = []
    for (where, name), entries in subjects_of(catalogue, only).items():
        subject = freshness.subjects.get(f"{where}:{name}")
        if subject is not None:
            for entry in entries:
                found += _between(entry, subject)
    return found


def _between(entry: AnyEntry, subject: Subject) -> Iterator[Difference]:
    field = "arxiv" if subject.where == "arxiv" else "hub"
    if subject.state != "there":
        now = subject.now if subject.state == "renamed" and subject.now else "not there"
        yield Difference(
            entry.id, field, subject.name, now, subject.key, subject.asked, severe=True
        )
    if subject.state == "removed":
        return
    pairs: list[tuple[str, Value, bool]] = []
    if isinstance(entry, Model | Dataset):
        pairs = [
            ("licence", entry.licence, same_licence(entry.licence, _text(subject, "licence"))),
            ("gated", entry.gated, entry.gated == _fact(subject, "gated")),
        ]
    elif isinstance(entry, Paper):
        pairs = [
            ("title", entry.title, same_words(entry.title, _text(subject, "title"))),
            ("doi", entry.doi, _doi(entry.doi) == _doi(_text(subject, "doi"))),
        ]
        if _fact(subject, "withdrawn"):
            date = subject.facts["withdrawn"].date
            yield Difference(
                entry.id, "arxiv", subject.name, "withdrawn", subject.key, date, severe=True
            )
    for name, own, same in pairs:
        # What one of the two does not state is no contradiction.
        other = _fact(subject, name)
        if own is not None and other is not None and not same:
            yield Difference(
                entry.id, name, said(own), said(other), subject.key, subject.facts[name].date
            )


def same_words(one: str | None, other: str | None) -> bool:
    """Whether two titles are the same but for case, marks and spaces."""
    return _WORD.findall((one or "").casefold()) == _WORD.findall((other or "").casefold())


def same_licence(own: str | None, other: str | None) -> bool:
    """Whether the hub's licence is the one that the catalogue names.

    Either may say more ("Apache-2.0 according to mteb", or a version), and the hub may name none
    that it knows ("other").
    """
    found = _WORD.findall((other or "").casefold())
    words = _WORD.findall((own or "").casefold())
    common = min(len(found), len(words))
    return (len(found) == 1 and found[0] in _UNSAID) or found[:common] == words[:common]


def _fact(subject: Subject, name: str) -> Value:
    fact = subject.facts.get(name)
    return None if fact is None else fact.value


def _text(subject: Subject, name: str) -> str | None:
    value = _fact(subject, name)
    return value if isinstance(value, str) else None


def _doi(text: str | None) -> str:
    return (text or "").casefold().removeprefix("https://doi.org/")
