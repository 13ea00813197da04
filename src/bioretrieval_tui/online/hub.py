"""The model hub: what its API says of a model or data set; nothing of it is trusted.

A field that is missing or of another type counts as not stated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.services import OnlineError, unexpected

if TYPE_CHECKING:
    from bioretrieval_tui.online.http import HttpClient

_NAME = "the model hub"
_MOST_BYTES = 8 * 2**20
_GONE = frozenset({401, 404, 410})
"""The hub responds with 401 for what is private or never existed, if one is not signed in."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST_LICENCE = 80


def repository(
    client: HttpClient,
    kind: Literal["model", "dataset"],
    name: str,
    *,
    etag: str | None = None,
) -> tuple[dict[str, Any] | None, str | None]:
    """Ask the hub for a repository; returns the JSON of its API (empty if nothing changed since
    `etag`, which is of an earlier response; None if it does not exist) and the new ETag.

    Raises:
        OnlineError: the hub fails, or something else responds in its place.
    """
    from bioretrieval_tui.online.http import etag_of

    if hub_name(name) is None:
        raise BioRetrievalError(f"'{name}' cannot be a name on {_NAME}")
    response = client.get(
        "hub", f"api/{kind}s/{name}", etag=etag, most_bytes=_MOST_BYTES, check=False
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
            f"{_NAME} responded with status {response.status_code} for {name}",
            remedy="try again later",
        )
    if card is None:
        raise OnlineError(
            f"{_NAME} did not respond with JSON for {name}",
            remedy="try again later; a proxy or a login page may have responded in its place",
        )
    if not isinstance(card, dict) or not isinstance(card.get("id"), str):
        raise unexpected(_NAME, f"no description of {name}")
    return card, etag_of(response)


def hub_name(text: str) -> str | None:
    """`text` if it is ORG/NAME as the hub allows it, else None."""
    return text if _HUB_NAME.fullmatch(text) and ".." not in text else None


def hub_facts(card: Mapping[str, Any]) -> dict[str, str | int | bool | None]:
    """The facts of a repository by name; None where the card does not state one."""
    changed, gated = card.get("lastModified"), card.get("gated")
    day = _DAY.match(changed) if isinstance(changed, str) else None
    if not isinstance(gated, bool):  # the hub writes false, or how access is granted
        gated = True if gated in ("auto", "manual") else None
    counts = {name: card.get(name) for name in ("downloads", "likes")}
    return {
        **{
            name: one if type(one) is int and 0 <= one < 2**53 else None
            for name, one in counts.items()
        },
        "changed": day and day[0],
        "gated": gated,
        "licence": hub_licence(card),
    }


def hub_licence(card: Mapping[str, Any]) -> str | None:
    """The licence of a repository: by its card's metadata, else by its tags."""
    data, tags = card.get("cardData"), card.get("tags")
    stated = (
        [data.get(name) for name in ("license_name", "license")]
        if isinstance(data, Mapping)
        else []
    )
    stated = [one[0] if isinstance(one, list) and one else one for one in stated]
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith("license:"):
            stated.append(tag.removeprefix("license:"))
    words = (
        " ".join(one[: 4 * _LONGEST_LICENCE].split()) for one in stated if isinstance(one, str)
    )
    return next((one[:_LONGEST_LICENCE] for one in words if one), None)
