"""Where work is done: a Ray of one's own on this machine, or a cluster that is up already."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from agentkit.errors import MissingExtra, UserError
from agentkit.json_types import JsonObject

OBJECTS = 80 * 2**20
"""Bytes of shared memory for what Ray passes between processes: tasks and outcomes, which are small."""
RETRIES = 50
"""How often a piece of work is given to another worker after the one it was with has died."""
TRIES = 4
"""How often Ray is started where the machine is too busy for it."""
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_HELLO, _SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5), 4
"""What a client of HTTP/2, and so of Ray's head, says first, and the kind of frame that it is answered with (RFC 9113,
section 3.4)."""


class Cluster:
    """A connection to Ray, open until it is closed.

    Args:
        address: "local" starts Ray here for as long as the connection is open; HOST:PORT is the head of a cluster that
            this machine is a part of, and "auto" is the one that was started here.
        workers: processes that work; None takes one a processor, or one a machine (or GPU) where each of them loads a
            model of its own.
        home: where a local Ray keeps its logs.

    Raises:
        MissingExtra: Ray is not installed.
        UserError: nothing answers at the address, or not as Ray does.
    """

    def __init__(self, address: str, *, workers: int | None = None, home: Path) -> None:
        _check(address)
        os.environ.update(_QUIET)
        try:
            import ray
        except ImportError:
            raise MissingExtra("ray", "ray") from None
        self.ray, self.address, self.workers = ray, address, workers
        self._link: Path | None = None
        self._session: Path | None = None
        options: JsonObject = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
        with _surroundings_kept():
            try:
                if address == "local":
                    self._session = Path(self._begin(options | self._local(home)).address_info["session_dir"])
                else:
                    self._begin(options)
            except (OSError, RuntimeError, ValueError, AssertionError, TimeoutError) as error:
                self._unlink()
                line = " ".join(str(error).split(". ")[0].split())
                raise UserError(f"--ray {address}: {line or type(error).__name__}") from None

    def _begin(self, options: JsonObject) -> Any:
        """Ray's own start, which gives a busy machine half a minute and then raises a bare Exception: tried again."""
        slow: Exception | None = None
        for _ in range(TRIES):
            try:
                return self.ray.init(**options)
            except Exception as error:
                if type(error) is not Exception:
                    raise
                slow = error
                self.ray.shutdown()
        raise RuntimeError(str(slow))

    def _local(self, home: Path) -> JsonObject:
        """What a Ray of one's own is started with: no page, little memory. It asks for the user's token by itself.

        Its sockets lie below its folder, and their paths may be no longer than 107 bytes: it sees the home by a link.
        """
        logs = home / "ray"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._link = Path(tempfile.mkdtemp(prefix="agentkit-")) / "r"
        self._link.symlink_to(logs.resolve(), target_is_directory=True)
        processors = self.workers or os.cpu_count() or 1
        parts = {"num_cpus": processors, "include_dashboard": False, "object_store_memory": OBJECTS}
        return {**parts, "_temp_dir": str(self._link)}

    @property
    def machines(self) -> int:
        """How many there are."""
        return len({node["NodeManagerHostname"] for node in self.ray.nodes() if node["Alive"]})

    def size(self, *, embedded: bool, wanted: int) -> int:
        """How many workers to start.

        Args:
            embedded: each of them loads a model of its own.
            wanted: pieces of work at once, and so the most workers of use.
        """
        resources = self.ray.cluster_resources()
        room = int(resources.get("GPU") or self.machines) if embedded else int(resources.get("CPU", 1))
        return max(1, min(self.workers or room, wanted))

    def actor(self, kind: type, *args: object, at_once: int, embedded: bool = False) -> Any:
        """Start a worker: spread over the machines, started again where it dies, its work given to it again."""
        gpus = 1 if embedded and self.ray.cluster_resources().get("GPU") else 0
        placed = self.ray.remote(kind).options(
            num_cpus=1,
            num_gpus=gpus,
            max_concurrency=at_once,
            max_restarts=-1,
            max_task_retries=RETRIES,
            scheduling_strategy="SPREAD",
        )
        return placed.remote(*args)

    def service(self, kind: type, *args: object) -> Any:
        """Start an actor that all workers share, in the memory of the machine that the driver runs on."""
        strategy = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        here = strategy(self.ray.get_runtime_context().get_node_id(), soft=False)
        options = self.ray.remote(kind).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here)
        return options.remote(*args)

    def check_store(self, url: str) -> str:
        """The address of a database as every worker can open it.

        Raises:
            UserError: a SQLite file for several machines, or a database in memory.
        """
        if not url.startswith("sqlite"):
            return url
        path = url.partition(":///")[2]
        if path in ("", ":memory:"):
            raise UserError("Ray's workers are processes of their own: they need a database on disk, not in memory")
        if self.machines > 1:
            raise UserError("a cluster of several machines needs PostgreSQL: set  AGENTKIT_DATABASE=postgresql://…")
        return f"sqlite:///{Path(path).resolve()}"

    def close(self) -> None:
        """Let go of the cluster; a local Ray ends, and what it logged goes with it."""
        self.ray.shutdown()
        if self._session is not None:
            shutil.rmtree(self._session, ignore_errors=True)
        self._unlink()

    def _unlink(self) -> None:
        if self._link is not None:
            with suppress(OSError):
                self._link.unlink()
                self._link.parent.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def line_of(error: BaseException) -> str:
    """What a worker's error says, in one line."""
    cause = getattr(error, "cause", None) or error
    return " ".join((str(cause) or type(cause).__name__).split("\n")[0].split())


def _check(address: str) -> None:
    """Say at once what Ray would say after a minute: that nothing answers there."""
    if address in ("local", "auto"):
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or not host or "/" in host:
        raise UserError(f"--ray {address}: write  local,  auto  or  HOST:PORT, the address of a cluster's head")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as link:
            link.sendall(_HELLO)
            answer = link.recv(9) if "RAY_USE_TLS" not in os.environ else bytes((0, 0, 0, _SETTINGS))
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise UserError(f"--ray {address}: nothing answers there ({said}); is the cluster up?") from None
    if answer[3:4] != bytes([_SETTINGS]):
        raise UserError(f"--ray {address}: what answers there is no Ray")


@contextmanager
def _surroundings_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself: what was to happen at signals goes on happening. Its token and its logs are for
    their owner alone."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    mask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(mask)
        for number, handler in before.items() if main else ():
            signal.signal(number, handler)
