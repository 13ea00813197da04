"""The public board: the biomedical scores of mteb's results, and what mteb declares of models.

`scripts/board.py` writes `data/board.jsonl`: a header, a line a model, a line a score, the scores
of a task together. The file is read where scores beyond the curated ones are wanted, whole or for
some tasks. Its checksum is compared first, so that a file that was cut or edited is named with its
line and never shows a wrong number; the curated catalogue works without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from bioretrieval_tui.catalog.models import SIGNED, Count, Day, ScoreKind
from bioretrieval_tui.errors import CatalogueError, Problem

FORMAT = 1
FILE = "board.jsonl"
KINDS: tuple[ScoreKind, ...] = ("run", "no-revision", "self-reported")
"""Meaning of `BoardScore.kind`, best first."""
_SPLITS = ("test", "all", "standard", "dev")
"""Splits that a task's score is of, where it has several; the first that it has."""
_REMEDY = "reinstall bioretrieval-tui, or run: make board"


class Origin(Struct, frozen=True, kw_only=True):
    """A public repository, and the commit that was read."""

    repository: str
    commit: str
    licence: str


class BoardHeader(Struct, frozen=True, kw_only=True):
    """First line of the file. models, scores: lines that follow; revisions, dataset_revisions:
    tables that scores refer to; sha256: of all bytes behind the first line."""

    format: int
    results: Origin
    mteb: Origin
    models: int
    scores: int
    revisions: tuple[str, ...]
    dataset_revisions: tuple[str, ...]
    sha256: str


class DeclaredModel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What mteb declares of a model; None and () are not declared.

    params: of the whole model, embeddings included; memory: of the weights, in megabytes;
    languages: ISO 639 codes; trained_on: tasks of the board whose training data it saw, which means
    something only where `training_declared`.
    """

    name: str
    revision: str | None = None
    params: Count | None = None
    embedding_params: Count | None = None
    dimension: Count | None = None
    max_tokens: Count | None = None
    licence: str | None = None
    released: Day | None = None
    languages: tuple[str, ...] = ()
    type: Literal["bi-encoder", "late-interaction", "sparse", "cross-encoder"] | None = None
    similarity: Literal["cosine", "dot", "max-sim"] | None = None
    memory: Count | None = None
    open_weights: bool | None = None
    instructed: bool | None = None
    training_data: str | None = None
    training_code: str | None = None
    base: str | None = None
    superseded_by: str | None = None
    trained_on: tuple[str, ...] = ()
    training_declared: bool = False


class BoardScore(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One score. model, kind, revision, dataset_revision: places in the tables; others: further
    published values of this model, task, split and subset; path: "" for the usual one."""

    task: str
    subset: str
    split: str
    model: Count
    value: Annotated[float, Meta(ge=-1, le=1)]
    metric: str
    kind: Annotated[int, Meta(ge=0, le=2)]
    revision: Count
    zero_shot: bool | None
    others: Count
    dataset_revision: Count
    path: str = ""


class Board(Struct, frozen=True):
    """The board, or the part of it that was asked for: then `scores` are those of some tasks."""

    header: BoardHeader
    models: tuple[DeclaredModel, ...]
    scores: tuple[BoardScore, ...]

    def path(self, score: BoardScore) -> str:
        """The file of the results repository that holds a score."""
        folder = {1: "no_revision_available", 2: "external"}.get(
            score.kind, self.header.revisions[score.revision]
        )
        name = self.models[score.model].name.replace("/", "__").replace(" ", "_")
        return score.path or f"results/{name}/{folder}/{score.task}.json"


_HEADER = msgspec.json.Decoder(BoardHeader)
_MODEL = msgspec.json.Decoder(DeclaredModel)
_SCORE = msgspec.json.Decoder(BoardScore)
_SCORES = msgspec.json.Decoder(tuple[BoardScore, ...])
_MODELS = msgspec.json.Decoder(tuple[DeclaredModel, ...])


def load_board(folder: Path, tasks: Collection[str] | None = None) -> Board:
    """Read the board of a data folder; tasks: only the scores of these (all models are read).
    Raises CatalogueError: the file is missing, cut, edited, or of a newer format."""
    path = folder / FILE
    try:
        head, _, body = path.read_bytes().partition(b"\n")
    except OSError as error:
        message = f"the board cannot be read: {error.strerror}; {_REMEDY}"
        raise CatalogueError([Problem(path, message)]) from error
    try:
        header = _HEADER.decode(head)
    except (ValueError, RecursionError) as error:
        raise _fault(path, 1, _newer(head) or f"is no header of the board: {error}") from error
    if header.format != FORMAT:
        raise _fault(path, 1, _newer(head) or f"has the unknown format {header.format}")
    if hashlib.sha256(body).hexdigest() != header.sha256:
        raise _damage(path, header, body)
    try:
        models, rest = _split(body, header.models)
        if tasks is not None:
            rest = b"\n".join(_of_task(rest, task) for task in sorted(tasks))
        board = Board(header, _MODELS.decode(_array(models)), _SCORES.decode(_array(rest)))
        if any(one.model >= header.models for one in board.scores):
            raise ValueError
        return board
    except ValueError as error:  # written with a checksum, but not by our generator
        raise _damage(path, header, body) from error


def main_split(splits: Collection[str]) -> str:
    """The split whose scores are those of the task; ties go to the first in the alphabet."""
    return next((one for one in _SPLITS if one in splits), min(splits))


def _array(lines: bytes) -> bytes:
    """JSON Lines as one JSON array, which decodes faster."""
    return b"[" + b",".join(line for line in lines.split(b"\n") if line) + b"]"


def _split(body: bytes, count: int) -> tuple[bytes, bytes]:
    """The first lines of a text, and the others."""
    end = 0
    for _ in range(count):
        end = body.index(b"\n", end) + 1
    return body[:end], body[end:]


def _of_task(scores: bytes, task: str) -> bytes:
    """The lines of one task, which stand together."""
    begin = b"[" + msgspec.json.encode(task) + b","
    first = 0 if scores.startswith(begin) else scores.find(b"\n" + begin) + 1
    if not scores.startswith(begin, first):
        return b""
    return scores[first : scores.index(b"\n", scores.rindex(begin))]


def _newer(head: bytes) -> str | None:
    """What to say of a header of another format."""
    try:
        found = msgspec.json.decode(head)["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    newer = isinstance(found, int) and found > FORMAT
    return f"has format {found}, and this program reads {FORMAT}: update it" if newer else None


def _damage(path: Path, header: BoardHeader, body: bytes) -> CatalogueError:
    """What is wrong with lines whose checksum differs: the first that cannot be read, a number of
    lines that is not the header's, or a change that only the checksum shows."""
    lines = body.split(b"\n")
    cut = lines.pop() != b""  # the end of the last whole line
    for number, line in enumerate(lines, 2):
        try:
            if number - 2 < header.models:
                _MODEL.decode(line)
                continue
            score = _SCORE.decode(line)
        except ValueError as error:
            return _fault(path, number, f"cannot be read: {error}")
        if score.value < 0 and score.metric not in SIGNED:
            return _fault(path, number, f"the score {score.value} is out of range ({score.metric})")
    if cut or len(lines) != header.models + header.scores:
        many = f"{len(lines)} of {header.models + header.scores}"
        return _fault(path, len(lines) + 1, f"the file ends here, after {many} lines")
    return _fault(path, 1, "the lines below were edited: their checksum is not the header's")


def _fault(path: Path, line: int, message: str) -> CatalogueError:
    return CatalogueError([Problem(path, f"{message}; {_REMEDY}", line)])
