"""What spending more on a task gains, and whether the agent spends where it pays off.

    python -m benchmarks.effort [--families banking77 humaneval formula geoquery] [--model M] [--limit 100] [--json]

Each task is answered once in each way: `instant`, `reasoning`, `agentic` if tools can matter, seven further samples of
the instant answer, and an instant answer that the evaluator may have revised. These rows are the pool, kept in build/,
so a stopped benchmark continues. All arms are then computed from the pool, without further calls:

- modes: each alone, the rules, what routing learns online (feedback after every task, in several orders; all tasks, and
  the later half), and the same modes assigned to other tasks at random;
- samples: one, the majority of eight, `auto`, and stopping at random with the same mean;
- evaluator: off, always followed, as shipped (taught by the other half of the tasks), and followed at random equally
  often.

No run sees a target or a checker. Confidence is fitted on the instant rows, each row's by a calibration that did not
see it. Tokens are input and output together; seconds are the model's own.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from agentkit.agent import Agent
from agentkit.aio import run_sync
from agentkit.confidence import Features, cross_fitted, features_of_calls
from agentkit.errors import AgentKitError, DataError
from agentkit.graph.effort import MOST, Rules, Situation, tools_that_matter
from agentkit.graph.sampling import TEMPERATURE, Sample, vote
from agentkit.ledger import digest
from agentkit.models import load_model
from agentkit.models.logprobs import Logprobs
from agentkit.routing import EffortOutcome, EffortRecord, LearnedRouter
from agentkit.routing.outcomes import kind_in
from agentkit.settings import load_settings
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.tools import load_tools
from benchmarks._families import FAMILIES, OUT_OF_SCOPE, load
from benchmarks._results import Results, arguments, mean, paired
from benchmarks.bare import _score, finished

MIX = ("banking77", "humaneval", "formula", "geoquery")
SAMPLES = tuple(f"sample{number}" for number in range(1, MOST))
WAYS = ("instant", "reasoning", "agentic", *SAMPLES, "evaluator")


@dataclass(frozen=True, kw_only=True)
class Item:
    """A task with its rows, by way of answering.

    Attributes:
        sure: the calibrated confidence in its instant answer; None if there is none.
    """

    family: str
    task: Task
    rows: dict[str, dict[str, Any]]
    tools: tuple[str, ...]
    sure: float | None = None

    def score(self, way: str) -> float:
        return float(self.rows[way]["score"])

    def tokens(self, way: str) -> float:
        return float(self.rows[way]["read"] + self.rows[way]["written"])

    def seconds(self, way: str) -> float:
        return float(self.rows[way]["seconds"])

    def situation(self, run_id: str) -> Situation:
        return Situation(
            run_id=run_id, task=self.task, tools=self.tools, planning=False, model="pool", evaluator="pool"
        )


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What an arm achieved and used on one task."""

    score: float
    tokens: float
    seconds: float


def main() -> None:
    parser = arguments("effort", "what spending more gains, and whether the agent spends where it pays off")
    parser.add_argument("--families", nargs="+", choices=[*FAMILIES], default=list(MIX))
    parser.add_argument("--data", type=Path, help="a folder laid out like the data folder (default: AGENTKIT_DATA)")
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--limit", type=int, default=100, help="tasks per family")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="ways of answering, for the pool")
    parser.add_argument("--orders", type=int, default=5, help="orders in which routing learns")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of tasks")
    parser.add_argument("--fresh", action="store_true", help="discard the rows of an earlier run that was stopped")
    args = parser.parse_args()
    folder = Path("build/effort")
    folder.mkdir(parents=True, exist_ok=True)
    items = [item for family in args.families for item in pool(args, family, folder)]
    if args.label == "default":
        args.label = args.model.rsplit("/", 1)[-1]
    results = Results("effort", settings=vars(args), label=args.label)
    report(results, items, args.ways, args.orders)
    results.finish(json_=args.json, folder=args.out)


