"""Drafts of catalogue entries from the descriptions of arXiv, PubMed or the model hub.

All fetched values are marked as unverified and cited to their page; what no page says (above all
the summary) is left to the editor. A draft is an overlay, checked by the catalogue's own
validation before it is saved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry, Paper
from bioretrieval_tui.documents.bibliography import document_year
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.sentences import sentence_spans
from bioretrieval_tui.errors import NotFoundError, Problem, UsageError
from bioretrieval_tui.online.freshness import hub_licence, hub_name, repository, subjects_of
from bioretrieval_tui.online.spool import Mark, WorkId
from bioretrieval_tui.terminal.clean import clean

if TYPE_CHECKING:
    from bioretrieval_tui.online.http import HttpClient

_FORMS = "arxiv:2101.00001, hub:ORG/NAME, hub:datasets/ORG/NAME or pmid:12345678"
_DOI = re.compile(r"10\.\d{4,9}/[^\s\x00-\x20]{1,200}")
_LONGEST_NAME = 60
_LONGEST_SUMMARY = 600
_NO_ABSTRACT = "Describe in your own words what it found."
_ROLES = {
    "text-ranking": "reranker", "text-classification": "reranker",
    "sentence-similarity": "retriever",
}  # fmt: skip
"""The hub's task -> the role of an entry; other tasks: encoder."""
_KINDS = {"model": "model", "dataset": "data set"}
_PREFIXES = {"arxiv": "arxiv:", "pmid": "pmid:", "model": "hub:", "dataset": "hub:datasets/"}


@dataclass(frozen=True, slots=True)
class WorkReference:
    """The work of a draft. name: arXiv id without version, PMID, or ORG/NAME on the hub."""

    kind: Literal["arxiv", "pmid", "model", "dataset"]
    name: str

    def __str__(self) -> str:
        return _PREFIXES[self.kind] + self.name


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """The id of an entry, and the text of its overlay."""

    id: str
    text: str


def reference(text: str) -> WorkReference:
    """Parse the reference to a work. Raises UsageError if its form is not known."""
    scheme, _, name = text.strip().partition(":")
    match scheme.casefold():
        case "arxiv" if found := re.fullmatch(r"(\d{4}\.\d{4,5})(?:v\d+)?", name):
            return WorkReference("arxiv", found[1])
        case "pmid" if re.fullmatch(r"[1-9]\d{0,8}", name):
            return WorkReference("pmid", name)
        case "hub" if hub_name(bare := name.removeprefix("datasets/")):
            return WorkReference("model" if bare == name else "dataset", bare)
    raise UsageError(
        f"'{clean(text)[:80]}' is not a reference to a work", remedy=f"write it as {_FORMS}"
    )


def held(catalogue: Catalogue, what: WorkReference) -> AnyEntry | None:
    """The entry of this work in the catalogue, or None."""
    if what.kind == "pmid":
        papers = catalogue.of_type(Paper)
        return next((one for one in papers if str(one.pmid) == what.name), None)
    wanted = (what.kind, what.name.casefold())
    subjects = subjects_of(catalogue).items()
    return next(
        (one[0] for (where, name), one in subjects if (where, name.casefold()) == wanted), None
    )


def draft_of(
    client: HttpClient, what: WorkReference, catalogue: Catalogue, *, day: str
) -> EntryDraft:
    """Fetch a work's description and draft its entry; day: today, ISO 8601. Raises NotFoundError if
    there is no such work, OnlineError if the service fails."""
    if what.kind == "arxiv" or what.kind == "pmid":
        from bioretrieval_tui.online.searches import batches_of_ids, documents_of, names_of

        one = WorkId(what.kind, what.name)
        for document in documents_of(batches_of_ids(client, [one], Mark())):
            if one.key in names_of(document):
                return from_paper(document, catalogue, day=day)
        has_no = "arXiv has no paper" if what.kind == "arxiv" else "PubMed has no record"
        raise NotFoundError(f"{has_no} {what.name}", remedy="correct the id")
    card, _ = repository(client, what.kind, what.name)
    if card is None:
        raise NotFoundError(
            f"the model hub has no public {_KINDS[what.kind]} {what.name}",
            remedy="correct its name",
        )
    return from_hub(what, card, catalogue, day=day)


