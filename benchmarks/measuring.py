"""What the benchmark scripts share: children in a pty, medians of interleaved runs, a report."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import pty
import select
import signal
import statistics
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Run:
    """One child: seconds to what was waited for and to silence, peak memory, bytes written."""

    shown: float
    settled: float
    peak_mib: float
    written: int


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def interleaved(
    makers: Mapping[str, Callable[[], float]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """`rounds` values of each maker, taken in turn so that a drifting machine treats all alike."""
    values: dict[str, list[float]] = {name: [] for name in makers}
    for turn in range(rounds + warm_up):
        for name, make in makers.items():
            value = make()
            if turn >= warm_up:
                values[name].append(value)
    return values


def environment(home: Path) -> dict[str, str]:
    """The environment of a child: its own folders, a truecolor terminal, byte code kept."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "BIORETRIEVAL_HOME": str(home), "TERM": "xterm-256color",
            "COLORTERM": "truecolor"}  # fmt: skip


class Terminal:
    """A child in a pty of its own."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], columns: int = 120, rows: int = 40
    ) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], list(command), dict(env))  # noqa: S606
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, size)
        self.output = b""

    def read(self, seconds: float) -> bytes:
        """What comes within `seconds`, or b"" (also at the end)."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return b""
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return b""
        self.output += data
        return data

    def until(self, wanted: bytes, limit: float = 30.0) -> float:
        """Seconds since the start at which `wanted` had been written."""
        while wanted not in self.output:
            if time.perf_counter() - self.started > limit:
                raise TimeoutError(f"{wanted!r} never came")
            self.read(0.05)
        return time.perf_counter() - self.started

    def quiet(self, silence: float = 0.3) -> tuple[bytes, float]:
        """Everything until nothing came for `silence` seconds, and when its last byte came."""
        data, last = b"", time.perf_counter()
        while part := self.read(silence):
            data += part
            last = time.perf_counter()
        return data, last

    def send(self, keys: bytes) -> None:
        """Type."""
        os.write(self.fd, keys)

    def processor_seconds(self) -> float:
        """What the child has taken of a processor; a busy machine changes it less than the time
        that passes."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def peak_mib(self) -> float:
        """Peak resident memory of the child so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def close(self) -> None:
        """End the child."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


class Report:
    """Prints lines and keeps them for `benchmarks/results/`."""

    def __init__(self, title: str) -> None:
        self.lines: list[str] = []
        self.say(f"# {title}")
        self.say("")
        self.say(f"{date.today().isoformat()}, {_hardware()}, Python {platform.python_version()}")
        self.say("")

    def say(self, text: str = "") -> None:
        """One line."""
        print(text, flush=True)
        self.lines.append(text)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A markdown table."""
        self.say("| " + " | ".join(header) + " |")
        self.say("|" + "---|" * len(header))
        for row in rows:
            self.say("| " + " | ".join(row) + " |")
        self.say()

    def keep(self, name: str) -> None:
        """Write the report, if the call asks for it with --keep."""
        if "--keep" in sys.argv:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{name}.md").write_text("\n".join(self.lines).rstrip() + "\n")


def _hardware() -> str:
    model = platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{os.cpu_count()} cores of {model}, {platform.system()}"
