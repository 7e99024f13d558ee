"""The gate of daily use: an edit is tried on randomly chosen runs, and takes effect once they show that it helps.

In production there is no hold-out, so the stream of tasks itself is the experiment. An edit on probation is not in the
playbook; for each run, a coin decides whether the run is given the edit. The coin and its probability are stored with
the run, and the run's outcome becomes a bet. With score y, coin z = ±1 and b the mean outcome so far, z (y − b) has the
mean (gain / 2) no matter what b is. So an e-process against "no gain" (Waudby-Smith & Ramdas, JRSS-B 2024, see
`agentkit.statistics`) may be inspected after every run. An edit is released when the evidence for a gain is strong
enough, withdrawn when that for harm is, and rejected if neither happens in time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from agentkit.errors import Conflict
from agentkit.json_types import JsonObject
from agentkit.ledger import Change, Decision, Verdict
from agentkit.playbooks.operations import Delta
from agentkit.playbooks.playbook import Playbook
from agentkit.playbooks.storage import PlaybookStore
from agentkit.protocols import Offer
from agentkit.statistics.eprocess import Betting
from agentkit.store.base import now
from agentkit.store.playbooks import ExposureRow

ON_TRIAL = ":trial"
"""Suffix of the keys of changes that are tried on later runs."""


@dataclass(frozen=True, kw_only=True)
class StreamPolicy:
    """How much evidence an edit needs.

    Attributes:
        share: the probability that a run is given the edit.
        at_once: how many edits are tried at the same time, each with its own coins; others wait.
        level: the probability of releasing an edit that has no gain.
        harm_level: the probability of withdrawing one that does no harm.
        most: an edit that has shown no gain after this many runs is rejected, so that the next one can be tried.
    """

    share: float = 0.5
    at_once: int = 2
    level: float = 0.05
    harm_level: float = 0.1
    most: int = 400


class StreamGate:
    """Tries edits of one playbook on incoming runs. Every step is idempotent by run and by change."""

    def __init__(self, book: PlaybookStore, policy: StreamPolicy | None = None) -> None:
        self.book, self.policy = book, policy or StreamPolicy()
        self.target = trial_target(book.target)

    def enter(self, delta: Delta) -> Change:
        """Put an edit on probation or in the queue for it, without applying it."""
        reason = f"on probation: shown to {self.policy.share:.0%} of the runs, at random, until they decide"
        return self.book.hold(delta, Verdict(decision="quarantine", reason=reason))

    def running(self) -> list[Change]:
        """The edits being tried now, oldest first."""
        waiting = self.book.ledger.history(self.book.target, status="quarantined")
        return [change for change in reversed(waiting) if change.key.endswith(ON_TRIAL)][: self.policy.at_once]

    def draw(self, book: Playbook, run_id: str) -> tuple[Playbook, tuple[Offer, ...]]:
        """The playbook that a run is given, and the coins tossed for it; the same run always gets the same."""
        offers = []
        for change in self.running():
            offer = Offer(id=change.id, shown=self._coin(run_id, change.id), probability=self.policy.share)
            try:
                tried = self.book.preview([change], on=book)
            except Conflict:
                continue  # it is settled when the next run is learnt from
            offers.append(offer)
            book = tried if offer.shown else book
        return book, tuple(offers)

    def observe(self, run_id: str, coins: Sequence[Offer], score: float) -> None:
        """Record a run's score for each edit that it was given or denied."""
        fixed = {"target": self.target, "run_id": run_id[:64], "score": score, "weight": 1.0, "created_at": now()}
        rows = [{**fixed, "bullet_id": o.id, "shown": o.shown, "probability": o.probability} for o in coins]
        store = self.book.store
        store.transaction(lambda connection: store.insert_new(connection, ExposureRow, rows))

    def settle(self) -> list[Change]:
        """Carry out what the evidence decides; returns the edits that were decided just now."""
        return [done for change in self.running() if (done := self._settle(change)).status != "quarantined"]

    def _settle(self, change: Change) -> Change:
        try:
            self.book.preview([change])
        except Conflict as error:
            return self.book.ledger.decide(change.id, Verdict(decision="ask", reason=f"conflict: {error}"))
        verdict = judge(self.runs(change.id), self.policy)
        if verdict is None:
            return change
        if verdict.decision == "accept":
            return self.book.release(change.id, verdict)
        return self.book.ledger.decide(change.id, verdict)

    def runs(self, change_id: str) -> list[tuple[bool, float]]:
        """`(given, score)` of the runs for which a coin was tossed, in the order in which they ended."""
        row = ExposureRow
        query = select(row.shown, row.score).where(row.target == self.target, row.bullet_id == change_id)
        with self.book.store.read() as connection:
            return [
                (bool(shown), float(score))
                for shown, score in connection.execute(query.order_by(row.created_at, row.run_id))
            ]

    def report(self) -> list[JsonObject]:
        """The state of each edit on probation."""
        return [{"change": change.id, **evidence(self.runs(change.id), self.policy.share)} for change in self.running()]

    def _coin(self, run_id: str, change_id: str) -> bool:
        drawn = hashlib.blake2b(f"{run_id}\x1f{change_id}".encode(), digest_size=8).digest()
        return int.from_bytes(drawn, "big") / 2**64 < self.policy.share


def trial_target(target: str) -> str:
    """The name under which the runs of a playbook's trials are stored."""
    return f"trial:{target}"


def judge(runs: Sequence[tuple[bool, float]], policy: StreamPolicy) -> Verdict | None:
    """The runs' verdict on an edit; None while they are inconclusive. The first threshold that is crossed decides."""
    gain, harm = Betting(0.0), Betting(0.0)
    for number, bet in enumerate(_bets(runs, policy.share), 1):
        for_it, against = gain.add(bet), harm.add(-bet)
        seen = f"{number} runs"
        found = (
            ("accept", f"better with it: {seen}")
            if for_it >= 1 / policy.level
            else ("reject", f"worse with it: {seen}")
            if against >= 1 / policy.harm_level
            else ("reject", f"no gain was seen in {seen}")
            if number >= policy.most
            else None
        )
        if found is not None:
            decision: Decision = "accept" if found[0] == "accept" else "reject"
            return Verdict(decision=decision, reason=found[1], evidence=evidence(runs[:number], policy.share))
    return None


def _bets(runs: Sequence[tuple[bool, float]], share: float) -> Iterator[float]:
    """Values in [-1, 1] whose mean has the sign of the edit's effect, and is 0 if it has none."""
    total = 0.0
    for number, (shown, score) in enumerate(runs):
        coin = (1 - share if shown else -share) / max(share, 1 - share)
        yield coin * (score - (total / number if number else 0.5))
        total += score


def evidence(runs: Sequence[tuple[bool, float]], share: float = 0.5) -> JsonObject:
    """The counts, means and betting curve of an edit's trial, as JSON values."""
    gain, harm, curve = Betting(0.0), Betting(0.0), []
    for bet in _bets(runs, share):
        harm.add(-bet)
        curve.append(round(gain.add(bet), 3))
    given, denied = [s for shown, s in runs if shown], [s for shown, s in runs if not shown]
    return {
        "test": "betting on coins thrown in daily runs",
        "runs": len(runs),
        "given": len(given),
        "denied": len(denied),
        "mean_given": _mean(given),
        "mean_denied": _mean(denied),
        "e_value": round(gain.capital, 4),
        "e_harm": round(harm.capital, 4),
        "curve": curve[-400:],
        "share": share,
    }


def _mean(scores: Sequence[float]) -> float | None:
    return round(sum(scores) / len(scores), 4) if scores else None
