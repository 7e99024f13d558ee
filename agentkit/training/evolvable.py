"""Adapters in the loops of `agentkit.evolution`: a newly trained adapter is a proposed change like any other."""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.adapters import AdapterRecaller, AdapterStore, of_change
from agentkit.errors import Conflict
from agentkit.ledger import Change, Verdict
from agentkit.protocols import Recaller


class AdapterEvolvable:
    """An adapter, by name. It gives a run no text, but the weights that its explorer answers with."""

    def __init__(self, adapters: AdapterStore) -> None:
        self.adapters = adapters

    @property
    def target(self) -> str:
        return self.adapters.target

    def version(self) -> int:
        return self.adapters.version()

    def at(self, version: int) -> Recaller:
        return AdapterRecaller(self.adapters, version=version)

    def with_changes(self, changes: Sequence[Change]) -> Recaller:
        """Raise Conflict unless there is one change: an adapter is trained from scratch and replaces the last."""
        if len(changes) != 1:
            raise Conflict(f"{self.target}: adapters are tried one at a time, not {len(changes)} at once")
        if (candidate := of_change(changes[0])) is None:
            return AdapterRecaller(self.adapters, version=0)
        return AdapterRecaller(self.adapters, version=self.version() + 1, candidate=candidate)

    def without(self, change: Change) -> Recaller:
        if change.version != self.version():
            raise Conflict(f"{self.target}: a later version has replaced {change.id}")
        return self.at(self._before(change.version))

    def _before(self, version: int) -> int:
        """The newest earlier version that has not been withdrawn; 0, the bare model, if there is none."""
        earlier = self.adapters.ledger.applied(self.target, upto=version - 1)
        return next((int(change.version or 0) for change in reversed(earlier) if change.status != "withdrawn"), 0)

    def scope(self, change: Change) -> frozenset[str]:
        return frozenset(["*"])

    def apply(self, change: Change, verdict: Verdict) -> Change:
        return self.adapters.apply(change, verdict)

    def withdraw(self, change: Change, *, reason: str) -> Change:
        """Withdraw an adapter; if a later one has replaced it, nothing is left to undo."""
        done = change
        if change.version is not None and change.version == self.version():
            done = self.adapters.rollback(self._before(change.version), key=f"{change.id}:withdrawn", reason=reason)
        self.adapters.ledger.withdraw(change.id, reason=reason)
        return done

    def rollback(self, version: int, *, key: str, reason: str) -> Change:
        return self.adapters.rollback(version, key=key, reason=reason)
