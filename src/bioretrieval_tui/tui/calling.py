"""The command line as a child of the app: its progress, its remarks, its answer.

What the app fetches or evaluates is made by the verbs that a shell would call, so it is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import msgspec

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.tui.children import end, how_it_ended, spawn

if TYPE_CHECKING:
    from bioretrieval_tui.progress import Reporter

_KNOWN = {field.name for field in fields(Progress)}
_NAME = "bioretrieval-tui: "
"""What stands before a line of the command line."""


async def call(
    what: str,
    words: Sequence[str],
    step: Reporter,
    remark: Callable[[str], None] = lambda _: None,
    line: Callable[[bytes], None] | None = None,
) -> bytes:
    """Run `bioretrieval-tui words...` and return what it wrote to stdout; cancelling ends the
    child as ctrl+c does.

    what: names it in errors; step: hears its progress, so `words` should ask for JSON lines of it;
    remark: hears every other line of stderr; line: is given stdout line by line as it comes, and
    nothing is returned then.

    Raises:
        BioRetrievalError: what the child said last, if it failed.
    """
    process = await spawn("bioretrieval_tui", *words)
    if process.stdout is None or process.stderr is None:
        raise BioRetrievalError(f"{what} has no pipes")
    try:
        said, text = await asyncio.gather(
            _listen(process.stderr, step, remark), _read(process.stdout, line)
        )
        code = await process.wait()
    finally:
        await end(process)
    if code:
        if said:
            raise BioRetrievalError(said[-1])
        raise how_it_ended(what, code)
    return text


async def _read(stream: asyncio.StreamReader, line: Callable[[bytes], None] | None) -> bytes:
    if line is None:
        return await stream.read()
    while data := await stream.readline():
        line(data)
    return b""


async def _listen(
    stream: asyncio.StreamReader, step: Reporter, remark: Callable[[str], None]
) -> list[str]:
    """The lines that are no progress."""
    said: list[str] = []
    while data := await stream.readline():
        found = _progress(data)
        if found is not None:
            step(found)
        elif text := data.decode(errors="replace").strip().removeprefix(_NAME):
            said.append(text)
            remark(text)
    return said


def _progress(data: bytes) -> Progress | None:
    try:
        values: Any = msgspec.json.decode(data)
        return Progress(**{key: value for key, value in values.items() if key in _KNOWN})
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, TypeError):
        return None
