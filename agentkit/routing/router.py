"""LearnedRouter: chooses the mode that pays off for a kind of task, learnt from how runs of that kind went.

The modes are the arms of the same kind of bandit that chooses forms of recall (`agentkit.memory.choosing`): a Beta
belief for each, Thompson sampling, the probability of each choice logged, and a mode's cost subtracted from its success
rate. A²FM (arXiv 2510.12838) learns this with a policy gradient inside the model; here it is learnt online, outside the
model. Cost counts in doublings, so that no mode is ruled out by its cost alone: if reasoning takes eight times as long,
it must be right in an additional three times `PRICE` of its runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from agentkit.graph.effort import Asking, Decision, Mode, Rules, Situation
from agentkit.routing.outcomes import kind_in
from agentkit.routing.record import EffortOutcome, EffortRecord
from agentkit.routing.worth import LEAST_ASKED, Levels, levels_of
from agentkit.store import Store
from agentkit.store.run_log import RunLog

if TYPE_CHECKING:
    from agentkit.memory.choosing import Belief, Seen

LEAST = 8
"""Rules decide until a kind of task has this many outcomes; and no mode is tried out until this many come from actual
use, since nothing can be learnt from trying if runs never get feedback."""
LEAST_OF_A_MODE = 4
"""A mode with fewer outcomes is only tried out, never considered the better one."""
HISTORY = 200
"""Beliefs rest on this many of the newest outcomes of a kind of task."""
PRICE = 0.02
"""Success rate that a mode must add for each doubling of a run's tokens and seconds."""
LIKELY = 0.84
"""A more expensive mode must be better by this many standard errors to be preferred: a probability of four in five."""
GUESSED = {"instant": 0.0, "reasoning": 3.0, "agentic": 3.0}
"""Assumed cost of a mode, in doublings, before any run has been measured."""
BELIEVED = 10.0
"""Calibrated confidence counts as much as this many outcomes."""
HALF = 0.5
"""Weight of outcomes of runs that began in a mode, when deciding whether to go up to it: their tasks were of average
difficulty, while tasks that go up are harder."""
_SHY = (1.0, 1.0)
_MODES: tuple[Mode, ...] = ("instant", "reasoning", "agentic")


