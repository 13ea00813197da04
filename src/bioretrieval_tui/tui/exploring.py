"""The app's end of exploring a benchmark: kept rankings, and the process that reads them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation import exploring
from bioretrieval_tui.evaluation.qrels import QueryRow, QueryView
from bioretrieval_tui.paths import Places, write_atomically
from bioretrieval_tui.tui.children import end, how_it_ended, spawn
from bioretrieval_tui.tui.evaluating import Answer, Ask

_FACTS = "evaluation.json"
_RUN = "run.trec"

_Reply = TypeVar("_Reply", bound=exploring.Reply)


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


class Explorer:
    """Talks to the exploring process, which starts with the first question."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[exploring.Reply]] = {}
        self._starting = asyncio.Lock()
        self._last_id = 0

    async def open(self, folder: Path, kept: Stored) -> list[QueryRow] | None:
        """All judged queries of the benchmark; None where what is kept is no longer of it.

        Raises:
            BioRetrievalError: the folder is no benchmark, or the process failed.
        """
        request = exploring.Open(
            self._next(), str(folder.absolute()), kept.answer.split, kept.answer.sha256,
            kept.answer.index, kept.runs,
        )  # fmt: skip
        found = await self._ask(request, exploring.Opened)
        return None if found.stale else found.queries

    async def view(self, query: str) -> QueryView:
        """One query with its documents. Raises BioRetrievalError where it cannot be had."""
        return (await self._ask(exploring.View(self._next(), query), exploring.Viewed)).view

    async def document(self, name: str) -> tuple[str, str] | None:
        """Title and text; None for one that the corpus does not have. Raises as `view`."""
        found = await self._ask(exploring.Fetch(self._next(), name), exploring.Fetched)
        return (found.title, found.text) if found.there else None

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        await end(process)
        if self._reading is not None:
            await self._reading

    def _next(self) -> int:
        self._last_id += 1
        return self._last_id

    async def _ask(self, request: exploring.Request, expected: type[_Reply]) -> _Reply:
        process = await self._start()
        answer: asyncio.Future[exploring.Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = answer
        try:
            if process.stdin is not None:
                process.stdin.write(msgspec.json.encode(request) + b"\n")
                with contextlib.suppress(ConnectionError):
                    # How it ended is said by whoever reads its replies.
                    await process.stdin.drain()
            reply = await answer
        finally:
            self._waiting.pop(request.id, None)
        if isinstance(reply, exploring.Refused):
            raise BioRetrievalError(reply.message, remedy=reply.remedy)
        if not isinstance(reply, expected):
            raise BioRetrievalError("the exploring process answered something else")
        return reply

    async def _start(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None:
                self._process = await spawn("bioretrieval_tui.evaluation.exploring", reading=True)
                self._reading = asyncio.create_task(self._read(self._process))
            return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand out replies until the process ends, then fail whatever still waits for one."""
        decoder = msgspec.json.Decoder(exploring.Reply)
        if process.stdout is not None:
            with contextlib.suppress(ConnectionError, ValueError):
                while line := await process.stdout.readline():
                    reply = decoder.decode(line)
                    waiting = self._waiting.get(reply.id)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(reply)
        await end(process)
        if self._process is process:
            self._process = None
        for waiting in list(self._waiting.values()):
            if not waiting.done():
                waiting.set_exception(
                    how_it_ended("the exploring process", process.returncode or 0)
                )
