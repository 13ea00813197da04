"""Drafts of catalogue entries, made from what arXiv, PubMed or the model hub says of a work.

Everything that was fetched is marked as unverified and cited to its page, nothing is invented, and
what no page says (the summary above all) is left to the editor. A draft is an overlay, checked by
the catalogue's own validation before it is saved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry, Paper
from bioretrieval_tui.documents.bibliography import document_year
from bioretrieval_tui.documents.document import Document, Record
from bioretrieval_tui.documents.sentences import sentence_spans
from bioretrieval_tui.errors import NotFoundError, Problem, UsageError
from bioretrieval_tui.online import hub
from bioretrieval_tui.online.freshness import subjects_of
from bioretrieval_tui.terminal.clean import clean

if TYPE_CHECKING:
    from bioretrieval_tui.online.http import HttpClient

Scheme = Literal["arxiv", "hub", "pmid"]

_FORMS = "arxiv:2101.00001, hub:ORG/NAME, hub:datasets/ORG/NAME or pmid:12345678"
_ARXIV_ID = re.compile(r"\d{4}\.\d{4,5}")
_DOI = re.compile(r"10\.\d{4,9}/[^\s\x00-\x20]{1,200}")
_PMID = re.compile(r"[1-9]\d{0,8}")
_LONGEST_NAME = 60
_LONGEST_SUMMARY = 600
_ROLES = {
    "text-ranking": "reranker",
    "text-classification": "reranker",
    "fill-mask": "encoder",
    "sentence-similarity": "retriever",
}
"""The hub's task -> the role of an entry; any other task makes an encoder."""


@dataclass(frozen=True, slots=True)
class WorkReference:
    """The work that a draft is made of. name: arXiv id without version, PMID, or ORG/NAME;
    dataset: a data set of the hub, not a model."""

    scheme: Scheme
    name: str
    dataset: bool = False

    def __str__(self) -> str:
        return f"{self.scheme}:{'datasets/' if self.dataset else ''}{self.name}"


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """The id of an entry, its section of the overlay, and the text of the overlay."""

    id: str
    section: str
    text: str


def reference(text: str) -> WorkReference:
    """Parse the reference to a work.

    Raises:
        UsageError: its form is not known.
    """
    scheme, _, name = text.strip().partition(":")
    scheme = scheme.casefold()
    if scheme == "arxiv":
        bare = re.sub(r"v\d+$", "", name)
        if _ARXIV_ID.fullmatch(bare):
            return WorkReference("arxiv", bare)
    elif scheme == "pmid" and _PMID.fullmatch(name):
        return WorkReference("pmid", name)
    elif scheme == "hub":
        dataset = name.startswith("datasets/")
        found = hub.hub_name(name.removeprefix("datasets/"))
        if found is not None:
            return WorkReference("hub", found, dataset)
    raise UsageError(
        f"'{clean(text)[:80]}' is not a reference to a work", remedy=f"write it as {_FORMS}"
    )


def held(catalogue: Catalogue, what: WorkReference) -> AnyEntry | None:
    """The entry of this work in the catalogue, or None."""
    if what.scheme == "pmid":
        papers = catalogue.of_type(Paper)
        return next((one for one in papers if str(one.pmid) == what.name), None)
    kind = "arxiv" if what.scheme == "arxiv" else "dataset" if what.dataset else "model"
    wanted = (kind, what.name.casefold())
    for (where, name), entries in subjects_of(catalogue).items():
        if (where, name.casefold()) == wanted:
            return entries[0]
    return None


def draft_of(
    client: HttpClient, what: WorkReference, catalogue: Catalogue, *, day: str
) -> EntryDraft:
    """Fetch a work's description and draft its entry; day: today, ISO 8601.

    Raises:
        NotFoundError: there is no such work. OnlineError: the service fails.
    """
    from bioretrieval_tui.online import arxiv, pubmed

    if what.scheme == "arxiv":
        record = arxiv.by_ids(client, [what.name]).get(what.name)
        if record is None:
            raise NotFoundError(f"arXiv has no paper {what.name}", remedy="correct the id")
        return from_paper(record.document(), catalogue, day=day)
    if what.scheme == "pmid":
        for item in pubmed.by_ids(client, [what.name]):
            if isinstance(item, Record) and item.document.id == what.name:
                return from_paper(item.document, catalogue, day=day)
        raise NotFoundError(f"PubMed has no record {what.name}", remedy="correct the PMID")
    found = hub.repository(client, "dataset" if what.dataset else "model", what.name)
    if found.state == "gone":
        kind = "data set" if what.dataset else "model"
        raise NotFoundError(
            f"the model hub has no public {kind} {what.name}", remedy="correct its name"
        )
    return from_hub(what, found.card, catalogue, day=day)


def from_paper(document: Document, catalogue: Catalogue, *, day: str) -> EntryDraft:
    """Draft a paper from the record of arXiv or PubMed; day: of reading, ISO 8601."""
    metadata = document.metadata
    arxiv = metadata.get("arxiv")
    title, year = _line(document.title), document_year(metadata)
    names, journal = metadata.get("authors"), metadata.get("journal")
    if arxiv:
        service, page = "arXiv", f"https://arxiv.org/abs/{arxiv}"
    else:
        pmid = str(metadata.get("pmid") or document.id)
        service, page = "PubMed", f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/"
    entry = {
        "name": _short(title),
        "title": title,
        "summary": _sentences(document.text) or "Describe in your own words what it found.",
        "year": year if year and 1990 <= year <= 2100 else None,
        "authors": [_line(str(name)) for name in names[:100]] if isinstance(names, list) else [],
        "venue": journal if isinstance(journal, str) else None,
        **({"arxiv": arxiv} if arxiv else {"pmid": int(pmid)}),
        "doi": _doi(metadata.get("doi")),
        "links": [{"label": service, "url": page, "type": service.casefold()}],
        "tags": [],
    }
    return _draft("papers", entry, catalogue, page=page, of=service, day=day)


