"""Real processes that build, add, look and are killed, and what must be true of them afterwards.

Children are forked from a server that has imported everything, so that a hundred of them are
cheap; they are processes like any other, with a home, limits and an end of their own.
"""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.forkserver
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hashing_encoder import HashingEncoder
from pictures import DIMENSION

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.encoder import Vectors
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index import build as building
from bioretrieval_tui.index.analysis import tokens
from bioretrieval_tui.index.build import BuildOutcome, add_to_index, build_index, compact_index
from bioretrieval_tui.progress import Reporter, silent

LONG = os.environ.get("BIORETRIEVAL_FAULTS") == "long"
"""Whether this is the long run (`make faults`)."""
WINDOW = 1_024 if LONG else 128
"""Documents that children encode together; fewer of them make a short build one of many windows."""
PATIENCE = 240
"""Seconds after which a child counts as hanging; none needs a twentieth of it."""

_CONTEXT = multiprocessing.get_context("forkserver")
_LIVING: list[Child] = []
_PRELOADED = [
    "pytest",
    "faulty",
    "hnswlib",
    "tantivy",
    "filelock",
    "lxml.etree",
    "platformdirs",
    "mmap",
    "numpy.ma",
    "bioretrieval_tui.documents.detect",
    "bioretrieval_tui.index.verify",
]
"""What the server imports, so that no child has to."""


def seeded() -> random.Random:
    """Chance with a seed that is told, so that a run which failed can be had again."""
    seed = int(os.environ.get("BIORETRIEVAL_FAULTS_SEED") or random.SystemRandom().randrange(10**9))
    print(f"BIORETRIEVAL_FAULTS_SEED={seed}")
    return random.Random(seed)


# Children -------------------------------------------------------------------------------------


class PaidEncoder(HashingEncoder):
    """Writes down what it is about to encode, and takes its time."""

    def __init__(self, log: Path | None, pause: float) -> None:
        super().__init__(DIMENSION, batch=WINDOW // 8)
        self._log = log
        self._pause = pause

    def encode_documents(
        self, documents: Any, progress: Reporter = silent, longer: list[int] | None = None
    ) -> Vectors:
        if self._log is not None:
            wanted: list[Document] = list(documents)
            names = "".join(f"{document.content_hash().hex()}\n" for document in wanted)
            handle = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(handle, names.encode())
            os.close(handle)

        def slowly(step: Any) -> None:
            time.sleep(self._pause)
            progress(step)

        return super().encode_documents(documents, slowly, longer)


class Child:
    """A process that does one of the actions below in one home.

    memory, file_size: RLIMIT_AS and RLIMIT_FSIZE in bytes; user: the id that it runs as.
    """

    def __init__(
        self,
        home: Path,
        action: Callable[..., Any],
        *arguments: Any,
        memory: int | None = None,
        file_size: int | None = None,
        user: int | None = None,
    ) -> None:
        _start_server()
        home.mkdir(parents=True, exist_ok=True)
        self.out = home.parent / f"{home.name}.out"
        self.out.unlink(missing_ok=True)
        limits = {"memory": memory, "file_size": file_size, "user": user}
        self.process = _CONTEXT.Process(
            target=_child, args=(str(home), str(self.out), action, arguments, limits)
        )
        self.process.start()
        _LIVING.append(self)

    @property
    def running(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> bool:
        """Kill -9; whether it died of that."""
        self.process.kill()
        self.process.join(PATIENCE)
        return self.process.exitcode == -signal.SIGKILL

    def end(self) -> dict[str, Any]:
        """Wait for its end, and what it came to: {"value": ...} or {"error": line, "kind": ...}.

        A crash, a hang or an exception that is not one of ours fails the test.
        """
        self.process.join(PATIENCE)
        if self.running:
            self.kill()
            raise AssertionError(f"the child hangs: {self.said()}")
        assert self.process.exitcode == 0, f"exit {self.process.exitcode}: {self.said()}"
        found: dict[str, Any] = json.loads(self.out.read_text())
        return found

    def value(self) -> Any:
        """Wait for its end, which must be a good one."""
        found = self.end()
        assert "value" in found, found
        return found["value"]

    def said(self) -> str:
        """What it wrote on stderr."""
        try:
            return self.out.with_suffix(".err").read_text(errors="replace")[-3_000:]
        except FileNotFoundError:
            return ""


def reap() -> None:
    """End all children that are left."""
    while _LIVING:
        child = _LIVING.pop()
        if child.running:
            child.kill()
        child.process.close()


def _start_server() -> None:
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        _CONTEXT.set_forkserver_preload(_PRELOADED)
        multiprocessing.forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _child(
    home: str, out: str, action: Callable[..., Any], arguments: Any, limits: dict[str, Any]
) -> None:
    os.environ["BIORETRIEVAL_HOME"] = home
    errors = os.open(Path(out).with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    if limits["file_size"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file_size"],) * 2)
    if limits["memory"]:
        resource.setrlimit(resource.RLIMIT_AS, (limits["memory"],) * 2)
    if limits["user"] is not None:
        tokens("what is imported late may not be readable for that user")
        os.setgroups([])
        os.setgid(limits["user"])
        os.setuid(limits["user"])
    building.WINDOW = WINDOW
    try:
        found = {"value": action(*arguments)}
    except BioRetrievalError as error:
        # A subclass of a package counts as what it is to users.
        module = BioRetrievalError.__module__
        kind = next(one for one in type(error).__mro__ if one.__module__ == module)
        found = {"error": error.line(), "kind": kind.__name__}
    except BaseException:  # noqa: BLE001 - told by the test that waits for this child
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(99)
    os.write(handle, json.dumps(found).encode())
    os._exit(0)


# Actions, in the child ------------------------------------------------------------------------


def build(corpora: list[str], log: str | None = None, pause: float = 0.0) -> dict[str, Any]:
    """`index build`."""
    encoder = PaidEncoder(Path(log) if log else None, pause)
    return told(build_index("demo", corpora, lambda: encoder))


def add(corpora: list[str], log: str | None = None, pause: float = 0.0) -> dict[str, Any]:
    """`index add`."""
    encoder = PaidEncoder(Path(log) if log else None, pause)
    return told(add_to_index("demo", corpora, lambda *_, **__: encoder))


def compact() -> dict[str, Any]:
    """`index compact`."""
    return told(compact_index("demo"))


def told(outcome: BuildOutcome) -> dict[str, Any]:
    """The outcome of a build, as values that travel."""
    report = outcome.report
    return {
        "changed": outcome.changed,
        "documents": outcome.manifest.documents,
        "encoded": report.encoded,
        "read": report.read,
        "kept": report.kept,
        "replaced": report.replaced,
        "duplicates": report.duplicates,
        "rejected": report.rejected,
        "reasons": sorted({one.reason for one in report.rejections}),
    }
