"""The services: where they are, their rate limits, keys and contact, and their errors.

API keys and the contact address come from the configuration (`config.py`). They are used by the
HTTP client alone and shown masked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bioretrieval_tui.config import configuration
from bioretrieval_tui.errors import BioRetrievalError

CONTACT = "BIORETRIEVAL_CONTACT"
"""An address that services can write to; it becomes part of the user agent."""
_KEYS = {"NCBI_API_KEY": "online.ncbi_api_key", CONTACT: "online.contact"}
"""Environment variable -> key in the configuration."""
TRANSIENT = frozenset({429, 500, 502, 503, 504})
"""Statuses after which a request is retried."""
_URL = re.compile(
    r"https?://([^\s/?#@]+@)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[^\s?#]*)?", re.ASCII
)
# Values go into headers and forms as they are.
_VALUE = re.compile(r"[\x21-\x7e]{1,200}")


def is_offline() -> bool:
    """Whether the user forbids the network."""
    return configuration().config.offline


@dataclass(frozen=True, slots=True)
class Service:
    """One service.

    name: for messages; base: URL without a trailing slash, which `BIORETRIEVAL_<ID>_URL` replaces
    (a mirror, a test); per_second: requests allowed, with a key `keyed`; parameter, variable: the
    form field of a key and the environment variable that holds it, or None.
    """

    id: str
    name: str
    base: str
    per_second: float
    keyed: float | None = None
    parameter: str | None = None
    variable: str | None = None

    @property
    def key(self) -> str | None:
        found = network_setting(self.variable) if self.variable else None
        return found and found[0]

    @property
    def rate(self) -> float:
        return self.keyed if self.keyed is not None and self.key else self.per_second

    def located(self) -> Service:
        """The service at the URL that the environment gives, if any. Raises BioRetrievalError if
        that is no URL."""
        variable = f"BIORETRIEVAL_{self.id.upper()}_URL"
        moved = os.environ.get(variable, "").strip()
        if moved and not _URL.fullmatch(moved):
            raise BioRetrievalError(
                f"{variable} is not the URL of a service",
                remedy="write it as https://HOST/PATH, or unset it",
            )
        return replace(self, base=moved.rstrip("/")) if moved else self


_BEIR = "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets"
_EUTILS = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils"
_MEDCPT = "https://ftp.ncbi.nlm.nih.gov/pub/lu/MedCPT/pubmed_embeddings"
_MESH = "https://nlmpubs.nlm.nih.gov/projects/mesh/MESH_FILES/xmlmesh"
SERVICES: Mapping[str, Service] = {
    service.id: service
    for service in (
        # https://www.ncbi.nlm.nih.gov/books/NBK25497/: three a second, ten with a key.
        Service("ncbi", "PubMed", _EUTILS, 3.0, 10.0, "api_key", "NCBI_API_KEY"),
        Service("europepmc", "Europe PMC", "https://www.ebi.ac.uk/europepmc/webservices/rest", 5.0),
        # https://info.arxiv.org/help/api/tou.html: one request every three seconds.
        Service("arxiv", "arXiv", "https://export.arxiv.org/api", 1 / 3),
        # Files, each at most once: the PubMed baseline, MedCPT's vectors, BEIR, headings of MeSH.
        Service("baseline", "the PubMed archive", "https://ftp.ncbi.nlm.nih.gov/pubmed", 3.0),
        Service("medcpt", "the MedCPT archive", _MEDCPT, 3.0),
        Service("beir", "the BEIR archive", _BEIR, 1.0),
        Service("mesh", "NLM's MeSH files", _MESH, 1.0),
        Service("hub", "the model hub", "https://huggingface.co", 5.0),
        Service("web", "the web", "", 5.0),
    )
}


def network_setting(variable: str) -> tuple[str, str] | None:
    """Look up what the environment calls `variable` in the configuration; returns its value and its
    origin (the name of the variable, or file and line), None if it is not set. Raises
    BioRetrievalError if the file is at fault there, or the value cannot be sent."""
    found, key = configuration(), _KEYS.get(variable, "")
    value: str = found.value(key) if key else os.environ.get(variable, "").strip()
    origin = found.origins.get(key, "") if key else variable
    if origin != variable:
        for problem in found.problems:
            if problem.file == found.path and problem.field in (None, key, "online"):
                raise BioRetrievalError(str(problem), remedy="correct it")
    if not value:
        return None
    if not _VALUE.fullmatch(value):
        name = variable if origin == variable else f"{origin}: {key}"
        raise BioRetrievalError(
            f"{name} is not a text of 1 to 200 ASCII characters without spaces",
            remedy="correct it, or remove it",
        )
    return value, origin


def masked(value: str) -> str:
    """Mask a key for display: its last two characters remain if it is long enough."""
    return "*" * 8 + (value[-2:] if len(value) >= 16 else "")


class OnlineError(BioRetrievalError):
    """A service cannot be reached, refuses, or gives an unexpected response. status: of the
    response, where that is the reason; wait: seconds after which it may be asked again; broken: the
    response ended early, and requesting the rest may bring it; missing: the address leads nowhere.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        status: int | None = None,
        wait: float = 0.0,
        broken: bool = False,
        missing: bool = False,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.wait = wait
        self.broken = broken
        self.missing = missing


class OfflineError(OnlineError):
    """The user forbids the network."""


def unexpected(name: str, what: str) -> OnlineError:
    """The error of a service called `name` whose response has an unknown form; `what` says how."""
    return OnlineError(
        f"{name} sent an unexpected response: {what}",
        remedy="try again later; if it persists, see whether a newer version of this program"
        " exists",
    )


def no_json(name: str) -> OnlineError:
    """The error of a service called `name` that responded with anything but JSON."""
    return OnlineError(
        f"{name} did not respond with JSON",
        remedy="a proxy or a login page may have responded in its place; try again later",
    )


def refused(service: Service, status: int, *, wait: float = 0.0) -> OnlineError:
    """The error of a response with a status of 400 or above; wait: as of OnlineError."""
    said, remedy = "responded", "check the address or the query"
    if service.key and status in (400, 401, 403):
        said = "refuses"
        remedy = f"check the key in {service.variable} or config.toml, and the query"
    elif status in TRANSIENT:
        remedy = "try again later"
        if status == 429 and service.variable and not service.key:
            remedy += f", or get a key for {service.variable}"
    message = f"{service.name} {said} with status {status}"
    return OnlineError(message, remedy=remedy, status=status, wait=wait)
