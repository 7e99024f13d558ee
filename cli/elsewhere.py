"""`--ray` and what goes with it: work done by several processes, here or on a cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli.agent_options import spelt_out
from agentkit.errors import UserError

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.distributed import Cluster
    from agentkit.distributed.shared import Shared
    from agentkit.settings import Settings

Ray = Annotated[
    str | None,
    typer.Option(
        "--ray", metavar="local|HOST:PORT", help="Work on several processes: of this machine, or of a Ray cluster."
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, help="With --ray: processes; one a processor where not given.")]
PerMinute = Annotated[
    float | None, typer.Option(min=0.001, help="With --ray: model calls that all of them start in a minute.")
]


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """What was said of other processes.

    Attributes:
        ray: where they are; None for this process alone.
        per_minute, tokens, cost: what they share.

    Raises:
        UserError: something is said of workers, and there are none.
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
        """What all workers together may use."""
        from agentkit.distributed.shared import Shared
        from agentkit.models import Budget

        return Shared(per_minute=self.per_minute, budget=Budget(tokens=self.tokens, cost=self.cost))

    def open(self, settings: Settings) -> AbstractContextManager[Cluster | None]:
        """The cluster while the block lasts; None where the work is done here."""
        if self.ray is None:
            return nullcontext()
        from agentkit.distributed import Cluster

        return Cluster(self.ray, workers=self.workers, home=settings.home)

    @contextmanager
    def rollouts(self, agent: Agent) -> Iterator[None]:
        """While the block lasts, the agent's runs are made there."""
        with self.open(agent.settings) as cluster, aside(cluster):
            if cluster is None:
                yield
                return
            from agentkit.distributed import rollouts_on

            with rollouts_on(cluster, agent, shared=self.shared):
                yield


with_elsewhere = spelt_out("there", Elsewhere, ("ray", "workers", "per_minute"))
"""A command whose parameter `there` is an `Elsewhere`: `--ray` and what goes with it."""


def aside(cluster: Cluster | None) -> AbstractContextManager[object]:
    """Ray tells of machines that died on standard output, where the report belongs: it goes to standard error."""
    return nullcontext() if cluster is None else redirect_stdout(sys.stderr)
