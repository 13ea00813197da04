"""The model hub: what its API says of a model or data set; nothing of it is trusted.

A field that is missing or of another type counts as not stated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.services import OnlineError, unexpected

if TYPE_CHECKING:
    from bioretrieval_tui.online.http import HttpClient

SERVICE = "hub"
NAME = "the model hub"
_MOST_BYTES = 8 * 2**20
_GONE = frozenset({401, 404, 410})
"""The hub responds with 401 for what is private or never existed, if one is not signed in."""
_UNCHANGED = 304
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST_LICENCE = 80

RepositoryKind = Literal["model", "dataset"]


@dataclass(frozen=True, slots=True)
class Repository:
    """What the hub says of one repository: `card` is the JSON of its API, empty unless `found`;
    etag: for the next request, or None."""

    state: Literal["found", "unchanged", "gone"]
    card: Mapping[str, Any]
    etag: str | None = None


def repository(
    client: HttpClient, kind: RepositoryKind, name: str, *, etag: str | None = None
) -> Repository:
    """Ask the hub for a repository; etag: of an earlier response.

    Raises:
        OnlineError: the hub fails, or something else responds in its place.
    """
    from bioretrieval_tui.online.http import etag_of

    if hub_name(name) is None:
        raise BioRetrievalError(f"'{name}' cannot be a name on {NAME}")
    response = client.get(
        SERVICE, f"api/{kind}s/{name}", etag=etag, most_bytes=_MOST_BYTES, check=False
    )
    if etag and response.status_code == _UNCHANGED:
        return Repository("unchanged", {}, etag)
    try:
        card = json.loads(response.content)
    except (ValueError, RecursionError):
        card = None
    # Only the hub itself says in JSON that a repository is gone; a login page does not.
    if response.status_code in _GONE and isinstance(card, dict):
        return Repository("gone", {})
    if response.status_code != 200:
        raise OnlineError(
            f"{NAME} responded with status {response.status_code} for {name}",
            remedy="try again later",
        )
    if card is None:
        raise OnlineError(
            f"{NAME} did not respond with JSON for {name}",
            remedy="try again later; a proxy or a login page may have responded in its place",
        )
    if not isinstance(card, dict):
        raise unexpected(NAME, f"no description of {name}")
    return Repository("found", card, etag_of(response))


def hub_name(text: str) -> str | None:
    """`text` if it is ORG/NAME as the hub allows it, else None."""
    return text if _NAME.fullmatch(text) and ".." not in text else None


def hub_facts(card: Mapping[str, Any]) -> dict[str, str | int | bool | None]:
    """The facts of a repository by name; None where the card does not state one."""
    changed = card.get("lastModified")
    day = _DAY.match(changed) if isinstance(changed, str) else None
    gated = card.get("gated")
    if not isinstance(gated, bool):  # the hub writes false, or how access is granted
        gated = True if gated in ("auto", "manual") else None
    return {
        "downloads": _number(card.get("downloads")),
        "likes": _number(card.get("likes")),
        "changed": day[0] if day else None,
        "gated": gated,
        "licence": hub_licence(card),
    }


def hub_licence(card: Mapping[str, Any]) -> str | None:
    """The licence of a repository: by its card's metadata, else by its tags."""
    data = card.get("cardData")
    if isinstance(data, Mapping):
        for field in ("license_name", "license"):
            value = data.get(field)
            if isinstance(value, list) and value:
                value = value[0]
            if isinstance(value, str) and value.strip():
                return _line(value)
    tags = card.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith("license:"):
            return _line(tag.removeprefix("license:"))
    return None


def _line(text: str) -> str:
    return " ".join(text[: 4 * _LONGEST_LICENCE].split())[:_LONGEST_LICENCE]


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None
