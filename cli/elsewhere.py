"""`--ray` and its companions: work done by several processes, on this machine or on a cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli.agent_options import spelt_out
from agentkit.errors import UserError

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.distributed import Cluster
    from agentkit.distributed.shared import Shared
    from agentkit.embedding import Embedder
    from agentkit.settings import Settings

Ray = Annotated[
    str | None,
    typer.Option(
        "--ray", metavar="local|HOST:PORT", help="Work in several processes, on this machine or on a Ray cluster."
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="With --ray: number of processes. Default: one per processor.")
]
PerMinute = Annotated[
    float | None, typer.Option(min=0.001, help="With --ray: model calls per minute, by all processes together.")
]


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """The options that concern other processes.

    Attributes:
        ray: where the processes are; None to use this process alone.
        per_minute, tokens, cost: limits that the processes share.

    Raises:
        UserError: an option for workers is given without `--ray`.
    """

    ray: Ray = None
    workers: Workers = None
    per_minute: PerMinute = None
    tokens: int | None = field(default=None)
    cost: float | None = field(default=None)

    def __post_init__(self) -> None:
        if self.ray is None:
            for name in ("workers", "per_minute", "tokens", "cost"):
                if getattr(self, name) is not None:
                    raise UserError(f"--{name.replace('_', '-')} goes with --ray: write  --ray local")

    def refuse(self, option: str) -> None:
        """Raises UserError: something was asked for elsewhere that is done in this process alone."""
        if self.ray is not None:
            raise UserError(f"{option} works in this process alone: leave --ray out")

    @property
    def shared(self) -> Shared:
        """The limits for all workers together."""
        from agentkit.distributed.shared import Shared
        from agentkit.models import Budget

        return Shared(per_minute=self.per_minute, budget=Budget(tokens=self.tokens, cost=self.cost))

    @contextmanager
    def open(self, settings: Settings) -> Iterator[Cluster | None]:
        """The cluster, open for the duration of the block; None if the work is done in this process.

        Ray reports machines that died on standard output, where the command's report belongs, some of it not before it
        is closed: until then standard output goes to standard error.
        """
        if self.ray is None:
            yield None
            return
        from agentkit.distributed import Cluster

        with redirect_stdout(sys.stderr), Cluster(self.ray, workers=self.workers, home=settings.home) as cluster:
            yield cluster

    @contextmanager
    def rollouts(self, agent: Agent) -> Iterator[None]:
        """While the block lasts, the agent's runs are made there."""
        with self.open(agent.settings) as cluster:
            if cluster is None:
                yield
                return
            from agentkit.distributed import rollouts_on

            with rollouts_on(cluster, agent, shared=self.shared):
                yield

    @contextmanager
    def embedders(self, settings: Settings) -> Iterator[Callable[[str], Embedder]]:
        """A function that makes an embedder from its name, for the duration of the block."""
        from functools import partial

        with self.open(settings) as cluster:
            if cluster is None:
                from agentkit.memory.opening import named_embedder

                yield named_embedder
                return
            from agentkit.distributed import embedder_on

            yield partial(embedder_on, cluster)


with_elsewhere = spelt_out("there", Elsewhere, ("ray", "workers", "per_minute"))
"""A command whose parameter `there` is an `Elsewhere`: `--ray` and what goes with it."""
