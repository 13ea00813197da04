"""An entry for the catalogue from what the network says of a work: a draft for its reader's eyes.

Everything that was fetched is marked as unverified or cited to its page, nothing is made up, and
what no page says (the summary in one's own words above all) is left for the editor. The draft is
an overlay, checked by the catalogue's own validation before it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry, Dataset, Model, Paper
from bioretrieval_tui.documents.bibliography import document_year
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.sentences import sentence_spans
from bioretrieval_tui.errors import Problem, UsageError
from bioretrieval_tui.online.answers import ArxivRecord, hub_licence, hub_name
from bioretrieval_tui.terminal.clean import clean

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
"""What the hub's task says of a role; anything else is called an encoder."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What `catalog add` was given. name: arXiv id without version, PMID, or ORG/NAME; dataset:
    of the hub, a data set and not a model."""

    scheme: Scheme
    name: str
    dataset: bool = False

    def __str__(self) -> str:
        return f"{self.scheme}:{'datasets/' if self.dataset else ''}{self.name}"


@dataclass(frozen=True, slots=True)
class Addition:
    """A draft: the entry's id, its section of the file, and the file's text."""

    id: str
    section: str
    text: str


def reference(text: str) -> Reference:
    """What `text` refers to.

    Raises:
        UsageError: it is none of the forms that are known.
    """
    scheme, _, name = text.strip().partition(":")
    scheme = scheme.casefold()
    if scheme == "arxiv":
        bare = re.sub(r"v\d+$", "", name)
        if _ARXIV_ID.fullmatch(bare):
            return Reference("arxiv", bare)
    elif scheme == "pmid" and _PMID.fullmatch(name):
        return Reference("pmid", name)
    elif scheme == "hub":
        dataset = name.startswith("datasets/")
        found = hub_name(name.removeprefix("datasets/"))
        if found is not None:
            return Reference("hub", found, dataset)
    raise UsageError(f"'{clean(text)[:80]}' names no work", remedy=f"write it as {_FORMS}")


def held(catalogue: Catalogue, what: Reference) -> AnyEntry | None:
    """The entry that the catalogue has of this work already, or None."""
    name = what.name.casefold()
    for entry in catalogue.entries:
        if isinstance(entry, Paper):
            same = (what.scheme == "arxiv" and entry.arxiv == what.name) or (
                what.scheme == "pmid" and str(entry.pmid) == what.name
            )
        elif isinstance(entry, Model | Dataset):
            kind = Dataset if what.dataset else Model
            hubs = {one.casefold() for one in entry.hub}
            same = what.scheme == "hub" and isinstance(entry, kind) and name in hubs
        else:
            same = False
        if same:
            return entry
    return None


def from_arxiv(record: ArxivRecord, catalogue: Catalogue, *, day: str) -> Addition:
    """A paper's draft from arXiv's record; `day` (ISO 8601) is when it was read."""
    address = f"https://arxiv.org/abs/{record.id}"
    year = int(record.published[:4]) if record.published else None
    entry = {
        **_paper(record.title, record.abstract, record.authors, year),
        "venue": record.journal,
        "arxiv": record.id,
        "doi": _doi(record.doi),
        "links": [{"label": "arXiv", "url": address, "type": "arxiv"}],
        "tags": [],
    }
    return _addition("papers", entry, catalogue, page=address, of="arXiv", day=day)


def from_pubmed(document: Document, catalogue: Catalogue, *, day: str) -> Addition:
    """A paper's draft from PubMed's record."""
    metadata = document.metadata
    pmid = str(metadata.get("pmid") or document.id)
    address = f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/"
    names = metadata.get("authors")
    authors = tuple(map(str, names)) if isinstance(names, list) else ()
    journal = metadata.get("journal")
    entry = {
        **_paper(document.title, document.text, authors, document_year(metadata)),
        "venue": journal if isinstance(journal, str) else None,
        "doi": _doi(metadata.get("doi")),
        "pmid": int(pmid),
        "links": [{"label": "PubMed", "url": address, "type": "pubmed"}],
        "tags": [],
    }
    return _addition("papers", entry, catalogue, page=address, of="PubMed", day=day)


def from_hub(
    what: Reference, answer: Mapping[str, Any], catalogue: Catalogue, *, day: str
) -> Addition:
    """A model's or data set's draft from the decoded JSON of the hub's API."""
    place = "datasets/" if what.dataset else ""
    address = f"https://huggingface.co/{place}{what.name}"
    organisation, _, name = what.name.partition("/")
    task = _text(answer.get("pipeline_tag"))
    created = _text(answer.get("createdAt"))[:4]
    gated = answer.get("gated")
    described = "data set" if what.dataset else "model"
    task_said = f", published for {task}" if task else ""
    entry: dict[str, Any] = {
        "name": name,
        "summary": f"A {described} by {organisation} on the model hub{task_said}. Say here in your"
        " own words what it is good for, and what it is not.",
        "year": int(created) if created.isdigit() and int(created) >= 1990 else None,
        "hub": [what.name],
        "licence": hub_licence(answer),
        "gated": None if gated is None else bool(gated),
        "links": [
            {"label": described, "url": address, "type": "dataset" if what.dataset else "model"}
        ],
        "tags": [],
    }
    if what.dataset:
        entry = {**entry, "use": "say what it is used for", "statuses": {"use": "unverified"}}
        return _addition("datasets", entry, catalogue, page=address, of="the model hub", day=day)
    entry["role"] = _ROLES.get(task, "encoder")
    entry["params"] = _parameters(answer)
    entry["base"] = _base(answer)
    entry["statuses"] = {"role": "unverified"}
    return _addition("models", entry, catalogue, page=address, of="the model hub", day=day)


