"""Records of the user's evaluations: a file each in the user's data folder.

A record describes a run exactly enough to compare it with another. Neither numpy nor ir-measures is
imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import msgspec

from bioretrieval_tui import __version__
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError
from bioretrieval_tui.paths import places, write_atomically

FORMAT = 1
_MOST_BYTES = 256 * 2**20
_SUFFIX = ".json"
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,119}")
_LISTED = 3
_LIBRARIES = ("ir-measures", "pytrec-eval-terrier", "numpy", "hnswlib", "openvino", "torch")


class EvaluationRecord(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One mode of one evaluation.

    id: the file's name; sha256: of the benchmark's corpus, queries and judgements; documents: ids
    in the corpus; depth: documents per query; metrics: means by ir-measures' names; per_query:
    nDCG@10 by query id; latency_ms: p50 and p95 per query, warm; instruction: put before each
    query, None for the recipe's own; keep_own: whether a query's own document was ranked; hardware:
    the machine, and the device of queries; versions: of the software; date: ISO 8601, UTC;
    catalogue: id of the catalogue's entry for this benchmark, where it is that one.
    """

    format: int
    id: str
    date: str
    benchmark: str
    split: str
    sha256: str
    model: str
    revision: str
    recipe_hash: str
    mode: str
    index: str
    queries: int
    documents: int
    depth: int
    metrics: dict[str, float]
    latency_ms: dict[str, float]
    per_query: dict[str, float]
    hardware: str
    versions: dict[str, str]
    instruction: str | None = None
    keep_own: bool = False
    reranker: str | None = None
    catalogue: str | None = None


class _Versioned(msgspec.Struct):
    format: int


def record_id(benchmark: str, model: str, mode: str, unique: str) -> str:
    """A readable name for a record, ending in a digest of `unique`."""
    digest = hashlib.sha256(unique.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    short = model.rstrip("/").rpartition("/")[2]
    parts = (slug(benchmark, 40), slug(short, 40), mode, digest)
    return "-".join(part for part in parts if part)


def record_now() -> str:
    """The date of a record: ISO 8601, UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def slug(text: str, longest: int) -> str:
    """`text` in the characters allowed in names of files and indexes."""
    return re.sub(r"[^a-z0-9._]+", "-", text.casefold())[:longest].strip("-._")


def folder() -> Path:
    """The folder of the records; it may not exist yet."""
    return places().data / "evaluations"


def records(tell: Callable[[str], None] | None = None) -> list[EvaluationRecord]:
    """All records, newest first, without unreadable ones, whose faults `tell` receives.

    Raises:
        BioRetrievalError: the folder cannot be read.
    """
    try:
        # A name that begins with a dot is being written.
        paths = [path for path in folder().iterdir() if path.match("[!.]*.json")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BioRetrievalError(
            f"the evaluations in {folder()} cannot be read: {error.strerror}"
        ) from error
    found = []
    for path in sorted(paths):
        try:
            found.append(_read(path))
        except BioRetrievalError as error:
            if tell is not None:
                tell(error.line())
    return sorted(found, key=lambda record: (record.date, record.id), reverse=True)


def save(record: EvaluationRecord) -> Path:
    """Write a record, replacing one of the same id; returns its path.

    Raises:
        BioRetrievalError: it cannot be written; then nothing has changed.
    """
    path = _path(record.id)
    try:
        write_atomically(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    except OSError as error:
        raise BioRetrievalError(
            f"the evaluation cannot be kept in {path.parent}: {error.strerror or error}"
        ) from error
    return path


def remove(identifier: str) -> None:
    """Delete one record.

    Raises:
        NotFoundError: there is none of this id. BioRetrievalError: it cannot be deleted.
    """
    try:
        _path(identifier).unlink()
    except FileNotFoundError:
        raise _missing(identifier) from None
    except OSError as error:
        raise BioRetrievalError(
            f"the evaluation {identifier} cannot be deleted: {error.strerror}"
        ) from error


def find(name: str, among: list[EvaluationRecord] | None = None) -> EvaluationRecord:
    """The record of that id, or the only one whose id begins with `name`.

    Raises:
        NotFoundError: there is none, or there are several.
    """
    known = records() if among is None else among
    exact = [record for record in known if record.id == name]
    begun = exact or [record for record in known if name and record.id.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    if not begun:
        raise _missing(name)
    listed = ", ".join(record.id for record in begun[:_LISTED])
    raise NotFoundError(
        f"{len(begun)} evaluations begin with {name!r}", remedy=f"name one: {listed}"
    )


def _path(identifier: str) -> Path:
    if not _ID.fullmatch(identifier):
        raise _missing(identifier)
    return folder() / f"{identifier}{_SUFFIX}"


def _read(path: Path) -> EvaluationRecord:
    damaged = BioRetrievalError(
        f"the evaluation {path} is damaged", remedy="it is skipped; delete it, or restore it"
    )
    try:
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BioRetrievalError(
            f"the evaluation {path} cannot be read: {error.strerror}"
        ) from error
    if len(data) > _MOST_BYTES:
        raise damaged
    try:
        version = msgspec.json.decode(data, type=_Versioned).format
        if version != FORMAT:
            raise BioRetrievalError(
                f"the evaluation {path} has format {version}, this version reads {FORMAT}",
                remedy="it is skipped; use the version that wrote it",
            )
        record = msgspec.json.decode(data, type=EvaluationRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise damaged from error
    if f"{record.id}{_SUFFIX}" != path.name or not _ID.fullmatch(record.id):
        raise damaged
    return record


def _missing(identifier: str) -> NotFoundError:
    return NotFoundError(
        f"there is no evaluation {identifier!r}", remedy="see: bioretrieval-tui eval --list"
    )


def hardware(device: str) -> str:
    """The processor, its cores, and the device that encodes queries."""
    name = platform.processor() or platform.machine() or "an unknown processor"
    with (
        contextlib.suppress(OSError),  # not Linux
        Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as lines,
    ):
        line = next((line for line in lines if line.startswith("model name")), "")
        name = " ".join(line.partition(":")[2].split()) or name
    return f"{name}, {os.cpu_count() or 1} cores, queries on {device}"


def versions() -> dict[str, str]:
    """Versions by name: of this program, Python, and the libraries that rank and measure."""
    found = {"bioretrieval-tui": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
