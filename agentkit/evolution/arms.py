"""Arms of a report: the same tasks under different contexts, scored and compared pair by pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agentkit.evolution.controls import OthersCases, RandomBullets, full_text
from agentkit.evolution.protocols import Cost, Evolvable
from agentkit.evolution.trials import Trial, Trials
from agentkit.json_types import JsonObject
from agentkit.protocols import Recaller
from agentkit.statistics.estimates import Estimate, PairedComparison, bootstrap_mean, mcnemar_exact, paired, proportion
from agentkit.tasks import Task

LABELS = {
    "start": "before learning",
    "learned": "after learning",
    "random_bullets": "random bullets, same length",
    "random_cases": "cases of other tasks",
    "full_text": "full text, no learning",
}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm on one set of tasks.

    Attributes:
        scores: by task id, according to the target whatever the labels setting.
        cost: of all its trials together.
        failed: how many runs failed; they count as wrong.
    """

    name: str
    scores: dict[str, float]
    categories: dict[str, str]
    cost: Cost
    failed: int = 0

    @property
    def estimate(self) -> Estimate:
        return proportion(list(self.scores.values()))

    def against(self, other: Arm) -> PairedComparison:
        """This arm minus another one, on the tasks that both have."""
        shared = [id for id in self.scores if id in other.scores]
        return paired([self.scores[id] for id in shared], [other.scores[id] for id in shared])

    def to_json(self, start: Arm | None = None) -> JsonObject:
        n = max(1, len(self.scores))
        return {
            "name": self.name,
            "label": LABELS.get(self.name, self.name),
            "accuracy": self.estimate.to_json(),
            "failed": self.failed,
            "scores": self.scores,
            "per_task": {name: value / n for name, value in self.cost.to_json().items()},
            "against_start": None if start is None or start is self else self.against(start).to_json(),
        }


async def run_arm(name: str, trials: Trials, tasks: Sequence[Task], recallers: Sequence[Recaller]) -> Arm:
    """Run tasks with the given context and score them."""
    made = await trials.many(tasks, recallers)
    return await score_arm(name, trials, tasks, made)


async def score_arm(name: str, trials: Trials, tasks: Sequence[Task], made: Sequence[Trial]) -> Arm:
    truths = await trials.truths(tasks, made)
    return Arm(
        name=name,
        scores={task.id: score for task, score in zip(tasks, truths, strict=True) if score is not None},
        categories={task.id: category(task) for task in tasks},
        cost=sum((trial.cost for trial in made), Cost()),
        failed=sum(trial.failed for trial in made),
    )


def category(task: Task) -> str:
    return str(task.metadata.get("category", "all"))


async def run_arms(
    trials: Trials,
    tasks: Sequence[Task],
    evolvables: Sequence[Evolvable],
    *,
    start: Mapping[str, int],
    chosen: Mapping[str, int],
    controls: bool = True,
    seed: int = 0,
) -> list[Arm]:
    """The arms before and after learning, plus the controls that apply; a control for a target that did not change is
    left out.

    Args:
        start, chosen: the version of each target.
    """
    before = [item.at(start[item.target]) for item in evolvables]
    after = [item.at(chosen[item.target]) for item in evolvables]
    arms = [await run_arm("start", trials, tasks, before), await run_arm("learned", trials, tasks, after)]
    if not controls:
        return arms
    changed = {item.target for item in evolvables if start[item.target] != chosen[item.target]}
    kinds = {item.target: item.target.partition(":")[0] for item in evolvables}
    for name, kind in (("random_bullets", "playbook"), ("random_cases", "policy")):
        if any(kinds[target] == kind for target in changed):
            mixed = [
                _control(kind, recaller, tasks, seed) if kinds[item.target] == kind else recaller
                for item, recaller in zip(evolvables, after, strict=True)
            ]
            arms.append(await run_arm(name, trials, tasks, mixed))
    if whole := full_text(tasks):
        arms.append(await run_arm("full_text", trials, whole, before))
    return arms


def _control(kind: str, recaller: Recaller, tasks: Sequence[Task], seed: int) -> Recaller:
    return RandomBullets(recaller, seed) if kind == "playbook" else OthersCases(recaller, tasks, seed)


def by_category(before: Arm, after: Arm) -> list[JsonObject]:
    """Accuracy before and after for each category, largest category first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for id in after.scores:
        if id in before.scores:
            groups[after.categories[id]].append(id)
    rows = []
    for name, ids in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        found = paired([after.scores[id] for id in ids], [before.scores[id] for id in ids])
        rows.append({"category": name, "n": len(ids), **found.to_json()})
    return rows


def pooled(arms: Sequence[Arm], starts: Sequence[Arm]) -> JsonObject:
    """Pool one arm over several seeds. A task's seeds are averaged first, because they are not independent tasks."""
    means, base = _by_task(arms), _by_task(starts)
    shared = [id for id in means if id in base]
    after, before = [means[id] for id in shared], [base[id] for id in shared]
    wins, losses = sum(a > b for a, b in zip(after, before, strict=True)), 0
    losses = sum(a < b for a, b in zip(after, before, strict=True))
    return {
        "name": arms[0].name,
        "label": LABELS.get(arms[0].name, arms[0].name),
        "seeds": len(arms),
        "accuracy": bootstrap_mean(list(means.values())).to_json(),
        "by_seed": [arm.estimate.value for arm in arms],
        "difference": bootstrap_mean([a - b for a, b in zip(after, before, strict=True)]).to_json(),
        "wins": wins,
        "losses": losses,
        "p": mcnemar_exact(wins, losses),
    }


def _by_task(arms: Iterable[Arm]) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for arm in arms:
        for id, score in arm.scores.items():
            found[id].append(score)
    return {id: sum(scores) / len(scores) for id, scores in found.items()}