class LearnedRouter:
    """Uses rules while little is known about a kind of task and a model, and what their runs have taught after that.

    After an instant answer it also decides whether the run goes to a higher mode, and whether the evaluator is asked.
    """

    name = "learned"

    def __init__(self, store: Store, record: EffortRecord | None = None) -> None:
        self.record, self.log = record or EffortRecord(store), RunLog(store)
        self.rules = Rules()

    def choose(self, situation: Situation) -> Decision:
        """The mode to begin with; once decided for a run, it stays the same."""
        if situation.resumed and (known := self.log.fixed(situation.run_id, "mode")) is not None:
            return Decision(**known)
        rule = self.rules.choose(situation)
        if situation.planning or situation.resumed:
            return rule
        seen = self._alike(situation)
        if len(seen) < LEAST:
            return rule
        found = self._drawn(situation, seen) if _explores(situation, seen) else self._best(situation, rule, seen)
        return Decision(**self.log.fix(situation.run_id, "mode", found.to_json()))

    def higher(self, situation: Situation, confidence: float) -> Decision | None:
        """Whether an instant answer with this confidence is worth another attempt in a higher mode.

        Returns:
            None if no higher mode has been measured; a decision for "instant" means that the answer stays.
        """
        if not self.record.version:
            return None
        if (known := self.log.fixed(situation.run_id, "up")) is not None:
            return Decision(**known)
        seen = self._alike(situation)
        counts = {mode: sum(item.mode == mode for item in seen) for mode in _MODES}
        modes = [mode for mode in _modes(situation)[1:] if counts[mode] >= LEAST_OF_A_MODE]
        if not modes:
            return None
        found = self._up(situation, confidence, modes, seen)
        return Decision(**self.log.fix(situation.run_id, "up", found.to_json()))

    def asks(self, situation: Situation, confidence: float | None) -> Asking | None:
        """Whether the evaluator is worth asking about this answer, judging by its past effect; None if that is
        unknown."""
        if not self.record.version:
            return None
        if (known := self.log.fixed(situation.run_id, "evaluator")) is not None:
            return Asking(**known)
        levels = self.levels(situation)
        if levels is None:
            return None
        return Asking(**self.log.fix(situation.run_id, "evaluator", _asking(levels, confidence).to_json()))

    def levels(self, situation: Situation) -> Levels | None:
        """The evaluator's measured effect on this model's answers to this kind of task."""
        return levels_of([item for item in self._alike(situation) if item.evaluator == situation.evaluator])

    def may_change(self, situation: Situation) -> bool:
        """Whether anything has been learnt that could still lead to the answer being replaced."""
        return bool(self._alike(situation))

    def _alike(self, situation: Situation) -> list[EffortOutcome]:
        """The newest outcomes of this model on this kind of task, oldest first."""
        known = self.record.outcomes()
        if not known:
            return []
        kind = kind_in(situation.task, situation.tools)
        return [item for item in known if (item.kind, item.model) == (kind, situation.model)][-HISTORY:]

    def _drawn(self, situation: Situation, seen: Sequence[EffortOutcome]) -> Decision:
        from agentkit.memory.choosing import choose_arm

        known, costs = self._beliefs(situation, seen), self._costs(situation, seen)
        mode, chance = choose_arm(known, costs, self._rng(situation, "mode"), price=PRICE, kept=_never)
        return Decision(mode=mode, why=f"{_told(known, seen)}; drawn with {chance:.2f}", probability=chance)

    def _best(self, situation: Situation, rule: Decision, seen: Sequence[EffortOutcome]) -> Decision:
        """The best of the modes that were tried often enough, without randomness."""
        known, costs = self._beliefs(situation, seen), self._costs(situation, seen)
        tried = {mode: sum(item.mode == mode and not item.up for item in seen) for mode in known}
        best = _best_from(rule.mode, known, costs, tried)
        return Decision(mode=best, why=f"{_told(known, seen)}; the best by that")

    def _up(
        self, situation: Situation, confidence: float, modes: Sequence[Mode], seen: Sequence[EffortOutcome]
    ) -> Decision:
        from agentkit.memory.choosing import Seen, beliefs, choose_arm

        own = (1 + BELIEVED * confidence, 1 + BELIEVED * (1 - confidence))
        priors: dict[Mode, tuple[float, float]] = {"instant": own, **dict.fromkeys(modes, _SHY)}
        past: list[Seen[Mode]] = [
            Seen(arm=_mode(item), outcome=item.score, likeness=item.sure, weight=1.0)
            if item.up or item.mode == "instant"
            else Seen(arm=_mode(item), outcome=item.score, weight=HALF)
            for item in seen
            if item.up or item.mode != "instant" or item.sure is not None
        ]
        known = beliefs(priors, past, confidence)
        costs = self._costs(situation, seen)
        if _explores(situation, seen):
            mode, chance = choose_arm(known, costs, self._rng(situation, "up"), price=PRICE, kept=_never)
        else:
            mode, chance = _best_from("instant", known, costs, dict.fromkeys(known, LEAST)), 1.0
        told = ", ".join(f"{arm} {belief.mean:.2f}" for arm, belief in known.items())
        went = "stays with" if mode == "instant" else "goes up from"
        why = f"{went} an instant answer of confidence {confidence:.2f}: thought right {told}"
        why += f"; drawn with {chance:.2f}" if chance < 1 else ""
        return Decision(mode=mode, why=why, probability=chance)

    def _beliefs(self, situation: Situation, seen: Sequence[EffortOutcome]) -> dict[Mode, Belief]:
        from agentkit.memory.choosing import Seen, beliefs

        past: list[Seen[Mode]] = [Seen(arm=_mode(item), outcome=item.score) for item in seen if not item.up]
        return beliefs(dict.fromkeys(_modes(situation), _SHY), past, lasting=lambda mode: True)

    def _costs(self, situation: Situation, seen: Sequence[EffortOutcome]) -> dict[Mode, float]:
        """Cost in doublings of tokens and seconds relative to "instant": measured on this kind of task, else on any
        kind, else assumed."""
        modes = _modes(situation)
        everywhere = [item for item in self.record.outcomes() if item.model == situation.model]
        spent = {mode: _spent(mode, seen) or _spent(mode, everywhere) for mode in modes}
        known = {mode: found for mode, found in spent.items() if found is not None}
        base = known.get("instant")
        if base is None:
            return {mode: GUESSED[mode] for mode in modes}
        return {mode: known[mode] - base if mode in known else GUESSED[mode] for mode in modes}

    def _rng(self, situation: Situation, what: str) -> np.random.Generator:
        from agentkit.memory.recaller import run_seed

        return np.random.default_rng(run_seed(situation.run_id, f"{self.record.target}:{what}"))


