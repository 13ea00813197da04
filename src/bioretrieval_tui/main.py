"""Entry point of `bioretrieval-tui`: choose the app or the command line, handle every error.

This module imports `cli` and `tui`, which must not import each other. Every error ends here as one
line on stderr and an exit code. Tracebacks are written to a file, never to the terminal. Imports
are within functions, so that an interrupt during an import is handled too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bioretrieval_tui.cli import COMPLETION_VARIABLE

if TYPE_CHECKING:
    from bioretrieval_tui.cli.root import AppWish
    from bioretrieval_tui.tui.selection import Selection

_WHILE_WRITING = frozenset(
    (errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EINVAL, errno.EIO, errno.ENOSPC)
)
_MOST_GIVEN = 2**20
"""Bytes of stdin that are read for identifiers."""
_MOST_IDENTIFIERS = 1_000


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command with the arguments `argv` (default: `sys.argv`) and return its exit code.

    Exit codes: 0 success, or the reader closed the pipe; 1 failure; 2 wrong usage; 3 id, index or
    file not found; 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None and words:  # the app has processes of its own for what needs memory
        with contextlib.suppress(MemoryError, KeyboardInterrupt):
            from bioretrieval_tui.memory import is_limited, watched

            if is_limited():
                return watched(lambda: _run(words, alone=True))
    return _run(words, alone=argv is None)


def _run(words: list[str], *, alone: bool) -> int:
    """alone: whether this process has nothing else to do."""
    code = 1
    try:
        from bioretrieval_tui.interrupts import end_at_second_interrupt, keep_interrupts

        keep_interrupts()
        _guard_streams()
        if alone:
            end_at_second_interrupt()
        code = _call(words)
        sys.stdout.flush()
    except BrokenPipeError:
        code = 0
    except KeyboardInterrupt:
        code = 130
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the outermost level; also panics of libraries
        try:
            code = _explain(error)
        except MemoryError:
            os.write(2, b"bioretrieval-tui: there is too little memory; raise its limit\n")
    finally:
        _settle_streams()
    return code


def _call(argv: list[str]) -> int:
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        from bioretrieval_tui.cli.program_verbs import answer

        return answer(instruction)
    if argv:
        from bioretrieval_tui.cli.root import AppWish, call

        found = call(argv)
        if not isinstance(found, AppWish):
            return found
        if found.selects is not None:
            return _select(found)
        given = _given()
        if _app_can_run():
            return launch(found.fresh, found.pane, found.where, given=given)
    else:
        given = _given()
        if _app_can_run():
            return launch(given=given)
    if given:
        from bioretrieval_tui.errors import UsageError

        raise UsageError(
            "identifiers on stdin are shown in the app, which needs a terminal for its output",
            remedy="use --select to print what is chosen of them, or show ID",
        )
    from bioretrieval_tui.cli.root import call

    code = call(["list"])
    return code if isinstance(code, int) else 0


def _select(wish: AppWish) -> int:
    """Run the app as a picker: drawn on the terminal, while stdout takes what is chosen."""
    from bioretrieval_tui.errors import UsageError
    from bioretrieval_tui.tui.selection import Selection

    selection, given = Selection(wish.selects or "id"), _given()
    if not (sys.stderr.isatty() and _keyboard()):
        raise UsageError("there is no terminal to choose on", remedy="run it in a terminal")
    code = launch(wish.fresh, wish.pane, wish.where, selection=selection, given=given)
    for line in selection.printed:
        sys.stdout.write(f"{line}\n")
    return code or (0 if selection.printed else 130)


def _given() -> list[str]:
    """The identifiers that are piped in, a word each, for the app to show."""
    if sys.stdin is None or sys.stdin.isatty() or not sys.stderr.isatty():
        return []
    import stat

    mode = os.fstat(sys.stdin.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return []
    with contextlib.suppress(OSError):
        text = sys.stdin.buffer.read(_MOST_GIVEN).decode("utf-8", "replace")
        words = (word.strip(",;") for line in text.splitlines() for word in line.split())
        return list(dict.fromkeys(filter(None, words)))[:_MOST_IDENTIFIERS]
    return []


def _app_can_run() -> bool:
    """Whether stdout is a terminal with a movable cursor and the keyboard is readable. If stdin is
    something else, as in `... | bioretrieval-tui`, it is connected to the terminal. An app in a
    browser (`serve`) needs none."""
    if "TEXTUAL_DRIVER" in os.environ:
        return True
    if not sys.stdout.isatty():
        return False
    term = os.environ.get("TERM", "")
    if term in ("", "dumb") and os.name == "posix":
        shown = term or "not set"
        _tell(f"the terminal cannot show the app (TERM is {shown}); listing the catalogue")
        return False
    return _keyboard()


def _keyboard() -> bool:
    """Whether the keyboard is readable as stdin, to which the terminal is connected if need be."""
    if sys.stdin is not None and sys.stdin.isatty():
        return True
    try:
        keyboard = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        return False
    os.dup2(keyboard, 0)
    os.close(keyboard)
    return True


def launch(
    fresh: bool = False,
    pane: str = "",
    where: str = "",
    *,
    selection: Selection | None = None,
    given: Sequence[str] = (),
) -> int:
    """Run the app until the user quits, and return its exit code; parameters as of the app. Raises
    CatalogueError."""
    import io
    import signal

    from bioretrieval_tui.catalog.compiled import load

    signal.set_wakeup_fd(-1)  # the app hears ctrl+c as a key
    loaded = load()
    # Frames a second that Textual paints at most: at its default, 60, a key waits up to 17 ms.
    os.environ.setdefault("TEXTUAL_FPS", "240")
    # Frames are written by a thread. By default it waits up to 5 ms for a busy main thread.
    sys.setswitchinterval(0.001)
    from rich.console import Console

    from bioretrieval_tui.paths import keep_report
    from bioretrieval_tui.tui.app import BioRetrievalApp

    app = BioRetrievalApp(
        loaded.catalogue, problems=loaded.problems, fresh=fresh, pane=pane, where=where,
        selection=selection, given=given,
    )  # fmt: skip
    # Textual prints the traceback of an error; it belongs in the log.
    caught = io.StringIO()
    app.error_console = Console(file=caught, width=100, color_system=None)
    app.run()
    if app.return_code and caught.getvalue():
        _tell(f"the app crashed; {keep_report(caught.getvalue())}")
    return app.return_code or 0


# Errors ---------------------------------------------------------------------------------------


def _explain(error: BaseException) -> int:
    """Report an error in one line (several for a catalogue or filter); return the exit code."""
    from bioretrieval_tui.errors import EXIT_FAILED, BioRetrievalError, CatalogueError, FilterError
    from bioretrieval_tui.memory import memory_fault
    from bioretrieval_tui.paths import keep_report

    error = memory_fault(error) or error
    if isinstance(error, BioRetrievalError):
        problems = error.problems if isinstance(error, CatalogueError) else []
        for line in list(map(str, problems)) or [error.line()]:
            _tell(line)
        for line in error.pointer().split("\n") if isinstance(error, FilterError) else ():
            _tell(line, name=False)
        return error.exit_code
    if isinstance(error, OSError):
        if error.filename is None and error.errno in _WHILE_WRITING:
            # Other packages name the file in their errors, so this one is about stdout.
            _tell(f"the output cannot be written: {error.strerror}")
            return EXIT_FAILED
        where = f"{error.filename}: " if error.filename else ""
        _tell(f"{where}{error.strerror or error}; {keep_report(error)}")
        return EXIT_FAILED
    said = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    _tell(f"unexpected {said[:200]}; {keep_report(error)}")
    return EXIT_FAILED


def _tell(text: str, *, name: bool = True) -> None:
    from bioretrieval_tui.cli.streams import tell

    tell(text, name=name)


# Streams --------------------------------------------------------------------------------------


def _guard_streams() -> None:
    """Replace closed standard streams, and make the output accept every character.

    A file opened while descriptor 1 is closed would become descriptor 1, and a library that
    writes to stdout would write into it. The replacement of stdout is read-only, so that lost
    output is an error.
    """
    stand_ins = (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))
    for number, (name, mode) in enumerate(stand_ins):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:  # it is closed
            os.open(os.devnull, mode)  # takes the lowest free descriptor: this one
            if number:
                setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if stream is sys.stdout and not stream.isatty() and "PYTHONIOENCODING" not in os.environ:
            # Programs read UTF-8 in every locale, as JSON demands.
            reconfigure(encoding="utf-8")
        reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")


def _settle_streams() -> None:
    """Flush the streams; redirect those that fail, so that the interpreter does not flush again."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
