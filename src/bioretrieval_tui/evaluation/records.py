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
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from bioretrieval_tui import __version__
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError
from bioretrieval_tui.paths import file_errors, places, save_file

FORMAT = 1
GIVEN = "run"
"""The mode of a record whose ranking was made elsewhere; its model is the name of the run, its
revision the checksum of the file."""
_MOST_BYTES = 256 * 2**20
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
    catalogue: id of the catalogue's entry for this benchmark, where it is that one;
    docs_per_second: documents that the model encoded a second when the index was built, on
    encoded_on; None where nothing was encoded; run: the run file, of a ranking made elsewhere;
    folder: of the benchmark, None in records of earlier versions.
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
    docs_per_second: float | None = None
    encoded_on: str | None = None
    run: str | None = None
    folder: str | None = None

    @property
    def kind(self) -> tuple[object, ...]:
        """What runs share that repeat each other; BM25 is the same beside every model."""
        model = (self.model, self.revision, self.recipe_hash, self.reranker, self.instruction)
        ranked = () if self.mode == "lexical" else model
        return self.sha256, self.split, self.mode, self.keep_own, self.documents, *ranked


class _Versioned(msgspec.Struct):
    format: int


def record_id(benchmark: str, model: str, mode: str, unique: str) -> str:
    """A readable name for a record, ending in a digest of `unique`."""
    digest = hashlib.sha256(unique.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    short = model.rstrip("/").rpartition("/")[2]
    ranked = ("bm25",) if mode == "lexical" else (slug(short, 40), mode)
    parts = (slug(benchmark, 40), *ranked, digest)
    return "-".join(part for part in parts if part)


def slug(text: str, longest: int) -> str:
    """`text` in the characters allowed in names of files and indexes."""
    return re.sub(r"[^a-z0-9._]+", "-", text.casefold())[:longest].strip("-._")


def folder() -> Path:
    """The folder of the records; it may not exist yet."""
    return places().data / "evaluations"


def records(tell: Callable[[str], None] = lambda _: None) -> list[EvaluationRecord]:
    """All records, newest first, without unreadable ones, whose faults `tell` receives. Raises
    BioRetrievalError: the folder cannot be read."""
    found = []
    paths: list[Path] = []
    absent = contextlib.suppress(FileNotFoundError, NotADirectoryError)
    with file_errors(f"the evaluations in {folder()} cannot be read"), absent:
        # A name that begins with a dot is being written.
        paths = sorted(path for path in folder().iterdir() if path.match("[!.]*.json"))
    for path in paths:
        try:
            found.append(_read(path))
        except BioRetrievalError as error:
            tell(error.line())
    return sorted(found, key=lambda record: (record.date, record.id), reverse=True)


def by_kind(found: Iterable[EvaluationRecord]) -> list[list[EvaluationRecord]]:
    """The records in their order, with those that repeat each other together."""
    kinds: dict[object, list[EvaluationRecord]] = {}
    for record in found:
        kinds.setdefault(record.kind, []).append(record)
    return [*kinds.values()]


def save(record: EvaluationRecord) -> Path:
    """Write a record, replacing one of the same id; returns its path. Raises BioRetrievalError: it
    cannot be written; then nothing has changed."""
    data = msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
    save_file(path := _path(record.id), data, "the evaluation")
    return path


def remove(identifier: str) -> None:
    """Delete one record. Raises NotFoundError: there is none of this id; BioRetrievalError: it
    cannot be deleted."""
    with file_errors(f"the evaluation {identifier} cannot be deleted"):
        try:
            _path(identifier).unlink()
        except FileNotFoundError:
            raise _missing(identifier) from None


def find(name: str) -> EvaluationRecord:
    """The record of that id, or the one whose id begins with `name`: the newest, where several
    repeat each other. Raises NotFoundError: there is none, or there are several kinds."""
    begun = [record for record in records() if name and record.id.startswith(name)]
    begun = [record for record in begun if record.id == name] or begun
    if not begun:
        raise _missing(name)
    if len(by_kind(begun)) > 1:
        listed = ", ".join(record.id for record in begun[:_LISTED])
        raise NotFoundError(
            f"{len(begun)} evaluations begin with {name!r}", remedy=f"name one: {listed}"
        )
    return begun[0]


def folder_of(record: EvaluationRecord) -> Path:
    """The folder of its benchmark. Raises BioRetrievalError: it is not known or gone, or no
    benchmark."""
    from bioretrieval_tui.evaluation.benchmark import find_parts

    found = Path(record.folder or _folder_of_index(record))
    find_parts(found, record.split)
    return found


def _folder_of_index(record: EvaluationRecord) -> Path:
    """For records without a folder: that of the index, if it is still there."""
    from bioretrieval_tui.index.registry import manifest_of

    with contextlib.suppress(NotFoundError, IndexFault):
        for one in manifest_of(record.index).inputs:
            return Path(one.path).parent
    raise NotFoundError(f"the folder of {record.benchmark} is not known any more")


def _path(identifier: str) -> Path:
    if not _ID.fullmatch(identifier):
        raise _missing(identifier)
    return folder() / f"{identifier}.json"


def _read(path: Path) -> EvaluationRecord:
    try:
        with file_errors(f"the evaluation {path} cannot be read"):
            if path.stat().st_size > _MOST_BYTES:
                raise ValueError
            data = path.read_bytes()
        version = msgspec.json.decode(data, type=_Versioned).format
        if version != FORMAT:
            raise BioRetrievalError(
                f"the evaluation {path} has format {version}, this version reads {FORMAT}",
                remedy="it is skipped; use the version that wrote it",
            )
        record = msgspec.json.decode(data, type=EvaluationRecord)
        if record.id != path.stem or not _ID.fullmatch(record.id):
            raise ValueError
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise BioRetrievalError(
            f"the evaluation {path} is damaged", remedy="it is skipped; delete it, or restore it"
        ) from error
    return record


def _missing(identifier: str) -> NotFoundError:
    return NotFoundError(
        f"there is no evaluation {identifier!r}", remedy="see: bioretrieval-tui eval --list"
    )


def hardware(device: str) -> str:
    """The processor, its cores, and the device that encodes queries."""
    name = platform.processor() or platform.machine() or "an unknown processor"
    with contextlib.suppress(OSError):  # not Linux
        cpus = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
        found = re.search(r"^model name\s*:\s*(\S.*)$", cpus, re.MULTILINE)
        name = " ".join(found[1].split()) if found else name
    return f"{name}, {os.cpu_count() or 1} cores, queries on {device}"


def versions() -> dict[str, str]:
    """Versions by name: of this program, Python, and the libraries that rank and measure."""
    from importlib import metadata  # slow to import, and reading records needs none of it

    found = {"bioretrieval-tui": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
