"""The command `bioretrieval-tui`: which face a call gets, and how every call ends.

It stands above `cli` and `tui`, which may not know each other. Whatever goes wrong below ends
here as one line on stderr and an exit code; a traceback goes to a file, never to a terminal.
Imports are within functions: an interrupt while they load must end as quietly as any other.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from bioretrieval_tui.cli import COMPLETION_VARIABLE

_WHILE_WRITING = frozenset(
    (errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EINVAL, errno.EIO, errno.ENOSPC)
)


def run(argv: Sequence[str] | None = None) -> int:
    """Run one call and return its exit code; `argv` are its words, those of the process if None.

    Exit codes: 0 done, or the reader of a pipe went away; 1 it failed; 2 wrong usage; 3 no such
    id, index or file; 130 interrupted.
    """
    code = 1
    try:
        from bioretrieval_tui.interrupts import keep_interrupts

        keep_interrupts()
        _guard_streams()
        code = _call(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # noqa: BLE001 - the one place where everything ends
        code = _explain(error)
    finally:
        _settle_streams()
    return code


def _call(argv: list[str]) -> int:
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        from bioretrieval_tui.cli.program_verbs import answer

        return answer(instruction)
    if argv == ["--offline"]:
        os.environ["BIORETRIEVAL_OFFLINE"] = "1"
        argv = []
    if not argv:
        if _app_can_run():
            return launch()
        argv = ["list"]
    from bioretrieval_tui.cli.root import call

    return call(argv)


def _app_can_run() -> bool:
    """Whether stdout is a terminal that can move its cursor, and keys can reach us."""
    if not sys.stdout.isatty():
        return False
    term = os.environ.get("TERM", "")
    if term in ("", "dumb") and os.name == "posix":
        _tell(f"the app cannot be drawn here (TERM is {term or 'not set'}); this is the listing")
        return False
    return _take_keyboard()


def _take_keyboard() -> bool:
    """Make stdin the terminal where it is something else, as in `... | bioretrieval-tui`."""
    if sys.stdin is not None and sys.stdin.isatty():
        return True
    try:
        keyboard = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        return False
    os.dup2(keyboard, 0)
    os.close(keyboard)
    return True


def launch() -> int:
    """Run the app until it is left.

    Raises:
        CatalogueError, NotFoundError: there is no catalogue to show.
    """
    import io

    from bioretrieval_tui.catalog.compiled import load

    loaded = load()
    # Textual paints at most so many times a second: at its 60 a key waits up to 17 ms for its turn.
    os.environ.setdefault("TEXTUAL_FPS", "240")
    # A frame is written by a thread, which would wait 5 ms for a busy main thread.
    sys.setswitchinterval(0.001)
    from rich.console import Console

    from bioretrieval_tui.paths import keep_report
    from bioretrieval_tui.tui.app import BioRetrievalApp

    app = BioRetrievalApp(loaded.catalogue, problems=loaded.problems)
    # Textual prints the traceback of whatever it caught; it belongs into the log.
    caught = io.StringIO()
    app.error_console = Console(file=caught, width=100, color_system=None)
    app.run()
    if app.return_code and caught.getvalue():
        _tell(f"the app stopped by an error of its own; {keep_report(caught.getvalue())}")
    return app.return_code or 0


# How calls end --------------------------------------------------------------------------------


def _explain(error: Exception) -> int:
    """Say in one line what went wrong (in several what is wrong with a catalogue or filter)."""
    from bioretrieval_tui.errors import EXIT_FAILED, BioRetrievalError, CatalogueError, FilterError
    from bioretrieval_tui.paths import full_traceback, keep_report

    if isinstance(error, CatalogueError) and error.problems:
        for problem in error.problems:
            _tell(str(problem))
        return error.exit_code
    if isinstance(error, BioRetrievalError):
        _tell(error.line())
        if isinstance(error, FilterError):
            for line in error.pointer().split("\n"):
                _tell(line, name=False)
        return error.exit_code
    if isinstance(error, OSError):
        if error.filename is None and error.errno in _WHILE_WRITING:
            # The rooms speak for their own files, so it is stdout.
            _tell(f"the output cannot be written: {error.strerror}")
            return EXIT_FAILED
        # The machine's fault rather than ours: what happened and where is all there is to say.
        where = f"{error.filename}: " if error.filename else ""
        _tell(f"{where}{error.strerror or error}; {keep_report(full_traceback(error))}")
        return EXIT_FAILED
    words = " ".join(str(error).split())
    said = f"{type(error).__name__}: {words}" if words else type(error).__name__
    _tell(f"unexpected {said[:200]}; {keep_report(full_traceback(error))}")
    return EXIT_FAILED


def _tell(text: str, *, name: bool = True) -> None:
    from bioretrieval_tui.cli.narration import tell

    tell(text, name=name)


# Streams --------------------------------------------------------------------------------------


def _guard_streams() -> None:
    """Give closed standard streams a place, and let no character of the output be refused.

    A file opened while descriptor 1 is closed would become descriptor 1, and a library that
    writes to stdout would write into it. The stand-in for stdout refuses to be written to, so
    that output with nowhere to go is an error and not a silence.
    """
    stand_ins = (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))
    for number, (name, mode) in enumerate(stand_ins):
        if getattr(sys, name) is None and _is_closed(number):
            os.open(os.devnull, mode)  # the lowest free descriptor, which is this one
            if number:
                setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if stream is sys.stdout and not stream.isatty() and "PYTHONIOENCODING" not in os.environ:
            # What programs read is UTF-8 whatever the locale says, as JSON demands.
            reconfigure(encoding="utf-8")
        reconfigure(errors="replace" if stream is sys.stdout else "backslashreplace")


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


def _settle_streams() -> None:
    """Write out what is buffered; where nobody takes it, the interpreter must not try again."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
