"""Typed events of a curation, in the order in which they happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentkit.graph.events import Event


@dataclass(frozen=True, kw_only=True)
class CurationEvent:
    """Base of all events of a curation; `source` is the paper's file or address."""

    source: str


@dataclass(frozen=True, kw_only=True)
class PaperRead(CurationEvent):
    """All of the plan's questions about a paper were asked."""

    id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class PaperNotice(CurationEvent):
    """Something about a paper that a person should know, in one line."""

    reason: str


class PaperUnread(PaperNotice):
    """A file could not be read as a paper, and is skipped."""


class PaperTooLong(PaperNotice):
    """A paper is too long for a prompt: passages are chosen for each question."""


class PaperStopped(PaperNotice):
    """The remaining questions about a paper were skipped."""


class PaperBusy(PaperNotice):
    """Another process is working on the paper."""


@dataclass(frozen=True, kw_only=True)
class WorkFailed(PaperNotice):
    """A question failed; `state` says whether it will be asked again."""

    state: str


@dataclass(frozen=True, kw_only=True)
class WorkDone(CurationEvent):
    """A question was answered or failed, see `state`; with the claims and usage of the run so far."""

    state: str
    claims: int
    tokens: int
    cost: float


OnCuration = Callable[[CurationEvent | Event], None]
"""Receives the events of a curation, and those of the state machine that its questions pass through."""


def silent(event: CurationEvent | Event) -> None:
    """Ignore an event."""
