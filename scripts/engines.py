"""Run the tests of stores, or a benchmark, against a real Milvus server.

python scripts/engines.py FOLDER [COMMAND...], by `make engines`

The server is the PyPI package `milvus` (2.3.5, the last with a server in it), which is installed
into FOLDER. It listens on every address of the machine whatever its settings say, so everything
runs in a network namespace of its own, which has the loopback device alone. Linux only.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WHEEL = "milvus==2.3.5"
INSIDE = "BIORETRIEVAL_ENGINES_INSIDE"
ADDRESS = "BIORETRIEVAL_MILVUS"
"""Names a server to the tests of tests/index/test_stores.py."""
_UP, _LOOPBACK, _SET_FLAGS = 0x1, 0x8, 0x8914


def main() -> None:
    folder, command = Path(sys.argv[1]).resolve(), sys.argv[2:]
    command = command or [sys.executable, "-m", "pytest", "-q", "tests/index/test_stores.py"]
    if not (folder / "milvus").is_dir():
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        subprocess.run([*install, str(folder), WHEEL], check=True)
    if INSIDE not in os.environ:
        script = [sys.executable, __file__, str(folder), *command]
        alone = [shutil.which("unshare") or "/usr/bin/unshare", "--map-root-user", "--net"]
        environment = {**os.environ, INSIDE: "1"}
        sys.exit(subprocess.run([*alone, *script], env=environment, check=False).returncode)
    raise_loopback()
    sys.path.insert(0, str(folder))
    with tempfile.TemporaryDirectory(prefix="milvus-") as data:
        sys.exit(serve(Path(data), command))


def raise_loopback() -> None:
    """Make 127.0.0.1 usable, and see that no other device is there."""
    import fcntl

    with socket.socket() as any_socket:
        request = struct.pack("16sh", b"lo", _UP | _LOOPBACK)
        fcntl.ioctl(any_socket, _SET_FLAGS, request)
    devices = [name for _, name in socket.if_nameindex()]
    if devices != ["lo"]:
        sys.exit(f"the server would be reached from outside, by {', '.join(devices)}")


def serve(data: Path, command: list[str]) -> int:
    """Run the command beside a server; returns its exit code."""
    import milvus

    started = time.monotonic()
    server = milvus.MilvusServer()
    server.set_base_dir(str(data))
    server.start()
    try:
        address = f"milvus+http://127.0.0.1:{server.listen_port}"
        took = time.monotonic() - started
        sys.stderr.write(f"Milvus {milvus.__version__} at {address} after {took:.1f} s\n")
        environment = {**os.environ, ADDRESS: address}
        return subprocess.run(command, env=environment, check=False).returncode
    finally:
        server.stop()


if __name__ == "__main__":
    main()