def from_paper(document: Document, catalogue: Catalogue, *, day: str) -> EntryDraft:
    """Draft a paper from the record of arXiv or PubMed; day: of reading, ISO 8601."""
    metadata = document.metadata
    title, year, doi = _line(document.title), document_year(metadata), metadata.get("doi")
    names, journal, arxiv = (metadata.get(name) for name in ("authors", "journal", "arxiv"))
    if arxiv:
        service, page = "arXiv", f"https://arxiv.org/abs/{arxiv}"
    else:
        pmid = str(metadata.get("pmid") or document.id)
        service, page = "PubMed", f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/"
    # A name: the title up to a colon, or its beginning.
    name, colon, _ = title.partition(":")
    if not colon or not 0 < len(name) <= _LONGEST_NAME:
        name = shorten(title, _LONGEST_NAME, placeholder="") or title[:_LONGEST_NAME]
    # A summary: as many sentences of the abstract as fit.
    abstract = _line(document.text)
    ends = [end for _, end in sentence_spans(abstract)]
    fitting = [end for end in ends if end <= _LONGEST_SUMMARY] or ends[:1]
    entry = {
        "name": name.strip(),
        "title": title,
        "summary": abstract[: max(fitting, default=0)] or _NO_ABSTRACT,
        "year": year if year and 1990 <= year <= 2100 else None,
        "authors": list(map(str, names[:100])) if isinstance(names, list) else [],
        "venue": journal if isinstance(journal, str) else None,
        **({"arxiv": arxiv} if arxiv else {"pmid": int(pmid)}),
        "doi": doi if isinstance(doi, str) and _DOI.fullmatch(doi) else None,
        "links": [{"label": service, "url": page, "type": service.casefold()}],
    }
    return _draft("papers", entry, catalogue, page=page, of=service, day=day)


def from_hub(
    what: WorkReference, card: Mapping[str, Any], catalogue: Catalogue, *, day: str
) -> EntryDraft:
    """Draft a model or data set from the decoded JSON of the hub's API."""
    kind = what.kind
    address = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{what.name}"
    organisation, _, name = what.name.partition("/")
    task, created = (
        _line(text)[:80] if isinstance(text := card.get(field), str) else ""
        for field in ("pipeline_tag", "createdAt")
    )
    purpose = f", published for {task}" if task else ""
    gated = card.get("gated")
    entry: dict[str, Any] = {
        "name": name,
        "summary": f"A {_KINDS[kind]} by {organisation} on the model hub{purpose}. Describe in your"
        " own words what it is good for, and what it is not.",
        "year": int(created[:4]) if created[:4].isdigit() and int(created[:4]) >= 1990 else None,
        "hub": [what.name],
        "licence": hub_licence(card),
        "gated": None if gated is None else bool(gated),
        "links": [{"label": _KINDS[kind], "url": address, "type": kind}],
    }
    if kind == "dataset":
        entry |= {"use": "describe what it is used for", "statuses": {"use": "unverified"}}
    else:
        data, tensors = card.get("cardData"), card.get("safetensors")
        base = data.get("base_model") if isinstance(data, Mapping) else None
        base = base[0] if isinstance(base, list) and base else base
        params = tensors.get("total") if isinstance(tensors, Mapping) else None
        entry |= {
            "role": _ROLES.get(task, "encoder"),
            "params": params if type(params) is int and 0 < params < 2**50 else None,
            "base": _line(base)[:200] if isinstance(base, str) and base else None,
            "statuses": {"role": "unverified"},
        }
    return _draft(f"{kind}s", entry, catalogue, page=address, of="the model hub", day=day)


def checked(
    text: bytes, path: Path, shipped: Path, overlays: Mapping[Path, bytes]
) -> list[Problem]:
    """The problems of an overlay `text` at `path`, over the catalogue in the folder `shipped` and
    the other overlays, by the catalogue's own validation. Raises CatalogueError or NotFoundError if
    the shipped catalogue itself is invalid."""
    from bioretrieval_tui.catalog.loader import apply_overlays, parse, read_folder

    draft, content = parse(read_folder(shipped))
    others = {other: data for other, data in overlays.items() if other != path}
    # As the program reads them: by name, without invalid ones.
    files = dict(sorted({**others, path: text}.items()))
    _, problems = apply_overlays(draft, content, files)
    return [one for one in problems if Path(one.file) == path]


def _draft(
    section: str, entry: dict[str, Any], catalogue: Catalogue, *, page: str, of: str, day: str
) -> EntryDraft:
    import yaml

    kind = section.removesuffix("s")
    base = "-".join(re.findall(r"[a-z0-9]+", entry["name"].casefold()))[:50].strip("-") or kind
    tried = (base, f"{base}-{kind}", *(f"{base}-{number}" for number in range(2, 1_000)))
    identifier = next(one for one in tried if one not in catalogue.by_id)
    source = f"{identifier}-page"
    given = {name: value for name, value in entry.items() if value not in (None, [])}
    ordered = {"id": identifier} | _printable(given)
    ordered |= {"sources": [source], "status": "unverified", "added": day}
    cited = {"id": source, "text": f"its page on {of}, read {day}", "url": page}
    document = {section: [ordered], "sources": [cited]}
    body = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=96)
    head = (
        f"# Made from {page} on {day}.\n"
        "# Correct what is wrong, and write the summary in your own words. The saved text becomes\n"
        "# part of your catalogue; an empty file adds nothing.\n"
    )
    return EntryDraft(identifier, head + body)


def _line(text: str) -> str:
    """One clean line: an editor may run in the terminal."""
    return " ".join(clean(text).split())


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return _line(value)
    if isinstance(value, dict):
        return {name: _printable(one) for name, one in value.items()}
    return [_printable(one) for one in value] if isinstance(value, list) else value
