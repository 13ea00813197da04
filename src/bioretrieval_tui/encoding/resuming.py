"""One large file of the hub, continued where an earlier attempt ended.

The hub's library throws away what it has of a file when the connection breaks for good, and
weights have gigabytes. So their bytes are gathered here beside their place in the hub cache, and
the library finds them there, complete and checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from bioretrieval_tui.errors import ModelError

LARGE = 8 * 2**20
"""Bytes from which on a file is worth continuing."""
_PART = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def gather(model: str, name: str, revision: str, told: Callable[[int], None]) -> None:
    """Have the file `name` of a model's `revision` in the hub cache, by its content.

    told: hears how many more bytes there are, those of an earlier attempt first; what it raises
    stops the work, and what has come is kept. Files that the hub does not name by their SHA-256
    are left to its library.

    Raises:
        ModelError: what came is not what the hub announced. Whatever the hub's library raises.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name

    url = hf_hub_url(model, name, revision=revision)
    facts = get_hf_file_metadata(url)
    if facts.etag is None or not _SHA256.fullmatch(facts.etag):
        return
    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model, repo_type="model")
    place = blobs / "blobs" / facts.etag
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{facts.etag}.bioretrieval.part")
    with FileLock(part.with_suffix(".lock")):
        if not place.exists():
            _continue(facts.location, url, part, told)
            _check(model, name, part, facts.etag)
            part.replace(place)
    with contextlib.suppress(OSError):
        part.with_suffix(".lock").unlink()


def _continue(location: str, url: str, part: Path, told: Callable[[int], None]) -> None:
    """Append to `part` what it lacks of the file at `location`, where `url` leads."""
    from huggingface_hub import get_session, hf_raise_for_status
    from huggingface_hub.utils._headers import build_hf_headers

    headers = build_hf_headers()
    if urlsplit(location).netloc != urlsplit(url).netloc:
        # The token is for the hub, not for whoever keeps its files.
        headers.pop("authorization", None)
    have = part.stat().st_size if part.exists() else 0
    if have:
        headers["Range"] = f"bytes={have}-"
    with get_session().stream(
        "GET", location, headers=headers, follow_redirects=True, timeout=60
    ) as answer:
        if answer.status_code == 416:
            # There is nothing behind what we have: it is complete, or it is not this file.
            told(have)
            return
        hf_raise_for_status(answer)
        if answer.status_code != 206:
            have = 0
        told(have)
        with part.open("r+b" if have else "wb") as out:
            out.seek(have)
            for data in answer.iter_bytes(_PART):
                out.write(data)
                told(len(data))


def _check(model: str, name: str, part: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with part.open("rb") as stream:
        while data := stream.read(_PART):
            digest.update(data)
    if digest.hexdigest() != expected:
        part.unlink()
        raise ModelError(
            f"{model}: {name} came damaged (its SHA-256 is not the hub's)",
            remedy="fetch it again",
        )
