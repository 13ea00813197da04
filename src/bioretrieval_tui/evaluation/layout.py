"""Where the parts of a BEIR folder lie. Nothing is read here but folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.errors import BioRetrievalError, NotFoundError

DEFAULT_SPLIT = "test"
_SHAPE = "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, packed or not"
_PACKED = ".gz"
_TABLE = ".tsv"


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of one benchmark and one of its splits; `splits` are all that are there."""

    folder: Path
    corpus: Path
    queries: Path
    qrels: Path
    split: str
    splits: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the folder is called."""
        return self.folder.absolute().name or "benchmark"


def find_parts(folder: Path, split: str | None = None) -> Parts:
    """The files of the benchmark in `folder`.

    split: None means `test`, or the only one that is there.

    Raises:
        NotFoundError: there is no such folder, a file of it is missing, or there is no such split
            (those that are there are named). BioRetrievalError: the folder cannot be read.
    """
    try:
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "is not there"
            raise NotFoundError(f"the benchmark {folder} {what}", remedy=_SHAPE)
        corpus, queries = _one(folder, "corpus.jsonl"), _one(folder, "queries.jsonl")
        found = _splits(folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BioRetrievalError(f"the benchmark {folder} cannot be read: {reason}") from error
    if not found:
        raise NotFoundError(f"{folder} has no judgements: no qrels/*.tsv", remedy=_SHAPE)
    wanted = split or DEFAULT_SPLIT
    if split is None and wanted not in found and len(found) == 1:
        wanted = next(iter(found))
    if wanted not in found:
        raise NotFoundError(
            f"{folder} has no split {wanted}", remedy=f"its splits: {', '.join(sorted(found))}"
        )
    return Parts(folder, corpus, queries, found[wanted], wanted, tuple(sorted(found)))


def _one(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}{_PACKED}"):
        if path.is_file():
            return path
    raise NotFoundError(f"{folder} is no benchmark: it has no {name}", remedy=_SHAPE)


def _splits(folder: Path) -> dict[str, Path]:
    qrels = folder / "qrels"
    found: dict[str, Path] = {}
    for path in sorted(qrels.iterdir()) if qrels.is_dir() else ():
        name = path.name.removesuffix(_PACKED)
        # A plain file stands above a packed one of the same name, as with the other two.
        if name.endswith(_TABLE) and not name.startswith(".") and path.is_file():
            found.setdefault(name.removesuffix(_TABLE), path)
    return found
