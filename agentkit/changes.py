"""Deciding about changes and rolling back, for anything that evolves; the ledger's part is the same for all of it.

Each kind of target supplies what the ledger can't know: how a change that was held back takes effect, and how an
earlier version becomes current again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentkit.errors import UserError
from agentkit.ledger import Change, Ledger, Verdict
from agentkit.store import Store


@dataclass(frozen=True, kw_only=True)
class TargetKind:
    """One kind of target.

    Attributes:
        release: applies a change that is waiting or in quarantine, with a person's verdict.
        rollback: makes an earlier version of the named target current, by a new change; the last argument is the
            reason.
    """

    release: Callable[[Store, Change, Verdict], Change]
    rollback: Callable[[Store, str, int, str], Change]


def find_target(store: Store, name: str) -> str:
    """The target with this name: `playbook:default`, or just `default` where that is unambiguous.

    Raises:
        UserError: there is no such target, or more than one; the message lists them.
    """
    known = Ledger(store).targets()
    found = [name] if name in known else [target for target in known if target.partition(":")[2] == name]
    if len(found) == 1:
        return found[0]
    among = ", ".join(found or known) or "none yet"
    raise UserError(f"{name!r} {'could be any of' if found else 'is not a target; there are'}: {among}")


def decide(store: Store, change_id: str, *, accept: bool, reason: str) -> Change:
    """Accept or reject a change that is waiting or in quarantine.

    Args:
        change_id: its id, or a unique prefix of it.

    Raises:
        UserError: no such change, or a kind that is decided elsewhere.
        Conflict: it has been applied already, or conflicts with later changes.
    """
    ledger = Ledger(store)
    change = ledger.get(change_id)
    if not accept:
        return ledger.decide(change.id, Verdict(decision="reject", reason=reason))
    return _kind(change.kind).release(store, change, Verdict(decision="accept", reason=reason))


def rollback(store: Store, target: str, version: int, *, reason: str = "") -> Change:
    """Restore a target to an earlier version, by a new change that can itself be rolled back.

    Raises:
        UserError: no such target or version, or a kind that can't be rolled back.
    """
    ledger, name = Ledger(store), find_target(store, target)
    newest = ledger.version(name)
    if not 0 <= version <= newest:
        raise UserError(f"{name} has versions 0 to {newest}, not {version}")
    (last,) = ledger.history(name, limit=1)
    return _kind(last.kind).rollback(store, name.partition(":")[2], version, reason)


def _kind(name: str) -> TargetKind:
    if name not in KINDS:
        raise UserError(f"a change of kind {name!r} can't be decided or rolled back here")
    return KINDS[name]


def _release_playbook(store: Store, change: Change, verdict: Verdict) -> Change:
    from agentkit.playbooks import PlaybookStore

    return PlaybookStore.open(store, change.target.partition(":")[2]).release(change.id, verdict)


def _rollback_playbook(store: Store, name: str, version: int, reason: str) -> Change:
    from agentkit.playbooks import PlaybookStore

    return PlaybookStore.open(store, name).rollback(version, reason=reason)


def _release_cases(store: Store, change: Change, verdict: Verdict) -> Change:
    from agentkit.memory import open_cases
    from agentkit.memory.evolvable import MemoryEvolvable

    memory = open_cases(store, change.target.partition(":")[2])
    (namespace,) = _namespaces([change])
    return MemoryEvolvable(memory, namespace=namespace).apply(change, verdict)


def _rollback_memory(store: Store, name: str, version: int, reason: str) -> Change:
    """Quarantine the cases learnt since that version, in every namespace, and restore the retrieval policy."""
    from agentkit.memory import open_cases
    from agentkit.memory.evolvable import MemoryEvolvable

    memory, ledger = open_cases(store, name), Ledger(store)
    newest = ledger.version(memory.target)
    since = ledger.applied(memory.target, after=version)
    done = [
        MemoryEvolvable(memory, namespace=namespace).rollback(
            version, key=f"{memory.target}:rollback:{newest}:{version}:{namespace}", reason=reason
        )
        for namespace in _namespaces(since)
    ]
    return done[-1]


def _namespaces(changes: list[Change]) -> list[str]:
    found = {str(operation.get("namespace", "default")) for change in changes for operation in change.operations}
    return sorted(found) or ["default"]


def _release_as_it_is(store: Store, change: Change, verdict: Verdict) -> Change:
    return Ledger(store).apply(change.id, lambda connection, applied: None, verdict=verdict)


def _rollback_calibration(store: Store, name: str, version: int, reason: str) -> Change:
    from agentkit.confidence.store import CalibrationStore

    fitted = CalibrationStore(store, name)
    return Ledger(store).at(fitted.target, fitted.rollback(version, reason=reason))


def _rollback_effort(store: Store, name: str, version: int, reason: str) -> Change:
    from agentkit.routing import EffortRecord

    return EffortRecord(store, name).rollback(version, reason=reason)


def _release_adapter(store: Store, change: Change, verdict: Verdict) -> Change:
    from agentkit.adapters import AdapterStore

    return AdapterStore(store, change.target.partition(":")[2]).apply(change, verdict)


def _rollback_adapter(store: Store, name: str, version: int, reason: str) -> Change:
    from agentkit.adapters import AdapterStore

    return AdapterStore(store, name).rollback(version, reason=reason)


def _release_claims(store: Store, change: Change, verdict: Verdict) -> Change:
    raise UserError(f"claims are decided one by one: agentkit kb review {change.target.partition(':')[2]}")


def _rollback_claims(store: Store, name: str, version: int, reason: str) -> Change:
    from agentkit.curation.kb.knowledge_base import KnowledgeBase

    return KnowledgeBase(store, name).rollback(version, note=reason)


def _rollback_verifier(store: Store, name: str, version: int, reason: str) -> Change:
    from agentkit.curation.learning.store import VerifierStore

    fitted = VerifierStore(store, name)
    return Ledger(store).at(fitted.target, fitted.rollback(version, reason=reason))


def _no_release(store: Store, change: Change, verdict: Verdict) -> Change:
    raise UserError(f"change {change.id} records feedback, which is never held back")


def _no_rollback(store: Store, name: str, version: int, reason: str) -> Change:
    raise UserError(f"credit:{name} records feedback: give other feedback on the run (agentkit feedback)")


KINDS = {
    "playbook": TargetKind(release=_release_playbook, rollback=_rollback_playbook),
    "policy": TargetKind(release=_release_cases, rollback=_rollback_memory),
    "calibration": TargetKind(release=_release_as_it_is, rollback=_rollback_calibration),
    "effort": TargetKind(release=_release_as_it_is, rollback=_rollback_effort),
    "adapter": TargetKind(release=_release_adapter, rollback=_rollback_adapter),
    "knowledge": TargetKind(release=_release_claims, rollback=_rollback_claims),
    "verifier": TargetKind(release=_release_as_it_is, rollback=_rollback_verifier),
    "credit": TargetKind(release=_no_release, rollback=_no_rollback),
}
"""Every kind of target, by the `kind` of its changes. Register a new kind here."""