def checked(
    text: bytes, path: Path, shipped: Path, overlays: Mapping[Path, bytes]
) -> list[Problem]:
    """Every problem of an overlay `text` that is to be kept at `path`, over the catalogue of the
    folder `shipped` and the other overlays; by the catalogue's own validation.

    Raises:
        CatalogueError, NotFoundError: the shipped catalogue itself is at fault.
    """
    from bioretrieval_tui.catalog.loader import Files, apply_overlays, parse, read_folder

    draft, content = parse(read_folder(shipped))
    others = {other: data for other, data in overlays.items() if other != path}
    # As the program reads them: in the order of their names, and those at fault left out.
    files = dict(sorted({**others, path: text}.items()))
    _, problems = apply_overlays(draft, content, Files(files))
    return [one for one in problems if Path(one.file) == path]


# Making of a draft ----------------------------------------------------------------------------


def _paper(title: str, abstract: str, authors: tuple[str, ...], year: int | None) -> dict[str, Any]:
    summary = _sentences(abstract) or "Say here in your own words what it found."
    return {
        "name": _short(title),
        "title": _line(title),
        "summary": summary,
        "year": year if year and 1990 <= year <= 2100 else None,
        "authors": [_line(name) for name in authors[:100]],
    }


def _addition(
    section: str, entry: dict[str, Any], catalogue: Catalogue, *, page: str, of: str, day: str
) -> Addition:
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
        "# Correct what is wrong, and write the summary in your own words. What stands here\n"
        "# becomes part of your catalogue; an empty file adds nothing.\n"
    )
    return Addition(identifier, section, head + body)


def _free_id(name: str, section: str, catalogue: Catalogue) -> str:
    words = re.findall(r"[a-z0-9]+", name.casefold())
    base = "-".join(words)[:50].strip("-") or section.removesuffix("s")
    tried = [base, f"{base}-{section.removesuffix('s')}"]
    tried += [f"{base}-{number}" for number in range(2, 1_000)]
    return next(one for one in tried if one not in catalogue.by_id)


def _short(title: str) -> str:
    """The name of a paper: what stands before a colon, or the beginning of its title."""
    head, colon, _ = _line(title).partition(":")
    if colon and 0 < len(head) <= _LONGEST_NAME:
        return head.strip()
    text = _line(title)
    if len(text) <= _LONGEST_NAME:
        return text
    return text[:_LONGEST_NAME].rpartition(" ")[0] or text[:_LONGEST_NAME]


def _sentences(text: str) -> str:
    """The first sentences of an abstract, as many as a summary may take."""
    text = _line(text)
    ends = [end for _, end in sentence_spans(text)]
    fitting = [end for end in ends if end <= _LONGEST_SUMMARY] or ends[:1]
    return text[: fitting[-1]] if fitting else ""


def _parameters(answer: Mapping[str, Any]) -> int | None:
    tensors = answer.get("safetensors")
    total = tensors.get("total") if isinstance(tensors, Mapping) else None
    return total if type(total) is int and 0 < total < 2**50 else None


def _base(answer: Mapping[str, Any]) -> str | None:
    card = answer.get("cardData")
    base = card.get("base_model") if isinstance(card, Mapping) else None
    if isinstance(base, list) and base:
        base = base[0]
    return _line(base)[:200] if isinstance(base, str) and base else None


def _doi(value: object) -> str | None:
    return value if isinstance(value, str) and _DOI.fullmatch(value) else None


def _text(value: object) -> str:
    return _line(value)[:80] if isinstance(value, str) else ""


def _line(text: str) -> str:
    """One clean line: the draft is opened in an editor, which is a terminal."""
    return " ".join(clean(text).split())


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return _line(value)
    if isinstance(value, dict):
        return {name: _printable(one) for name, one in value.items()}
    return [_printable(one) for one in value] if isinstance(value, list) else value
