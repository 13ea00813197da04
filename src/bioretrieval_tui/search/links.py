"""The page and the year of a document, from its metadata; nothing is guessed from a bare id.

A number is a PMID only where the corpus says so: SciFact's ids look just like PMIDs.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from bioretrieval_tui.documents.bibliography import document_year as document_year
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.index.manifest import IdKind

_PMID = re.compile(r"[1-9][0-9]{0,8}")
_PMC = re.compile(r"PMC[1-9][0-9]{0,8}", re.IGNORECASE)
_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_ARXIV = re.compile(
    r"(?:https?://arxiv\.org/abs/|arxiv:\s*)?(\d{4}\.\d{4,5}(?:v\d+)?|[a-z-]+/\d{7})",
    re.IGNORECASE,
)


def document_url(document: Document, ids: IdKind | None = None) -> str | None:
    """The page of a document, or None. `ids` says what the ids of its index are."""
    metadata = {str(key).lower(): value for key, value in document.metadata.items()}
    own = _web_address(metadata.get("url"))
    if own is not None:
        return own
    pmid = _matched(_PMID, metadata.get("pmid"))
    if pmid is None and ids == "pmid":
        pmid = _matched(_PMID, document.id)
    if pmid is not None:
        return f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/"
    for candidate in (metadata.get("pmcid"), metadata.get("pmc"), document.id):
        pmc = _matched(_PMC, candidate)
        if pmc is not None:
            return f"https://pmc.ncbi.nlm.nih.gov/articles/{pmc.upper()}/"
    doi = _matched(_DOI, metadata.get("doi"))
    if doi is not None:
        return f"https://doi.org/{quote(doi, safe='/:;()._-')}"
    arxiv = _matched(_ARXIV, metadata.get("arxiv") or metadata.get("arxiv_id"))
    return f"https://arxiv.org/abs/{arxiv}" if arxiv is not None else None


def _matched(pattern: re.Pattern[str], value: Any) -> str | None:
    """The last group (or all) of `pattern` where it fits the whole value."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    found = pattern.fullmatch(str(value).strip())
    return found.group(found.lastindex or 0) if found else None


def _web_address(value: Any) -> str | None:
    """`value` if it is an http or https address of printable ASCII without blanks."""
    if not isinstance(value, str) or not value.isascii() or len(value) > 2_000:
        return None
    if not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme in ("http", "https") and parts.hostname else None
