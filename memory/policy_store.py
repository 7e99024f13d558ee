"""PolicyStore: the learnt state of a memory's retrieval policy, as changes in the ledger with full snapshots."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from sqlalchemy import Connection, delete, select

from agentkit.errors import IntegrityError, UserError
from agentkit.json_types import JsonObject
from agentkit.ledger import Change, Ledger
from agentkit.memory.case import Case
from agentkit.memory.exposures import ExposureLog, Recall
from agentkit.memory.value import FEATURES, EffectEvidence, EffectModel, ValueSettings
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.cases import PolicySnapshotRow

_HEAD, _EFFECT, _HEAVY = "value", "effect:", "parametric"
Then = Callable[[Connection, Change], None]


class PolicyStore:
    """The effect model of one memory. A complete snapshot is written in the transaction of the change that produced
    it."""

    def __init__(self, store: Store, memory: str, *, settings: ValueSettings | None = None) -> None:
        self.store, self.memory, self.target = store, memory, f"policy:{memory}"
        self.ledger, self.log, self.settings = Ledger(store), ExposureLog(store, memory), settings or ValueSettings()

    def version(self) -> int:
        return self.ledger.version(self.target)

    def current(self, ids: Iterable[str] | None = None) -> EffectModel:
        """The policy after the last applied change, with its beliefs about these cases (None: about all).

        Raises:
            IntegrityError: a snapshot does not match its hash.
        """
        with self.store.read() as connection:
            return self._load(connection, ids)

    def _load(self, connection: Connection, ids: Iterable[str] | None = None) -> EffectModel:
        table = PolicySnapshotRow
        query = select(table.policy, table.state, table.hash).where(table.target == self.target, table.policy != _HEAVY)
        if ids is not None:
            query = query.where(table.policy.in_([_HEAD, *(_EFFECT + id for id in ids)]))
        rows = {row.policy: _checked(row.state, row.hash, self.target) for row in connection.execute(query)}
        effects = {
            name.removeprefix(_EFFECT): json.loads(data) for name, data in rows.items() if name.startswith(_EFFECT)
        }
        return EffectModel.load(
            rows.get(_HEAD), {id: EffectEvidence(*found) for id, found in effects.items()}, self.settings
        )

    def learn(
        self,
        run_id: str,
        namespace: str,
        outcome: float | None,
        *,
        role: str = "memory",
        model: str = "",
        source: str = "",
        signal: str = "",
        note: str = "",
        then: Then | None = None,
    ) -> Change:
        """Learn from one run's outcome; a second call does nothing.

        Args:
            outcome: the run's reward; None teaches nothing, but still makes a change with whatever `then` writes.
            then: further writes for the same transaction, such as the run's case.
        """
        operations = ({"op": "outcome", "run": run_id, "namespace": namespace, "reward": outcome},)
        change = Change(
            key=f"{run_id}:{self.target}:{namespace}",
            kind="policy",
            target=self.target,
            base=self.version(),
            operations=operations,
            role=role,
            model=model,
            run_id=run_id,
            source=source,
            signal=signal,
            note=note,
        )

        def effect(connection: Connection, applied: Change) -> None:
            if then is not None:
                then(connection, applied)
            if outcome is not None:
                self.take_outcome(connection, run_id, namespace, outcome, applied.version or 0)

        return self.ledger.commit(change, effect)

    def take_outcome(self, connection: Connection, run_id: str, namespace: str, outcome: float, version: int) -> None:
        """Teach the policy a run's outcome, inside the transaction of the change that makes this version; a run that
        was given no cases teaches nothing."""
        recall = self.log._find(connection, run_id, namespace)
        if recall is None or recall.learnt is not None:
            return
        value = self._load(connection, [offer.case_id for offer in recall.offers])
        take_in(value, recall, outcome)
        self._save(connection, value, version, [offer.case_id for offer in recall.offers if offer.shown])
        self.log.record(connection, run_id, namespace, outcome, version)

    def retake_outcome(self, connection: Connection, run_id: str, namespace: str, outcome: float, version: int) -> None:
        """Like `take_outcome`, but a different outcome may have been learnt for the run before; the policy then becomes
        what it would be if this one had been learnt instead."""
        recall = self.log._find(connection, run_id, namespace)
        if recall is None or recall.learnt is None:
            self.take_outcome(connection, run_id, namespace, outcome, version)
        elif recall.outcome != outcome:
            self.log.record(connection, run_id, namespace, outcome, recall.learnt)
            self.rewrite(connection, version)

    def _save(self, connection: Connection, value: EffectModel, version: int, ids: Iterable[str]) -> None:
        rows = {_HEAD: value.head()}
        rows |= {_EFFECT + id: json.dumps(value.effects[id]).encode() for id in ids if id in value.effects}
        for policy, state in rows.items():
            self._put(connection, policy, state, version)

    def _put(self, connection: Connection, policy: str, state: bytes, version: int) -> None:
        row = {
            "target": self.target,
            "policy": policy,
            "version": version,
            "state": state,
            "hash": hashlib.sha256(state).hexdigest(),
            "created_at": now(),
        }
        statement = self.store.insert(PolicySnapshotRow)
        changed = {name: row[name] for name in ("version", "state", "hash", "created_at")}
        connection.execute(statement.on_conflict_do_update(index_elements=["target", "policy"], set_=changed), row)

    def replay(self, *, upto: int | None = None) -> EffectModel:
        """The policy rebuilt from nothing but the log of offers and outcomes, as of any version."""
        with self.store.read() as connection:
            return self._replay(connection, upto)

    def _replay(self, connection: Connection, upto: int | None = None) -> EffectModel:
        value = EffectModel(settings=self.settings)
        for recall in self.log.learnt(connection, upto=upto):
            assert recall.outcome is not None
            take_in(value, recall, recall.outcome)
        return value

    def rewrite(self, connection: Connection, version: int, *, upto: int | None = None) -> EffectModel:
        """Replace every snapshot by a replay of the current log, inside the caller's transaction."""
        value = self._replay(connection, upto)
        connection.execute(delete(PolicySnapshotRow).where(PolicySnapshotRow.target == self.target))
        self._save(connection, value, version, list(value.effects))
        return value

    def change(self, operation: JsonObject, effect: Then, *, key: str, role: str = "person", note: str = "") -> Change:
        """Apply any other change to the policy, such as training or a rollback."""
        change = Change(
            key=key,
            kind="policy",
            target=self.target,
            base=self.version(),
            operations=(operation,),
            role=role,
            note=note,
        )
        return self.ledger.commit(change, effect)

    def touch(self, name: str, cases: Sequence[Case], effect: Then, *, role: str) -> None:
        """Modify cases as a change in the ledger that names them; does nothing if there are none."""
        if not cases:
            return
        ids = sorted(f"{case.namespace}/{case.id}" for case in cases)
        key = f"{self.target}:{name}:{self.version()}:{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:16]}"
        self.change({"op": name, "cases": ids}, effect, key=key, role=role)

    def rollback(self, version: int, *, reason: str = "") -> Change:
        """Restore the policy to an earlier version, by a new change; outcomes since then no longer count.

        Raises:
            UserError: no such version.
        """
        newest = self.version()
        if not 0 <= version <= newest:
            raise UserError(f"{self.target} has versions 0 to {newest}, not {version}")

        def effect(connection: Connection, applied: Change) -> None:
            self.log.unlearn(connection, after=version)
            self.rewrite(connection, applied.version or 0, upto=version)

        operation = {"op": "rollback", "version": version}
        return self.change(operation, effect, key=f"{self.target}:rollback:{newest}:{version}", note=reason)

    def save_heavy(self, connection: Connection, state: bytes, version: int) -> None:
        """Store the trained head of the parametric policy."""
        self._put(connection, _HEAVY, state, version)

    def heavy_version(self) -> int | None:
        """The version that stored a trained head; None if there is none."""
        table = PolicySnapshotRow
        query = select(table.version).where(table.target == self.target, table.policy == _HEAVY)
        with self.store.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def heavy(self) -> bytes | None:
        """The trained head of the parametric policy, if there is one."""
        table = PolicySnapshotRow
        query = select(table.state, table.hash).where(table.target == self.target, table.policy == _HEAVY)
        with self.store.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _checked(row.state, row.hash, self.target)


def take_in(value: EffectModel, recall: Recall, outcome: float) -> None:
    """Update beliefs with one run."""
    shown = [offer for offer in recall.offers if offer.shown]
    features = np.array([offer.features for offer in shown], dtype=float).reshape(-1, FEATURES)
    relevance = max((offer.features[-1] for offer in recall.offers if offer.features), default=0.0)
    value.update(relevance, [offer.case_id for offer in shown], features, outcome)


def _checked(state: bytes, digest: str, target: str) -> bytes:
    if hashlib.sha256(state).hexdigest() != digest:
        raise IntegrityError(f"{target}: a snapshot does not match its hash; run  agentkit memory verify --repair")
    return state
