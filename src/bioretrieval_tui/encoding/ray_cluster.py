"""A Ray cluster to encode on: which one, where its workers go, and the connection to it.

`ray` is the cluster that RAY_ADDRESS names, else one that runs on this machine, else one that is
started for the build, which can be reached from this machine alone; `ray://host:port` is one that
is reached by Ray's client. Ray is imported within functions.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import queue
import re
import secrets
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bioretrieval_tui import __version__
from bioretrieval_tui.encoding.device import usable_cores
from bioretrieval_tui.encoding.encoding_worker import EncodingWorker, WorkerFacts
from bioretrieval_tui.encoding.worker_engine import WorkerDied, WorkerSlot
from bioretrieval_tui.errors import ModelError, UsageError
from bioretrieval_tui.util.formatting import install_command, plural

ADDRESS = "RAY_ADDRESS"
"""Ray's variable for the address of a cluster, host:port or ray://host:port."""
_PLACE = re.compile(r"ray(?:://(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5}))?")
_CORES = 8
"""Cores of a worker without a GPU, at most: more share the work of one model less well."""
_STORE_BYTES = 256 * 2**20
"""Shared memory of a cluster that is started here; texts and vectors of some batches are in it."""
_NODE_LOST = "the node is lost"
_PATIENCE = 5.0
"""Seconds for a first answer of a cluster."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray warns on stderr until it is set
}


def is_ray(device: str) -> bool:
    """Whether this names a Ray cluster, not a device of this machine."""
    return device == "ray" or device.startswith("ray:")


def check_cluster(name: str) -> str:
    """`name` as given; loads nothing. Raises UsageError where it is not ray or ray://host:port."""
    found = _PLACE.fullmatch(name)
    if found is None or (found[2] is not None and not 0 < int(found[2]) < 2**16):
        raise UsageError(
            f"--on does not understand {name!r}",
            remedy=f"write ray, with {ADDRESS} for a cluster elsewhere, or ray://host:10001",
        )
    return name


