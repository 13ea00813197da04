"""Kept rankings of benchmarks, so that exploring one again need not rank it again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import Places, write_atomically
from bioretrieval_tui.tui.evaluating import Answer, Ask

_FACTS = "evaluation.json"
_RUN = "run.trec"


@dataclass(frozen=True, slots=True)
class Stored:
    """An evaluation whose rankings are kept: of which model and index, when, and the run files."""

    answer: Answer
    runs: dict[str, str]


def with_run(ask: Ask, where: Places) -> Ask:
    """`ask`, with its rankings kept in the cache folder under what was asked."""
    said = "\n".join(
        (str(ask.folder.absolute()), ask.split or "", ask.model or "", ask.reranker or "")
    )
    key = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return replace(ask, run_file=where.cache / "runs" / key / _RUN)


def stored(ask: Ask) -> Stored | None:
    """What is kept for `ask` (see `with_run`), if it has every mode that is asked for."""
    if ask.run_file is None:
        return None
    try:
        data = (ask.run_file.parent / _FACTS).read_bytes()
        answer = msgspec.json.decode(data, type=Answer)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    modes = [run.mode for run in answer.runs]
    if not set(ask.modes) <= set(modes):
        return None
    return Stored(answer, _run_files(ask.run_file, modes))


def prepare(ask: Ask) -> None:
    """Make the folder that the rankings go to.

    Raises:
        BioRetrievalError: it cannot be made.
    """
    if ask.run_file is None:
        return
    try:
        ask.run_file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BioRetrievalError(
            f"rankings cannot be kept in {ask.run_file.parent}: {error.strerror}"
        ) from error


def keep(ask: Ask, answer: Answer) -> Stored:
    """Write down what the rankings of a finished evaluation are of.

    Raises:
        BioRetrievalError: it cannot be written.
    """
    if ask.run_file is None:
        raise BioRetrievalError("the rankings of this evaluation were not kept")
    try:
        write_atomically(ask.run_file.parent / _FACTS, msgspec.json.encode(answer))
    except OSError as error:
        raise BioRetrievalError(f"the rankings cannot be kept: {error.strerror}") from error
    return Stored(answer, _run_files(ask.run_file, [run.mode for run in answer.runs]))


def _run_files(path: Path, modes: list[str]) -> dict[str, str]:
    # As `eval --run` names them.
    if len(modes) == 1:
        return {modes[0]: str(path)}
    return {mode: str(path.with_name(f"{path.stem}.{mode}{path.suffix}")) for mode in modes}
