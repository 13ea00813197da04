"""The user's commands as they run: a shell for a row, and its output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from functools import partial
from typing import TYPE_CHECKING

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
        """Run a command for the row under the cursor. Raises UsageError: there is none, or it lacks
        a field."""
        from bioretrieval_tui.render.row_records import record_of
        from bioretrieval_tui.render.user_commands import needs_row, prepared

        command, row = self._app.configuration.config.command[number], self._app.pane.thing
        record = record_of(row, self._app.catalogue) if row is not None else {}
        if needs_row(command) and not record:
            raise UsageError(f"There is no row for {command.label}")
        work = partial(self._run, command, *prepared(command, record))
        _: Worker[None] = self._app.run_worker(work, group="user command")
        self._app.say(f"{command.label} runs")

    async def _run(self, command: CommandConfig, script: str, variables: dict[str, str]) -> None:
        output, code = await _output(script, variables)
        text = clean(output.decode("utf-8", "replace"), newlines=True).strip("\n")
        ended = f"{command.label}: exit code {code}" if code else f"{command.label} is done"
        if command.output == "background" or not text:
            last = text.rpartition("\n")[2]
            self._app.say(f"{ended}: {last}" if last else ended, "error" if code else "bar.strong")
            return
        while len(self._app.screen_stack) > 1 or self._app.line is not None:
            await asyncio.sleep(0.2)  # what is typed now is not for it
        self._app.desktop.show(command.label, text, ended if code else "")


async def _output(script: str, variables: dict[str, str]) -> tuple[bytes, int]:
    """What a script writes, as much as is shown, and its exit code. Raises BioRetrievalError."""
    shell = os.environ.get("SHELL", "")
    shell = shell if shell.startswith("/") and os.access(shell, os.X_OK) else "/bin/sh"
    reading, writing = os.pipe()
    loop, stream = asyncio.get_running_loop(), asyncio.StreamReader()
    protocol = partial(asyncio.StreamReaderProtocol, stream)
    pipe, _ = await loop.connect_read_pipe(protocol, os.fdopen(reading, "rb", buffering=0))
    found = bytearray()

    async def read() -> None:
        while part := await stream.read(65536):
            found.extend(part[: max(0, MOST_OUTPUT - len(found))])

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
    more = b"\n(more is not shown)" if len(found) >= MOST_OUTPUT else b""
    return bytes(found) + more, code


def faults_of_commands(found: Configuration) -> dict[int, Problem]:
    """What is wrong with the commands of the configuration, by their number."""
    if not found.config.command:
        return {}
    from bioretrieval_tui.render.user_commands import command_problems

    return command_problems(found)
