"""The store of verifiers, each version a change in the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from agentkit.confidence.fitted import FittedStore
from agentkit.curation.learning.verifier import Verifier, prior
from agentkit.json_types import JsonObject


@dataclass(frozen=True, kw_only=True)
class StoredVerifier:
    """A verifier with its version in the ledger; version 0 is the prior."""

    verifier: Verifier
    version: int
    kept: bool = False
    """Whether a person rolled back to it: reviews then don't fit a new one until `relearn` is requested."""


class VerifierStore(FittedStore):
    """The verifiers of one knowledge base, by its name."""

    kind, role, signal = "verifier", "verifier", "user"

    def current(self) -> StoredVerifier:
        """The verifier in force; the prior if none has been fitted."""
        return self.at(self.version)

    def at(self, version: int) -> StoredVerifier:
        """The verifier of a version.

        Raises:
            UserError: there is no such version.
        """
        operation = self._operation(version)
        verifier = Verifier.from_json(operation["verifier"])
        return StoredVerifier(verifier=verifier, version=version, kept=operation["op"] == "rollback")

    def save(self, verifier: Verifier, *, source: str) -> int:
        """Put a verifier in force and return its version; saving the current one again changes nothing."""
        return self._save({"verifier": verifier.to_json()}, source=source)

    def _first(self) -> JsonObject:
        return {"verifier": prior().to_json()}
