"""Typed events of an evolution, in the order in which they happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EvolutionEvent:
    """Base of all events of an evolution."""


@dataclass(frozen=True, kw_only=True)
class BatchDone(EvolutionEvent):
    """A batch has been run, learnt from and decided.

    Attributes:
        done, total: batches over all epochs.
        accuracy: of all runs so far; None if none could be scored.
        accepted, rejected, quarantined: numbers of changes so far.
        tokens: used so far.
        seconds_left: estimated from the speed so far.
    """

    epoch: int
    batch: int
    done: int
    total: int
    accuracy: float | None
    accepted: int
    rejected: int
    quarantined: int
    tokens: int
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class Validated(EvolutionEvent):
    """A state was scored on the tasks reserved for choosing a version."""

    versions: Mapping[str, int]
    score: float | None
    tasks: int


@dataclass(frozen=True, kw_only=True)
class Probed(EvolutionEvent):
    """A stream answered its frozen probes: accuracy by kind of probe, after `tasks` tasks."""

    tasks: int
    accuracy: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class EvolutionEnded(EvolutionEvent):
    """Learning has ended and a version of each target has been chosen."""

    status: str
    chosen: Mapping[str, int]


OnEvolution = Callable[[EvolutionEvent], None]


def silent(event: EvolutionEvent) -> None:
    """The default listener: ignores the event."""
