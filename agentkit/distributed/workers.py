"""The workers of one command: processes of one kind, each with its own models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from agentkit.distributed.cluster import Cluster, line_of
from agentkit.distributed.shared import Purse, Shared
from agentkit.errors import RunError, UserError
from agentkit.settings import Settings

EMBEDDED = ("local/", "hf/")
"""Prefixes of names of models that run inside the process that calls them."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The number of workers, and what each may do at once.

    Attributes:
        room: the most pieces of work that each has at once.
        slots: the most model calls that each has in flight.
    """

    count: int
    room: int
    slots: int
    embedded: bool

    @classmethod
    def of(cls, cluster: Cluster, models: Iterable[object], at_once: int, settings: Settings) -> Crew:
        """The crew for `at_once` pieces of work at a time with these models."""
        embedded = is_embedded(*models)
        count = cluster.size(embedded=embedded, wanted=at_once)
        slots = settings.concurrency if embedded else math.ceil(settings.concurrency / count)
        return cls(count=count, room=math.ceil(at_once / count), slots=slots, embedded=embedded)


class Workers:
    """Actors of one kind, and their shared limits.

    Args:
        kind: the class of the actors; its constructor takes a plan and a purse.
        plans: one per worker.
    """

    def __init__(self, cluster: Cluster, kind: type, plans: Sequence[object], crew: Crew, shared: Shared) -> None:
        self.purse = cluster.service(Purse, shared) if shared.any else None
        self._actors = [
            cluster.actor(kind, plan, self.purse, at_once=crew.room + 2, embedded=crew.embedded) for plan in plans
        ]
        self._busy = [0] * len(plans)

    def take(self) -> int:
        """The number of the least busy worker, which counts as having one more piece of work until `leave`."""
        number = self._busy.index(min(self._busy))
        self._busy[number] += 1
        return number

    def leave(self, number: int) -> None:
        """Note that a worker has finished a piece of work; see `take`."""
        self._busy[number] -= 1

    async def ask(self, number: int, what: str, method: str, *given: object) -> Any:
        """Call a worker's method; if the worker dies, call it on its replacement.

        Args:
            what: names the piece of work in an error.

        Raises:
            UserError: an error that would fail every piece of work.
            RunError: every process that took the work died.
        """
        with told(what):
            return await getattr(self._actors[number], method).remote(*given)

    async def spent(self) -> str:
        """Why the shared limits allow no more work; empty if they do."""
        return "" if self.purse is None else str(await self.purse.spent.remote())


@contextmanager
def in_a_line() -> Iterator[None]:
    """Reduce a worker's UserError to its line: subclasses and causes may not survive the way to the driver."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error)) from None


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn what went wrong on a worker into a RunError or UserError of one line.

    Args:
        what: names the piece of work in the error.
    """
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        if isinstance(getattr(error, "cause", None), UserError):
            raise UserError(line_of(error)) from None
        raise RunError(f"{what}: {line_of(error)}; run the same command again to continue") from None


def is_embedded(*models: object) -> bool:
    """Whether one of these models, or a model in a list among them, runs inside the process that calls it."""
    names = [name for given in models for name in (given if isinstance(given, list | tuple) else [given])]
    return any(str(name).startswith(EMBEDDED) for name in names)
