"""The user's commands as they run: a shell for each row, and the output of all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.worker import Worker

from bioretrieval_tui.errors import BioRetrievalError, Problem, UsageError
from bioretrieval_tui.terminal.clean import clean

if TYPE_CHECKING:
    from bioretrieval_tui.config import CommandConfig, Configuration
    from bioretrieval_tui.tui.app import BioRetrievalApp

MOST_OUTPUT = 100_000
"""Bytes of output that are shown."""
_REST = 0.5
"""Seconds that output is awaited after the shell has ended: what it left running may hold it."""


class CommandSession:
    """Runs the commands of an app; those that run when it ends are ended."""

    def __init__(self, app: BioRetrievalApp) -> None:
        self._app = app

    def run(self, number: int) -> None:
        """Run a command for each marked row, one after the other, or for the row under the cursor.
        Raises UsageError: there is none, or one lacks a field; then nothing is run."""
        from bioretrieval_tui.render.row_records import record_of
        from bioretrieval_tui.render.user_commands import needs_row, prepared

        command, records = self._app.configuration.config.command[number], [dict[str, Any]()]
        if needs_row(command):
            rows = self._app.pane.chosen_rows()
            records = [record_of(row, self._app.catalogue) for row in rows]
        if not records:
            raise UsageError(f"There is no row for {command.label}")
        work = partial(self._run, command, [prepared(command, record) for record in records])
        _: Worker[None] = self._app.run_worker(work, group="user command")
        self._app.say(f"{command.label} runs{_for_rows(len(records))}")

    async def _run(self, command: CommandConfig, calls: list[tuple[str, dict[str, str]]]) -> None:
        found, failed = bytearray(), list[int]()
        for script, variables in calls:
            output, code = await _output(script, variables, MOST_OUTPUT - len(found))
            found += output
            failed += [code] if code else []
        found += b"\n(more is not shown)" if len(found) >= MOST_OUTPUT else b""
        text = clean(found.decode("utf-8", "replace"), newlines=True).strip("\n")
        ended = f"{command.label} is done{_for_rows(len(calls))}"
        code = failed[0] if failed else 0
        if failed:
            which = f" for {len(failed)} of {len(calls)} rows" if len(calls) > 1 else ""
            ended = f"{command.label}: exit code {code}{which}"
        if command.output == "background" or not text:
            last = text.rpartition("\n")[2]
            self._app.say(f"{ended}: {last}" if last else ended, "error" if code else "bar.strong")
            return
        while len(self._app.screen_stack) > 1 or self._app.line is not None:
            await asyncio.sleep(0.2)  # what is typed now is not for it
        self._app.desktop.show(command.label, text, ended if code else "")


def _for_rows(number: int) -> str:
    return f" for {number} rows" if number > 1 else ""


async def _output(script: str, variables: dict[str, str], most: int) -> tuple[bytes, int]:
    """The first bytes that a script writes, `most` of them, and its exit code. Raises
    BioRetrievalError."""
    shell = os.environ.get("SHELL", "")
    shell = shell if shell.startswith("/") and os.access(shell, os.X_OK) else "/bin/sh"
    reading, writing = os.pipe()
    loop, stream = asyncio.get_running_loop(), asyncio.StreamReader()
    protocol = partial(asyncio.StreamReaderProtocol, stream)
    pipe, _ = await loop.connect_read_pipe(protocol, os.fdopen(reading, "rb", buffering=0))
    found = bytearray()

    async def read() -> None:
        while part := await stream.read(65536):
            found.extend(part[: max(0, most - len(found))])

    collecting = asyncio.create_task(read())
    try:
        try:
            child = await asyncio.create_subprocess_exec(
                shell, "-c", script, env={**os.environ, **variables}, start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL, stdout=writing, stderr=writing,
            )  # fmt: skip
        except OSError as error:
            raise BioRetrievalError(f"{shell} does not start: {error.strerror}") from error
        finally:
            os.close(writing)
        try:
            code = await child.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
            await asyncio.wait({asyncio.ensure_future(child.wait())}, timeout=_REST)
            raise
        await asyncio.wait({collecting}, timeout=_REST)
    finally:
        collecting.cancel()
        pipe.close()
    return bytes(found), code


def faults_of_commands(found: Configuration) -> dict[int, Problem]:
    """What is wrong with the commands of the configuration, by their number."""
    if not found.config.command:
        return {}
    from bioretrieval_tui.render.user_commands import command_problems

    return command_problems(found)
