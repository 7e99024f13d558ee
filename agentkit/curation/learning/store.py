"""Verifiers in the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from agentkit.confidence.fitted import FittedStore
from agentkit.curation.learning.verifier import Verifier, prior
from agentkit.json_types import JsonObject


@dataclass(frozen=True, kw_only=True)
class StoredVerifier:
    """A verifier as the ledger holds it: version 0 is the prior."""

    verifier: Verifier
    version: int
    kept: bool = False
    """Whether a person went back to it: reviews don't fit another until `relearn` is asked for."""


class VerifierStore(FittedStore):
    """The verifiers of one knowledge base, by its name."""

    kind, role, signal = "verifier", "verifier", "user"

    def current(self) -> StoredVerifier:
        """The one in force; the prior before the first."""
        return self.at(self.version)

    def at(self, version: int) -> StoredVerifier:
        """The one of a version.

        Raises:
            UserError: no such version.
        """
        operation = self._operation(version)
        verifier = Verifier.from_json(operation["verifier"])
        return StoredVerifier(verifier=verifier, version=version, kept=operation["op"] == "rollback")

    def save(self, verifier: Verifier, *, source: str) -> int:
        """Put a verifier in force and return its version; the same one again changes nothing."""
        return self._save({"verifier": verifier.to_json()}, source=source)

    def _first(self) -> JsonObject:
        return {"verifier": prior().to_json()}
