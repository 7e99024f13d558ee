"""LearnedRouter: the mode that pays for a kind of task, learned from how runs of that kind went.

The modes are the arms of the bandit that also chooses forms of recall (`agentkit.memory.choosing`): a Beta belief each,
Thompson sampling, the probability of the choice logged, and what a mode costs taken off its success. A²FM (arXiv
2510.12838) learns the same with a policy gradient inside the model; here it is learned beside it, online. Cost counts
in doublings, so that no mode is ruled out by its cost alone: thinking that takes eight times as long must be right in
three times `PRICE` more of its runs.
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
"""Outcomes of a kind of task before which rules decide, and outcomes in use before which no mode is tried: where it
never becomes known how a run went, nothing could be learnt from trying."""
LEAST_OF_A_MODE = 4
"""Outcomes of a mode without which it is only tried, never taken for the better one."""
HISTORY = 200
"""Newest outcomes of a kind of task that beliefs rest on."""
PRICE = 0.02
"""Success that a mode must add for each doubling of the tokens and seconds that a run takes."""
LIKELY = 0.84
"""Standard errors that a dearer mode must be better by to be taken for good: a chance of four in five."""
GUESSED = {"instant": 0.0, "reasoning": 3.0, "agentic": 3.0}
"""Doublings that a mode is thought to cost before any run has shown it."""
BELIEVED = 10.0
"""Outcomes that calibrated confidence counts for."""
HALF = 0.5
"""Weight of the outcome of a run that began in a mode, for the question whether to go up to it: its task was no harder
than others, and those that go up are."""
_SHY = (1.0, 1.0)
_MODES: tuple[Mode, ...] = ("instant", "reasoning", "agentic")


class LearnedRouter:
    """Rules as long as little is known of a kind of task and a model, then what their runs have taught.

    It also judges, after an instant answer, whether the run goes up, and whether the evaluator is asked.
    """

    name = "learned"

    def __init__(self, store: Store, record: EffortRecord | None = None) -> None:
        self.record, self.log = record or EffortRecord(store), RunLog(store)
        self.rules = Rules()

    def choose(self, situation: Situation) -> Decision:
        """The mode to begin with; what was decided for a run once is what is decided for it always."""
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
        """Whether an instant answer of such confidence is worth another try in a higher mode.

        Returns:
            None where no higher mode was measured; a decision for "instant" where the answer stays.
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
        """Whether the evaluator pays for this answer, by what hearing it did before; None where it was never heard."""
        if not self.record.version:
            return None
        if (known := self.log.fixed(situation.run_id, "evaluator")) is not None:
            return Asking(**known)
        levels = self.levels(situation)
        if levels is None:
            return None
        return Asking(**self.log.fix(situation.run_id, "evaluator", _asking(levels, confidence).to_json()))

    def levels(self, situation: Situation) -> Levels | None:
        """What hearing the evaluator did to answers of this model to this kind of task."""
        return levels_of([item for item in self._alike(situation) if item.evaluator == situation.evaluator])

    def may_change(self, situation: Situation) -> bool:
        """Whether anything was learnt by which an answer could still be replaced."""
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
        """The best of the modes that were tried often enough; nothing is left to chance."""
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
        """Doublings of tokens and seconds against "instant": of this kind of task, else of any kind, else guessed."""
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
    """Whether a mode may be tried to see what it is worth."""
    return situation.explores and sum(item.used for item in seen) >= LEAST


def _modes(situation: Situation) -> tuple[Mode, ...]:
    """Those that differ for a task, the cheapest first: without tools that matter, being agentic adds nothing."""
    return _MODES if situation.tools else _MODES[:2]


def _mode(outcome: EffortOutcome) -> Mode:
    return next(mode for mode in _MODES if mode == outcome.mode)


def _best_from(
    start: Mode, known: Mapping[Mode, Belief], costs: Mapping[Mode, float], tried: Mapping[Mode, int]
) -> Mode:
    """The mode to take for sure: from one to a dearer one only where that is likely to be worth it, to a cheaper one
    where it is as good as far as that is known.

    Args:
        start: the mode by rule.
        tried: outcomes by mode.
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
    """No mode has a least chance: what a model can do in it does not change, so that nothing has to be kept known."""
    return False


def _spent(mode: Mode, outcomes: Sequence[EffortOutcome]) -> float | None:
    """The logarithm to the base two of what a run takes, tokens and seconds alike; None where none took anything."""
    own = [item for item in outcomes if item.mode == mode and not item.up]
    if not own:
        return None
    tokens = sum(item.tokens for item in own) / len(own)
    seconds = sum(item.seconds for item in own) / len(own)
    logs = [math.log2(value) for value in (tokens, seconds) if value > 0]
    return sum(logs) / len(logs) if logs else None


def _told(known: Mapping[Mode, Belief], seen: Sequence[EffortOutcome]) -> str:
    """How often each mode was right, for those who want to know why."""
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