def pool(args: argparse.Namespace, family: str, folder: Path) -> list[Item]:
    """A family's tasks with their rows; missing rows are answered now."""
    tasks = [task for task in load(family, args.data, args.limit, seed=args.seed) if task.target != OUT_OF_SCOPE]
    name = args.model.replace("/", "_").replace(".gguf", "")[-40:]
    path = folder / f"{family}-{name}-{digest([task.model_dump() for task in tasks])[:8]}.jsonl"
    if args.fresh:
        path.unlink(missing_ok=True)
    with TemporaryDirectory() as home:
        settings = load_settings(home=Path(home), model=args.model)
        fill(args, tasks, path, settings)
        offered = {tool.name: tool for tool in load_tools(list(settings.tools))}
    done = finished(path)
    matter = {task.id: tools_that_matter(task, offered) for task in tasks}
    items = [
        Item(
            family=family,
            task=task.model_copy(update={"target": None, "checker": None}),
            rows={way: done[way, task.id] for way in WAYS if (way, task.id) in done},
            tools=matter[task.id],
        )
        for task in tasks
    ]
    return with_confidence(items)


def fill(args: argparse.Namespace, tasks: Sequence[Task], path: Path, settings: Any) -> None:
    """Answer what is not answered yet, task by task, and store a row for each answer."""
    done = finished(path)
    left = [(task, way) for task in tasks for way in args.ways if (way, task.id) not in done]
    if not left:
        return
    model = load_model(args.model)
    agents = {way: agent_for(way, model, settings) for way in args.ways}
    try:
        with path.open("a", encoding="utf-8") as file:
            for task, way in left:
                row = answered(agents[way], task, way)
                if row is None:
                    continue
                row |= {"arm": way, "id": task.id, "score": _score(task, row["answer"])}
                row["first_score"] = _score(task, row["first"])
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                file.flush()
    finally:
        for agent in agents.values():
            agent.close()


def agent_for(way: str, model: Any, settings: Any) -> Agent:
    effort: Any = way if way in ("reasoning", "agentic") else "instant"
    evaluate, rounds = (True, 2) if way == "evaluator" else (False, None)
    return Agent(model, effort=effort, evaluate=evaluate, max_rounds=rounds, settings=settings)


def answered(agent: Agent, task: Task, way: str) -> dict[str, Any] | None:
    """A row; None if the task can't be answered in this way, because no tool can matter to it."""
    if way == "agentic" and not tools_that_matter(task, {tool.name: tool for tool in agent.tools.loaded}):
        return None
    blind = task.model_copy(update={"target": None, "checker": None})
    run_id = digest(["effort", way, task.id])[:12]
    options: dict[str, Any] = {"learn": False}
    if way in SAMPLES:
        options |= {"seed": SAMPLES.index(way) + 1, "temperature": TEMPERATURE}
    started, error = time.perf_counter(), None
    try:
        text = agent.run(blind, run_id=run_id, **options).answer
    except AgentKitError as failed:
        text, error = None, str(failed)
    steps, used = agent.log.steps(run_id), agent.log.totals([run_id])
    known = agent.log.get(run_id).effort or {}
    told = features_of_calls(steps.model_calls, weighed=known.get("weighed"), fit=agent.likeness.fit(task, text))
    calls = [call["response"].get("logprobs") for call in steps.model_calls if call["role"] == "explorer"]
    earlier = known.get("earlier") or [text]
    return {
        "answer": text,
        "first": earlier[0],
        "error": error,
        "calls": used.calls,
        "read": used.input_tokens,
        "written": used.output_tokens,
        "seconds": used.model_seconds,
        "wall": time.perf_counter() - started,
        "asked": sum(call["role"] == "evaluator" for call in steps.model_calls),
        "features": None if told is None else told.__dict__,
        "logprobs": calls[0] if calls else None,
    }


