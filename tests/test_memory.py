"""Too little memory is said in one line, whoever runs out of it, and never as something else."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bioretrieval_tui import memory
from bioretrieval_tui.errors import IndexFault, ModelError, NotFoundError
from bioretrieval_tui.memory import TOO_LITTLE, memory_fault

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "sigwaitinfo"), reason="this system's limits are not watched"
)


class PanicException(BaseException):
    """As tantivy and tokenizers raise."""


SHORTAGES: list[BaseException] = [
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError(None, "the text index cannot be written: Cannot allocate memory (os error 12)"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ImportError("libx.so: cannot allocate memory in static TLS block"),
    RuntimeError("can't start new thread"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    RuntimeError("Exception from src/core.cpp:94:\nstd::bad_alloc"),
    RuntimeError("bad allocation"),
    RuntimeError("Unable to allocate 1.2 GiB for an array with shape (9, 9)"),
    Exception("onnxruntime: Failed to allocate memory for requested buffer of size 9"),
    ValueError("failed to spawn thread: Resource temporarily unavailable"),
    PanicException("called `unwrap()` on an `Err` value: Os { code: 12, kind: OutOfMemory }"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: str(error)[:30])
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_librarys_words_for_it(error: BaseException, wrapped: bool) -> None:
    if wrapped:
        fault = IndexFault("index x cannot be written", remedy="check the disk")
        fault.__cause__ = error
        error = fault
    found = memory_fault(error)
    assert found is not None
    assert found.line().startswith(f"{TOO_LITTLE}; raise the limit (ulimit -v")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.ENOENT, "No such file", "out of memory.txt"),
        ImportError("No module named torch"),
        NotFoundError("no entry has the id 'out of memory'"),
        ModelError(f"{TOO_LITTLE} for x on cuda", remedy="use --device cpu"),
        KeyError("memory"),
    ],
    ids=str,
)
def test_other_errors_stay_what_they_are(error: BaseException) -> None:
    assert memory_fault(error) is None


def test_a_remedy_of_its_own_is_kept() -> None:
    error = ModelError(f"{TOO_LITTLE} for x", remedy="use --device cpu")
    error.__cause__ = MemoryError()
    assert memory_fault(error) is None


def run(code: str) -> subprocess.CompletedProcess[str]:
    whole = f"import os, sys, time\nfrom bioretrieval_tui.memory import watched\n{code}"
    return subprocess.run(
        [sys.executable, "-c", whole], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("call", "code", "said"),
    [
        ("3", 3, False),
        ("0", 0, False),
        ("os.abort()", 1, True),
        ("os._exit(1)", 1, True),  # as OpenBLAS ends
        ("os.kill(os.getpid(), 9)", 1, True),  # as the kernel does
        ("os._exit(130)", 130, False),  # at the second interrupt
        ("os.kill(os.getpid(), 15)", -15, False),
    ],
)
def test_a_process_that_native_code_ended(call: str, code: int, said: bool) -> None:
    done = run(f"sys.exit(watched(lambda: {call}))")
    assert done.returncode == code
    assert (TOO_LITTLE in done.stderr) == said


def test_signals_reach_the_one_that_works() -> None:
    code = "import signal, sys, time\nfrom bioretrieval_tui.memory import watched\n"
    code += "def work():\n try: print('at work', flush=True); time.sleep(60)\n"
    code += " except KeyboardInterrupt: return 130\nsys.exit(watched(work))"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"at work\n"
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 130
    child.stdout.close()


def test_a_limit_of_a_cgroup_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    if memory.is_limited():
        pytest.skip("the tests run under a limit of their own")
    (tmp_path / "memory.max").write_text("max\n")
    assert not memory.is_limited()
    (tmp_path / "memory.max").write_text("300000000\n")
    assert memory.is_limited()


@pytest.mark.parametrize(
    ("words", "megabytes"),
    [
        (["--help"], (16, 24)),
        (["list", "papers"], (28,)),
        (["search", "-m", "lexical", "p53"], (60, 130)),
    ],
    ids=lambda value: str(value),
)
def test_calls_under_a_limit(words: list[str], megabytes: tuple[int, ...], tmp_path: Path) -> None:
    """Each succeeds or ends in the one line."""
    for size in megabytes:
        code = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({size} << 20,) * 2);"
        code += "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
        call = [sys.executable, "-m", "bioretrieval_tui", *words]
        done = subprocess.run(
            [sys.executable, "-c", code, *call],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "BIORETRIEVAL_HOME": str(tmp_path)},
        )
        last = done.stderr.strip().rpartition("\n")[2]
        assert done.returncode == 0 or TOO_LITTLE in last, (size, done.stderr)
        assert "unexpected" not in done.stderr
        assert "Traceback" not in done.stderr