def slots_of(nodes: Sequence[Mapping[str, Any]]) -> list[WorkerSlot]:
    """One place for each GPU of a cluster; where there is none, two or more a node, each of 8 cores
    at most: while one reads tokens, the other computes. nodes: as of `ray.nodes()`."""
    alive = [one for one in nodes if one["Alive"]]
    gpus = any(one["Resources"].get("GPU", 0) >= 1 for one in alive)
    found = []
    for one in alive:
        cores = int(one["Resources"].get("CPU", 0))
        if gpus:
            count = int(one["Resources"].get("GPU", 0))
        else:
            count = min(cores, max(2, -(-cores // _CORES)))
        name = str(one.get("NodeManagerHostname") or one["NodeManagerAddress"])
        device = "cuda" if gpus else "cpu"
        slot = WorkerSlot(name, max(1, cores // max(1, count)), device, str(one["NodeID"]))
        found += [slot] * count
    return found


class RayCluster:
    """A connection to a cluster, made here unless this process has one: a WorkerPool whose workers
    are actors. place: ray or ray://host:port. Raises UsageError where Ray is not installed;
    ModelError: the cluster does not answer, or has nothing to compute on."""

    where = "of the Ray cluster"
    advice = "see: ray status"
    of_death = "see Ray's logs there, or give its workers more memory"

    def __init__(self, place: str) -> None:
        os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
        try:
            self.ray: Any = importlib.import_module("ray")
        except ImportError as error:
            remedy = f"run: {install_command('ray')}"
            raise UsageError(f"--on {place} needs Ray", remedy=remedy) from error
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as begun:
            if not self.ray.is_initialized():
                begun.enter_context(_quiet())
                self._connect(place, begun)
            self.slots = slots_of(self.ray.nodes())
            if not self.slots:
                raise ModelError(
                    "the Ray cluster has neither a GPU nor a CPU for workers",
                    remedy="start workers: ray start --address=HOST:PORT",
                )
            self._stack = begun.pop_all()

    def _connect(self, place: str, begun: contextlib.ExitStack) -> None:
        address = place if place != "ray" else os.environ.get(ADDRESS) or "auto"
        begun.callback(self.ray.shutdown)
        how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        handler = signal.getsignal(signal.SIGTERM)
        try:
            with warnings.catch_warnings(action="ignore"), _muted():
                if address not in ("auto", "local"):
                    _require_answer(address, self.ray.util.get_node_ip_address())
                if address != "local":
                    try:
                        self.ray.init(address, **how)
                    except ConnectionError:
                        if address != "auto":
                            raise
                        address = "local"
                if address == "local":
                    self._start(begun, how)
        except ImportError as error:  # Ray's client is a part of its own
            remedy = f"run: {install_command('ray')}"
            raise UsageError(f"--on {place} needs Ray's client", remedy=remedy) from error
        except (OSError, RuntimeError, ValueError, self.ray.exceptions.RayError) as error:
            reason = _first_line(error)
            what = "Ray does not start" if address == "local" else f"no connection to Ray {address}"
            remedy = (
                "see: ray status; versions of Ray and Python must be the same on every node,"
                " and RAY_AUTH_MODE and RAY_AUTH_TOKEN as there"
            )
            raise ModelError(f"{what}: {reason}", remedy=remedy) from error
        finally:  # Ray's handler writes a traceback, and the default leaves processes behind
            if threading.current_thread() is threading.main_thread():
                mine = _end if handler == signal.SIG_DFL else handler
                signal.signal(signal.SIGTERM, mine)
                begun.callback(signal.signal, signal.SIGTERM, handler)

    def _start(self, begun: contextlib.ExitStack, how: dict[str, Any]) -> None:
        """Start a cluster of this machine alone."""
        # Not in $TMPDIR: paths of sockets have 100 characters at most.
        folder = tempfile.mkdtemp(prefix="bioretrieval-ray-", dir="/tmp")
        begun.callback(shutil.rmtree, folder, ignore_errors=True)
        begun.callback(self.ray.shutdown)  # before its folder is removed
        # Otherwise Ray leaves a token in the user's home. Only who has one can use the cluster.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Ray listens on all addresses unless it takes this machine for one that has no cluster.
        constants: Any = importlib.import_module("ray._private.ray_constants")
        before, constants.ENABLE_RAY_CLUSTER = constants.ENABLE_RAY_CLUSTER, False
        try:
            self.ray.init(
                "local",
                num_cpus=usable_cores(),
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _temp_dir=folder,
                **how,
            )
        finally:
            constants.ENABLE_RAY_CLUSTER = before
        listens = {str(one["NodeManagerAddress"]) for one in self.ray.nodes()}
        if not listens <= {"127.0.0.1", "::1"}:
            raise OSError(f"it would listen on {', '.join(sorted(listens))}")

    def title(self, slot: WorkerSlot) -> str:
        return f"node {slot.name}"

    def device(self, facts: WorkerFacts) -> str:
        return f"{plural(len(self.slots), 'Ray worker')} ({facts.device})"

    def start(self, slot: WorkerSlot, concurrency: int) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        card = slot.device == "cuda"
        return (
            self.ray.remote(EncodingWorker)
            .options(
                num_cpus=0 if card else slot.cores,
                num_gpus=1 if card else 0,
                max_concurrency=concurrency,
                scheduling_strategy=NodeAffinitySchedulingStrategy(slot.node, soft=False),
            )
            .remote()
        )

    def ask(self, worker: Any, method: str, *arguments: Any) -> Any:
        return getattr(worker, method).remote(*arguments)

    def wait(self, refs: Sequence[Any], seconds: float) -> Sequence[Any]:
        found: Sequence[Any] = self.ray.wait(list(refs), num_returns=1, timeout=seconds)[0]
        return found

    def result(self, slot: WorkerSlot, ref: Any) -> Any:
        exceptions = self.ray.exceptions
        try:
            return self.ray.get(ref)
        except exceptions.RayTaskError as error:
            reason = f"{type(error.cause).__name__}: {error.cause}" if error.cause else str(error)
            raise ModelError(
                f"a worker on {slot.name} failed: {reason}",
                remedy="the same call goes on from what is encoded",
            ) from error
        except exceptions.RayError as error:
            if "ModuleNotFoundError" in str(error):
                raise ModelError(
                    f"bioretrieval-tui {__version__} is not installed on {slot.name}",
                    remedy="install it in the environment in which Ray runs there",
                ) from error
            reason = _reason(error)
            raise WorkerDied(reason, again=reason != _NODE_LOST) from error

    def end(self, worker: Any) -> None:
        # The connection may be one of the caller's, and gone.
        with contextlib.suppress(self.ray.exceptions.RayError, OSError, RuntimeError):
            self.ray.kill(worker)

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        try:
            yield
        except (self.ray.exceptions.RayError, ConnectionError) as error:
            raise ModelError(
                f"the Ray cluster is lost: {_first_line(error)}",
                remedy="see: ray status; the same call goes on from what is encoded",
            ) from error

    def free(self) -> str:
        have, left = self.ray.cluster_resources(), self.ray.available_resources()
        parts = " and ".join(
            f"{left.get(kind, 0):.0f} of {have[kind]:.0f} {kind}s"
            for kind in ("CPU", "GPU")
            if have.get(kind)
        )
        return f"it has {parts} free"

    def close(self) -> None:
        """End the connection, and a cluster that was started for it; safe to call twice."""
        self._stack.close()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's messages from stdout and stderr."""
    worker: Any = importlib.import_module("ray._private.worker")
    # Ray prints errors of the cluster on stdout, also without log_to_driver.
    printing, worker.print_to_stdstream = worker.print_to_stdstream, lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = printing


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Lead stderr nowhere: native code of Ray writes there while it connects."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _require_answer(address: str, own: str) -> None:
    """Raise ModelError unless something listens there: Ray would try for a minute. own: the address
    of this machine, which Ray takes for localhost unless its client connects."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if "://" not in address and host in ("localhost", "127.0.0.1", "[::1]"):
        host = own
    reason = "it is not host:port"
    if host and port.isdecimal():
        grpc: Any = importlib.import_module("grpc")  # what Ray itself speaks, on both ports
        ends = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
        heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with grpc.insecure_channel(f"{host}:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
            channel.subscribe(heard.put, try_to_connect=True)
            deadline, state = time.monotonic() + _PATIENCE, None
            with contextlib.suppress(queue.Empty):
                while state not in ends:
                    state = heard.get(timeout=max(0, deadline - time.monotonic()))
        if state is ends[0]:
            return
        reason = "no connection"
    raise ModelError(
        f"no Ray cluster answers at {address}: {reason}",
        remedy=f"check the address (--on ray://host:10001, or {ADDRESS}=host:6379)",
    )


def _reason(error: BaseException) -> str:
    """Why a worker died, in few words: Ray's texts are pages."""
    text = f"{type(error).__name__} {error}".lower()
    if "outofmemory" in text or "memory monitor" in text:
        return "the node is short of memory"
    if ("node" in text and "died" in text.partition("node")[2][:40]) or "unschedulable" in text:
        return _NODE_LOST
    return "its process ended"


def _first_line(error: BaseException) -> str:
    """The first line of a message of Ray's, else the name of the error."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