def with_confidence(items: list[Item]) -> list[Item]:
    """The items with calibrated confidence in their instant answers, if there are enough outcomes."""
    known = [item for item in items if item.rows["instant"].get("features")]
    try:
        found = cross_fitted(
            [Features(**item.rows["instant"]["features"]) for item in known], [item.score("instant") for item in known]
        )
    except DataError:
        return items
    sure = {item.task.id: value for item, value in zip(known, found, strict=True)}
    return [replace(item, sure=sure.get(item.task.id)) for item in items]


def report(results: Results, items: Sequence[Item], ways: Sequence[str], orders: int) -> None:
    """Add the rows of every arm, over all families and for each."""
    if {"instant", "reasoning"} <= set(ways):
        modes(results, items, orders)
    if {"instant", *SAMPLES} <= set(ways):
        samples(results, items)
    if {"instant", "evaluator"} <= set(ways):
        evaluator(results, items)


def modes(results: Results, items: Sequence[Item], orders: int) -> None:
    """Each mode alone, rules, routing, and the same modes at random."""
    single = {
        mode: [alone(item, mode) for item in items]
        for mode in ("instant", "reasoning", "agentic")
        if mode != "agentic" or any("agentic" in item.rows for item in items)
    }
    best = max(single, key=lambda mode: sum(spent.score for spent in single[mode]))
    for mode, found in single.items():
        add(results, f"mode {mode}", items, found, best=mode == best)
    rules = [alone(item, Rules().choose(item.situation("rules")).mode) for item in items]
    add(results, "mode rules", items, rules)
    walks = [walk(items, order) for order in range(orders)]
    for name, part in (("mode auto", 0), ("mode auto, later half", len(items) // 2)):
        beside(results, name, items, walks, single[best], part)
    shuffled = [dealt(items, found, order) for order, found in enumerate(walks)]
    beside(results, "mode random mix", items, shuffled, single[best], 0)


def alone(item: Item, mode: str) -> Spent:
    """A task in one mode; without tools that matter, the agentic mode is the instant one."""
    way = mode if mode in item.rows else "instant"
    return Spent(score=item.score(way), tokens=item.tokens(way), seconds=item.seconds(way))


@dataclass(frozen=True, kw_only=True)
class Step:
    """One task of a walk: its index among the items, the modes tried in turn, and the result."""

    place: int
    ways: tuple[str, ...]
    spent: Spent


def walk(items: Sequence[Item], order: int) -> list[Step]:
    """Route the tasks one after another in their own order; each outcome is learnt before the next task."""
    places = list(range(len(items)))
    random.Random(order).shuffle(places)
    steps = []
    with TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "walk.db")
        router = LearnedRouter(store)
        for number, place in enumerate(places):
            steps.append(routed(router, items[place], place, f"{order}-{number}"))
        store.close()
    return steps


def routed(router: LearnedRouter, item: Item, place: int, run_id: str) -> Step:
    asked = item.situation(run_id)
    router.log.start(run_id, item.task, model="pool", options={})
    ways: tuple[str, ...] = (router.choose(asked).mode,)
    if ways == ("instant",) and item.sure is not None:
        up = router.higher(asked, item.sure)
        ways += () if up is None or up.mode == "instant" else (up.mode,)
    done = [alone(item, way) for way in ways]
    spent = Spent(score=done[-1].score, tokens=sum(s.tokens for s in done), seconds=sum(s.seconds for s in done))
    outcome = EffortOutcome(
        run=run_id,
        kind=kind_in(item.task, item.tools),
        model="pool",
        mode=ways[-1],
        score=spent.score,
        tokens=done[-1].tokens,
        seconds=done[-1].seconds,
        sure=item.sure,
        up=len(ways) > 1,
    )
    router.record.learn(outcome, key=run_id)
    return Step(place=place, ways=ways, spent=spent)


def dealt(items: Sequence[Item], steps: Sequence[Step], seed: int) -> list[Step]:
    """The modes of a walk, each assigned to another task."""
    ways = [step.ways for step in steps]
    random.Random(seed + 1000).shuffle(ways)
    found = []
    for step, own in zip(steps, ways, strict=True):
        done = [alone(items[step.place], way) for way in own]
        spent = Spent(score=done[-1].score, tokens=sum(s.tokens for s in done), seconds=sum(s.seconds for s in done))
        found.append(Step(place=step.place, ways=own, spent=spent))
    return found


def beside(
    results: Results,
    name: str,
    items: Sequence[Item],
    walks: Sequence[Sequence[Step]],
    best: Sequence[Spent],
    begin: int,
) -> None:
    """Add an arm's rows, and its accuracy and tokens compared with the best single mode on the same tasks."""
    by_place: dict[int, list[Step]] = {}
    for steps in walks:
        for step in steps[begin:]:
            by_place.setdefault(step.place, []).append(step)
    places = sorted(by_place)
    found = [
        Spent(
            score=_mean([step.spent.score for step in by_place[place]]),
            tokens=_mean([step.spent.tokens for step in by_place[place]]),
            seconds=_mean([step.spent.seconds for step in by_place[place]]),
        )
        for place in places
    ]
    own = [items[place] for place in places]
    add(results, name, own, found)
    wanted = not name.endswith("mix")
    beaten = [best[place] for place in places]
    for metric, key, goal in (
        ("accuracy by that of the best mode", "score", "≥ 0.95"),
        ("tokens by those of the best mode", "tokens", "≤ 0.7"),
        ("seconds by those of the best mode", "seconds", ""),
    ):
        mine, theirs = (sum(getattr(spent, key) for spent in arm) for arm in (found, beaten))
        value = mine / theirs if theirs else None
        results.add(arm=name, metric=metric, value=value, n=len(found), target=goal if wanted else "")
    taken = [step.ways for steps in walks for step in steps[begin:]]
    for ways in sorted(set(taken)):
        results.add(
            arm=name, metric=f"share of {' then '.join(ways)}", value=taken.count(ways) / len(taken), n=len(taken)
        )


def samples(results: Results, items: Sequence[Item]) -> None:
    """One, the majority of eight, as many as are worth it, and as many at random."""
    one = [alone(item, "instant") for item in items]
    drawn = {name: [voted(item, wanted) for item in items] for name, wanted in (("8", MOST), ("auto", "auto"))}
    average = _mean([float(count) for _, count in drawn["auto"]])
    rng = random.Random(3)
    stops = [stop_at_random(rng, average) for _ in items]
    drawn["random stop"] = [voted(item, count) for item, count in zip(items, stops, strict=True)]
    add(results, "samples 1", items, one)
    full = [spent.score for spent, _ in drawn["8"]]
    for name, found in drawn.items():
        arm, wanted = f"samples {name}", name == "auto"
        add(results, arm, items, [spent for spent, _ in found])
        counts = [float(count) for _, count in found]
        results.add(arm=arm, metric="samples a task", **mean(counts), target="≤ 2.5" if wanted else "")
        for count in sorted(set(counts)):
            results.add(arm=arm, metric=f"share of {count:g}", value=counts.count(count) / len(counts), n=len(counts))
        if name != "8":
            goal = "≥ -0.01" if wanted else ""
            scores = [spent.score for spent, _ in found]
            results.add(arm=arm, metric="accuracy less majority of 8", **paired(scores, full), target=goal)


def voted(item: Item, wanted: Any) -> tuple[Spent, int]:
    """The result of a vote on an item's pool, and how many samples it took."""
    ways = ("instant", *SAMPLES)

    def sample(way: str) -> Sample:
        row = item.rows[way]
        told = None if row.get("logprobs") is None else Logprobs.from_json(row["logprobs"])
        reply: Any = SimpleNamespace(logprobs=told)
        return Sample(text=row["answer"] or "", reply=reply, scope=way, told=way == "instant")

    async def draw(number: int) -> Sample:
        return sample(ways[number])

    context: Any = SimpleNamespace(options=SimpleNamespace(samples=wanted), task=item.task, checker=None)
    found = run_sync(vote(context, sample("instant"), draw))
    taken = ways[: found.drawn]
    spent = Spent(
        score=item.score(found.winner.scope),
        tokens=sum(item.tokens(way) for way in taken),
        seconds=sum(item.seconds(way) for way in taken),
    )
    return spent, found.drawn


def stop_at_random(rng: random.Random, average: float) -> int:
    """A number of samples, geometric up to the maximum, whose mean is about `average`."""
    low, high = 0.0, 1.0
    for _ in range(40):
        go_on = (low + high) / 2
        low, high = (go_on, high) if sum(go_on**k for k in range(MOST)) < average else (low, go_on)
    count = 1
    while count < MOST and rng.random() < low:
        count += 1
    return count


def evaluator(results: Results, items: Sequence[Item]) -> None:
    """Off, always, as shipped, and as often at random."""
    off, always = ([alone(item, way) for item in items] for way in ("instant", "evaluator"))
    asked = [decided for half in (0, 1) for decided in shipped(items, half)]
    chosen = dict(asked)
    rate = sum(chosen.values()) / len(items)
    rng = random.Random(4)
    arms = {
        "evaluator off": [False] * len(items),
        "evaluator always": [True] * len(items),
        "evaluator as shipped": [chosen[place] for place in range(len(items))],
        "evaluator at random": [rng.random() < rate for _ in items],
    }
    for name, heard in arms.items():
        found = [one if ask else other for ask, one, other in zip(heard, always, off, strict=True)]
        add(results, name, items, found)
        results.add(arm=name, metric="asked", value=sum(heard) / len(items), n=len(items))
        if name != "evaluator off":
            goal = "≥ 0" if name.endswith("shipped") else ""
            scores = [[spent.score for spent in arm] for arm in (found, off)]
            results.add(arm=name, metric="accuracy less off", **paired(*scores), target=goal)


def shipped(items: Sequence[Item], half: int) -> Iterator[tuple[int, bool]]:
    """Whether the evaluator is asked about the items of one half, after learning from those of the other."""
    with TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "half.db")
        record = EffortRecord(store)
        router = LearnedRouter(store, record)
        for place, item in enumerate(items):
            if place % 2 != half:
                row = item.rows["evaluator"]
                outcome = EffortOutcome(
                    run=f"t{place}",
                    kind=kind_in(item.task, item.tools),
                    model="pool",
                    mode="instant",
                    score=row["score"],
                    sure=item.sure,
                    evaluator="pool",
                    first=row["first_score"],
                    second=row["score"],
                )
                record.learn(outcome, key=f"t{place}")
        for place, item in enumerate(items):
            if place % 2 == half:
                asked = item.situation(f"a{place}")
                router.log.start(asked.run_id, item.task, model="pool", options={})
                decision = router.asks(asked, item.sure)
                yield place, decision is not None and decision.asked
        store.close()


def add(results: Results, arm: str, items: Sequence[Item], found: Sequence[Spent], *, best: bool = False) -> None:
    """What an arm got right and what it used: over all, and in each family."""
    results.add(arm=arm, metric="accuracy", **mean([spent.score for spent in found]), best=best)
    results.add(arm=arm, metric="tokens a task", **mean([spent.tokens for spent in found]))
    results.add(arm=arm, metric="model seconds a task", **mean([spent.seconds for spent in found]))
    for family in dict.fromkeys(item.family for item in items):
        own = [spent for item, spent in zip(items, found, strict=True) if item.family == family]
        results.add(arm=arm, metric=f"accuracy, {family}", **mean([spent.score for spent in own]))
        results.add(arm=arm, metric=f"tokens a task, {family}", **mean([spent.tokens for spent in own]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


if __name__ == "__main__":
    main()
