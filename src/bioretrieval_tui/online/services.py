"""The services that are asked: where they are, how often they may be, and with which key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.settings import setting

CONTACT = "BIORETRIEVAL_CONTACT"
"""An address that services can write to; it goes into the user agent."""
OFFLINE = "BIORETRIEVAL_OFFLINE"


def forbidden() -> bool:
    """Whether the user allows no network at all."""
    return os.environ.get(OFFLINE, "") not in ("", "0")


@dataclass(frozen=True, slots=True)
class Service:
    """One service. name: as messages say it; base: an address without a slash at its end, that
    `BIORETRIEVAL_<ID>_URL` moves (a mirror, a test); per_second: requests that are allowed, with a
    key `keyed`; parameter and variable: where a key goes and where it comes from, or None."""

    id: str
    name: str
    base: str
    per_second: float
    keyed: float | None = None
    parameter: str | None = None
    variable: str | None = None

    @property
    def key(self) -> str | None:
        """The user's key, by the environment or the config file, or None."""
        found = setting(self.variable) if self.variable else None
        return None if found is None else found.value

    @property
    def rate(self) -> float:
        """Requests a second, as things are."""
        return self.keyed if self.keyed is not None and self.key else self.per_second

    def located(self) -> Service:
        """The service where the environment says that it is.

        Raises:
            BioRetrievalError: what it says is no address.
        """
        variable = f"BIORETRIEVAL_{self.id.upper()}_URL"
        moved = os.environ.get(variable, "").strip()
        if not moved:
            return self
        try:
            parts = urlsplit(moved)
            sound = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
            _ = parts.port
        except ValueError:
            sound = False
        if not sound:
            raise BioRetrievalError(
                f"{variable} is no address of a service",
                remedy="write it as https://HOST/PATH, or unset it",
            )
        return replace(self, base=moved.rstrip("/"))


SERVICES: Mapping[str, Service] = {
    service.id: service
    for service in (
        # https://www.ncbi.nlm.nih.gov/books/NBK25497/: three a second, ten with a key.
        Service(
            "ncbi",
            "PubMed",
            "https://eutils.ncbi.nlm.nih.gov/entrez/eutils",
            3.0,
            10.0,
            "api_key",
            "NCBI_API_KEY",
        ),
        Service("europepmc", "Europe PMC", "https://www.ebi.ac.uk/europepmc/webservices/rest", 5.0),
        # https://info.arxiv.org/help/api/tou.html: one request in three seconds.
        Service("arxiv", "arXiv", "https://export.arxiv.org/api", 1 / 3),
        # Files, each at most once: the archive of the PubMed baseline and that of BEIR.
        Service("baseline", "the PubMed archive", "https://ftp.ncbi.nlm.nih.gov/pubmed", 3.0),
        Service(
            "beir",
            "the BEIR archive",
            "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets",
            1.0,
        ),
        Service("hub", "the model hub", "https://huggingface.co", 5.0),
        Service("web", "the web", "", 5.0),
    )
}
