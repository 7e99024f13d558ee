"""Where work is done: a Ray started on this machine for one command, or a running cluster."""

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
"""How often a piece of work is given to another worker after its worker has died."""
TRIES = 4
"""How often starting Ray is tried on a machine that is too busy for it."""
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_HELLO, _SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5), 4
"""The preface that a client of HTTP/2, and so of Ray's head, sends first, and the type of the frame that answers it
(RFC 9113, section 3.4)."""


class Cluster:
    """A connection to Ray, open until `close`.

    Args:
        address: "local" starts Ray here for as long as the connection is open; HOST:PORT is the head of a cluster that
            this machine belongs to, and "auto" is the cluster that was started here.
        workers: the number of worker processes; None takes one per processor, or one per machine (or GPU) if each
            loads its own model.
        home: the folder in which a local Ray keeps its logs.

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
        """Start or join Ray, with retries: on a busy machine it gives up after half a minute with a bare Exception."""
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
        """The options of a local Ray: no dashboard, little memory. It reads the user's token by itself.

        Its sockets are below its folder, and their paths can't exceed 107 bytes, so it gets the home through a link.
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
        """The number of machines in the cluster."""
        return len({node["NodeManagerHostname"] for node in self.ray.nodes() if node["Alive"]})

    def size(self, *, embedded: bool, wanted: int) -> int:
        """The number of workers to start.

        Args:
            embedded: whether each of them loads its own model.
            wanted: pieces of work in progress at once; more workers than that would be idle.
        """
        resources = self.ray.cluster_resources()
        room = int(resources.get("GPU") or self.machines) if embedded else int(resources.get("CPU", 1))
        return max(1, min(self.workers or room, wanted))

    def actor(self, kind: type, *args: object, at_once: int, embedded: bool = False) -> Any:
        """Start a worker. Workers are spread over the machines; one that dies is restarted and given its work again."""
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
        """Start an actor that all workers share, on the driver's machine."""
        strategy = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        here = strategy(self.ray.get_runtime_context().get_node_id(), soft=False)
        options = self.ray.remote(kind).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here)
        return options.remote(*args)

    def check_store(self, url: str) -> str:
        """A database's address in a form that every worker can open.

        Raises:
            UserError: a SQLite file for several machines, or a database in memory.
        """
        if not url.startswith("sqlite"):
            return url
        path = url.partition(":///")[2]
        if path in ("", ":memory:"):
            raise UserError("Ray's workers are separate processes: they need a database on disk, not in memory")
        if self.machines > 1:
            raise UserError("a cluster of several machines needs PostgreSQL: set  AGENTKIT_DATABASE=postgresql://…")
        return f"sqlite:///{Path(path).resolve()}"

    def close(self) -> None:
        """Disconnect from the cluster; a local Ray is stopped, and its logs are deleted."""
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
    """A worker's error in one line."""
    cause = getattr(error, "cause", None) or error
    return " ".join((str(cause) or type(cause).__name__).split("\n")[0].split())


def _check(address: str) -> None:
    """Raise at once the UserError for which Ray would need a minute: nothing answers at the address."""
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
        raise UserError(f"--ray {address}: what answers there is not Ray")


@contextmanager
def _surroundings_kept() -> Iterator[None]:
    """Keep the signal handlers, since Ray takes over SIGTERM, and make its token and logs readable by their owner
    only."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    mask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(mask)
        for number, handler in before.items() if main else ():
            signal.signal(number, handler)