def from_hub(
    what: WorkReference, card: Mapping[str, Any], catalogue: Catalogue, *, day: str
) -> EntryDraft:
    """Draft a model or data set from the decoded JSON of the hub's API."""
    place = "datasets/" if what.dataset else ""
    address = f"https://huggingface.co/{place}{what.name}"
    organisation, _, name = what.name.partition("/")
    task = _text(card.get("pipeline_tag"))
    created = _text(card.get("createdAt"))[:4]
    gated = card.get("gated")
    described = "data set" if what.dataset else "model"
    purpose = f", published for {task}" if task else ""
    entry: dict[str, Any] = {
        "name": name,
        "summary": f"A {described} by {organisation} on the model hub{purpose}. Describe in your"
        " own words what it is good for, and what it is not.",
        "year": int(created) if created.isdigit() and int(created) >= 1990 else None,
        "hub": [what.name],
        "licence": hub.hub_licence(card),
        "gated": None if gated is None else bool(gated),
        "links": [
            {"label": described, "url": address, "type": "dataset" if what.dataset else "model"}
        ],
        "tags": [],
    }
    if what.dataset:
        entry = {**entry, "use": "describe what it is used for", "statuses": {"use": "unverified"}}
        return _draft("datasets", entry, catalogue, page=address, of="the model hub", day=day)
    entry["role"] = _ROLES.get(task, "encoder")
    entry["params"] = _parameters(card)
    entry["base"] = _base(card)
    entry["statuses"] = {"role": "unverified"}
    return _draft("models", entry, catalogue, page=address, of="the model hub", day=day)


def checked(
    text: bytes, path: Path, shipped: Path, overlays: Mapping[Path, bytes]
) -> list[Problem]:
    """The problems of an overlay `text` at `path`, over the catalogue in the folder `shipped` and
    the other overlays, by the catalogue's own validation.

    Raises:
        CatalogueError, NotFoundError: the shipped catalogue itself is invalid.
    """
    from bioretrieval_tui.catalog.loader import apply_overlays, parse, read_folder

    draft, content = parse(read_folder(shipped))
    others = {other: data for other, data in overlays.items() if other != path}
    # As the program reads them: by name, without invalid ones.
    files = dict(sorted({**others, path: text}.items()))
    _, problems = apply_overlays(draft, content, files)
    return [one for one in problems if Path(one.file) == path]


# Parts of a draft ---------------------------------------------------------------------------------


def _draft(
    section: str, entry: dict[str, Any], catalogue: Catalogue, *, page: str, of: str, day: str
) -> EntryDraft:
    import yaml

    identifier = _free_id(entry["name"], section, catalogue)
    source = f"{identifier}-page"
    given = {name: value for name, value in entry.items() if value not in (None, [], ())}
    ordered = {
        "id": identifier,
        **_printable(given),
        "sources": [source],
        "status": "unverified",
        "added": day,
    }
    document = {
        section: [ordered],
        "sources": [{"id": source, "text": f"its page on {of}, read {day}", "url": page}],
    }
    body = yaml.safe_dump(
        document, allow_unicode=True, sort_keys=False, width=96, default_flow_style=False
    )
    head = (
        f"# Made from {page} on {day}.\n"
        "# Correct what is wrong, and write the summary in your own words. The saved text becomes\n"
        "# part of your catalogue; an empty file adds nothing.\n"
    )
    return EntryDraft(identifier, section, head + body)


def _free_id(name: str, section: str, catalogue: Catalogue) -> str:
    words = re.findall(r"[a-z0-9]+", name.casefold())
    base = "-".join(words)[:50].strip("-") or section.removesuffix("s")
    tried = [base, f"{base}-{section.removesuffix('s')}"]
    tried += [f"{base}-{number}" for number in range(2, 1_000)]
    return next(one for one in tried if one not in catalogue.by_id)


def _short(title: str) -> str:
    """A name for a paper: its title up to a colon, or the beginning of the title."""
    head, colon, _ = title.partition(":")
    if colon and 0 < len(head) <= _LONGEST_NAME:
        return head.strip()
    if len(title) <= _LONGEST_NAME:
        return title
    return title[:_LONGEST_NAME].rpartition(" ")[0] or title[:_LONGEST_NAME]


def _sentences(text: str) -> str:
    """The first sentences of an abstract, as many as fit into a summary."""
    text = _line(text)
    ends = [end for _, end in sentence_spans(text)]
    fitting = [end for end in ends if end <= _LONGEST_SUMMARY] or ends[:1]
    return text[: fitting[-1]] if fitting else ""


def _parameters(card: Mapping[str, Any]) -> int | None:
    tensors = card.get("safetensors")
    total = tensors.get("total") if isinstance(tensors, Mapping) else None
    return total if type(total) is int and 0 < total < 2**50 else None


def _base(card: Mapping[str, Any]) -> str | None:
    data = card.get("cardData")
    base = data.get("base_model") if isinstance(data, Mapping) else None
    if isinstance(base, list) and base:
        base = base[0]
    return _line(base)[:200] if isinstance(base, str) and base else None


def _doi(value: object) -> str | None:
    return value if isinstance(value, str) and _DOI.fullmatch(value) else None


def _text(value: object) -> str:
    return _line(value)[:80] if isinstance(value, str) else ""


def _line(text: str) -> str:
    """One clean line: an editor may run in the terminal."""
    return " ".join(clean(text).split())


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return _line(value)
    if isinstance(value, dict):
        return {name: _printable(one) for name, one in value.items()}
    return [_printable(one) for one in value] if isinstance(value, list) else value
