"""Verifiers in the ledger: each fit is a change that can be shown, compared and taken back."""

from __future__ import annotations

from dataclasses import dataclass

from agentkit.curation.learning.verifier import Verifier, prior
from agentkit.json_types import JsonObject
from agentkit.ledger import Change, Ledger, digest
from agentkit.store import Store


@dataclass(frozen=True, kw_only=True)
class StoredVerifier:
    """A verifier as the ledger holds it: version 0 is the prior."""

    verifier: Verifier
    version: int
    kept: bool = False
    """Whether a person went back to it: reviews don't fit another until `relearn` is asked for."""


class VerifierStore:
    """The verifiers of one knowledge base. The ledger alone holds them: a version is the change that made it."""

    def __init__(self, store: Store, kb: str) -> None:
        self.target = f"verifier:{kb}"
        self._ledger = Ledger(store)

    @property
    def version(self) -> int:
        return self._ledger.version(self.target)

    def current(self) -> StoredVerifier:
        """The one in force; the prior before the first."""
        return self.at(self.version)

    def at(self, version: int) -> StoredVerifier:
        """The one of a version.

        Raises:
            UserError: no such version.
        """
        if version == 0:
            return StoredVerifier(verifier=prior(), version=0)
        operation = self._ledger.at(self.target, version).operations[0]
        verifier = Verifier.from_json(operation["verifier"])
        return StoredVerifier(verifier=verifier, version=version, kept=operation["op"] == "rollback")

    def save(self, verifier: Verifier, *, source: str) -> int:
        """Put a verifier in force and return its version; the same one again changes nothing."""
        if self.current().verifier == verifier:
            return self.version
        return self._commit({"op": "fit", "verifier": verifier.to_json()}, source=source)

    def rollback(self, version: int, *, reason: str = "") -> int:
        """Put an earlier verifier in force again, as a new version."""
        earlier = self.at(version).verifier
        operation = {"op": "rollback", "to": version, "verifier": earlier.to_json()}
        return self._commit(operation, source="", note=reason)

    def _commit(self, operation: JsonObject, *, source: str, note: str = "") -> int:
        base = self.version
        change = Change(
            key=f"{self.target}:{base}:{digest(operation)[:16]}",
            kind="verifier",
            target=self.target,
            base=base,
            operations=(operation,),
            role="verifier",
            source=source,
            signal="user",
            note=note,
        )
        return self._ledger.commit(change, lambda connection, applied: None).version or base