def _explores(situation: Situation, seen: Sequence[EffortOutcome]) -> bool:
    """Whether a mode may be tried out in order to measure it."""
    return situation.explores and sum(item.used for item in seen) >= LEAST


def _modes(situation: Situation) -> tuple[Mode, ...]:
    """The distinct modes for a task, cheapest first: without useful tools, "agentic" adds nothing to "reasoning"."""
    return _MODES if situation.tools else _MODES[:2]


def _mode(outcome: EffortOutcome) -> Mode:
    return next(mode for mode in _MODES if mode == outcome.mode)


def _best_from(
    start: Mode, known: Mapping[Mode, Belief], costs: Mapping[Mode, float], tried: Mapping[Mode, int]
) -> Mode:
    """The mode to use when not exploring. A more expensive mode replaces the current best only if it is likely to be
    worth it; a cheaper one replaces it if, as far as is known, it is as good.

    Args:
        start: the mode that the rules choose.
        tried: number of outcomes by mode.
    """
    best = start
    for mode, belief in known.items():
        dearer = costs[mode] > costs[best]
        if mode == best or tried[mode] < (LEAST_OF_A_MODE if dearer else LEAST):
            continue
        gain = belief.mean - known[best].mean - PRICE * (costs[mode] - costs[best])
        if gain > (LIKELY * math.sqrt(_variance(belief) + _variance(known[best])) if dearer else 0.0):
            best = mode
    return best


def _variance(belief: Belief) -> float:
    return belief.mean * (1 - belief.mean) / (belief.right + belief.wrong + 1)


def _never(mode: Mode) -> bool:
    """No mode gets a minimum probability: a model's ability in a mode does not change over time, so it need not be
    re-measured."""
    return False


def _spent(mode: Mode, outcomes: Sequence[EffortOutcome]) -> float | None:
    """Log2 of what a run uses, averaged over tokens and seconds; None if nothing was used."""
    own = [item for item in outcomes if item.mode == mode and not item.up]
    if not own:
        return None
    tokens = sum(item.tokens for item in own) / len(own)
    seconds = sum(item.seconds for item in own) / len(own)
    logs = [math.log2(value) for value in (tokens, seconds) if value > 0]
    return sum(logs) / len(logs) if logs else None


def _told(known: Mapping[Mode, Belief], seen: Sequence[EffortOutcome]) -> str:
    """How often each mode was right, to explain a decision."""
    parts = []
    for mode in known:
        scores = [item.score for item in seen if item.mode == mode and not item.up]
        parts.append(
            f"{mode} right in {sum(scores) / len(scores):.2f} of {len(scores)}" if scores else f"{mode} untried"
        )
    return ", ".join(parts)


def _asking(levels: Levels, confidence: float | None) -> Asking:
    measured = f"on {levels.n} answers it changed what is right by {levels.effect:+.2f}, at least {levels.bound:+.2f}"
    if levels.n < LEAST_ASKED:
        return Asking(asked=False, why=f"it was measured on {levels.n} answers only; {LEAST_ASKED} are needed")
    if levels.effect <= 0 or levels.bound < 0:
        return Asking(asked=False, why=f"{measured}: that it helps is not shown")
    if confidence is None:
        return Asking(asked=False, why=f"{measured}; how sure this answer is is not known: agentkit calibrate")
    if confidence >= levels.limit:
        return Asking(
            asked=False, why=f"{measured}; this answer is sure enough, {confidence:.2f} of {levels.limit:.2f}"
        )
    return Asking(asked=True, why=f"{measured}, and this answer is not sure, {confidence:.2f} of {levels.limit:.2f}")
