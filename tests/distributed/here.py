"""A cluster whose workers live in this process: what the driver and workers do is real, only Ray is left out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any


class HereCluster:
    """What `agentkit.distributed` asks of a `Cluster`.

    Args:
        workers: how many.
        loses: told the name of a method before it is called; where it says so, the worker is replaced by a new one
            first, as one that was killed is.
    """

    def __init__(self, workers: int = 2, *, loses: Callable[[str], bool] = lambda name: False) -> None:
        self.workers, self.loses = workers, loses

    def size(self, *, embedded: bool, wanted: int) -> int:
        return min(self.workers, wanted)

    def actor(self, kind: type, *args: object, at_once: int, embedded: bool = False) -> Any:
        return _Actor(partial(kind, *args), self.loses)

    def service(self, kind: type, *args: object) -> Any:
        return _Actor(partial(kind, *args), lambda name: False)

    def check_store(self, url: str) -> str:
        return url


class _Actor:
    def __init__(self, make: Callable[[], Any], loses: Callable[[str], bool]) -> None:
        self._make, self._loses, self._made = make, loses, make()

    def __getattr__(self, name: str) -> Any:
        def remote(*args: object) -> asyncio.Future[Any]:
            if self._loses(name):
                self._made = self._make()
            return asyncio.ensure_future(getattr(self._made, name)(*args))

        return SimpleNamespace(remote=remote)
