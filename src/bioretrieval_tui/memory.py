"""Too little memory: recognised in errors of every library, and in a process that ended of it.

Batch systems and shells set limits. Python raises MemoryError, the system calls fail, a library is
not mapped, a thread not started, each library says so in words of its own, and native code ends the
process. All of these end in one line.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from bioretrieval_tui.errors import EXIT_FAILED, EXIT_INTERRUPTED, BioRetrievalError

TOO_LITTLE = "there is too little memory"
_REMEDY = "raise the limit (ulimit -v, or the memory of the batch job), or close other programs"
_LINE = f"bioretrieval-tui: {TOO_LITTLE}; {_REMEDY}\n".encode()
_SAID = re.compile(
    r"(?:cannot|can't|could not|failed to|unable to) allocate"
    r"|(?:not enough |out ?of ?|insufficient )memory|memory allocation|bad[ _]alloc|malloc of size"
    r"|failed to map segment|failed to spawn|can't start new thread"
    r"|thread.{0,99}resource temporarily unavailable|os error 12\b",
    re.IGNORECASE | re.DOTALL,
)
"""What the system and the libraries say where memory ran out."""
_ENDED = (signal.SIGABRT, signal.SIGSEGV, getattr(signal, "SIGBUS", 0), signal.SIGILL, 9)
"""How native code ends a process without memory, and, with SIGKILL, the kernel."""
_PASSED_ON = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_CGROUPS = Path("/sys/fs/cgroup")


def memory_fault(error: BaseException) -> BioRetrievalError | None:
    """The error to show if `error`, or one that led to it, means that memory ran out; None if it
    means something else, or names the shortage and its remedy itself."""
    if isinstance(error, BioRetrievalError) and TOO_LITTLE in error.message:
        return None
    if any(map(_is_shortage, _chain(error))):
        return BioRetrievalError(TOO_LITTLE, remedy=_REMEDY)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_shortage(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    if isinstance(error, BioRetrievalError) or type(error).__module__.startswith("click"):
        return False  # these quote the user
    return isinstance(error, MemoryError) or bool(_SAID.search(str(error)))


def is_limited() -> bool:
    """Whether a limit is set on the memory of this process, by the shell or a batch system."""
    if not hasattr(signal, "sigwaitinfo"):  # Windows and macOS, whose batch systems are few
        return False
    import resource

    limits = (resource.getrlimit(one)[0] for one in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    if any(limit != resource.RLIM_INFINITY for limit in limits):
        return True
    with contextlib.suppress(OSError, UnicodeDecodeError):
        own = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().strip("/")
        for place in (_CGROUPS / own, *(_CGROUPS / own).parents):
            limit = place / "memory.max"
            if limit.exists() and limit.read_text().strip() != "max":
                return True
    return False


def available_memory() -> int | None:
    """Bytes of memory that programs can still take, as the system says; None where it does not."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return None


def watched(call: Callable[[], int]) -> int:
    """Carry out `call` in a child process and return its exit code; say so if the child was ended
    before it could. This process has allocated little, so it can."""
    heard, done = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    child = os.fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(heard)
        try:
            code = call()
        except (MemoryError, SystemError, ImportError):
            os._exit(EXIT_FAILED)  # not even the error could be told; the parent does
        os.write(done, b"\n")
        return code
    os.close(done)
    ended = 0
    while not ended:
        found = signal.sigwaitinfo(_PASSED_ON)
        if found.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
        elif found.si_pid:  # what comes from the terminal, the child has already
            os.kill(child, found.si_signo)
    code, told = os.waitstatus_to_exitcode(status), os.read(heard, 1)
    if code == EXIT_INTERRUPTED or (told and code >= 0):
        return code
    if code > 0 or -code in _ENDED:
        with contextlib.suppress(OSError):
            os.write(2, _LINE)
        return EXIT_FAILED
    signal.signal(-code, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    os.kill(os.getpid(), -code)
    return EXIT_FAILED
