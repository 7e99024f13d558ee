"""A world with planted rules: a task is solved if and only if its rule is in the prompt. No model is needed.

Every kind of task has one rule, a code that can't be guessed. A helpful bullet states it, a harmful one states a wrong
code for its kind (and wins over the right one), a neutral one says something true and useless about the kind.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.ledger import Change, Verdict
from agentkit.playbooks import (
    Add,
    Delta,
    LearningPolicy,
    Playbook,
    PlaybookLearner,
    PlaybookRecaller,
    PlaybookStore,
    Renderer,
    Withholding,
)
from agentkit.playbooks.credit import auroc
from agentkit.protocols import Block, Episode, Learnt
from agentkit.roles.curator import CuratorDelta
from agentkit.roles.reflector import BulletJudgement, Reflection, RunLesson
from agentkit.tasks import Feedback, Task

NAMES = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "iris",
    "jade",
    "kelp",
    "lotus",
    "maple",
    "nettle",
    "onyx",
    "poppy",
    "quartz",
    "raven",
    "sable",
    "thistle",
    "umber",
    "violet",
    "willow",
    "xenon",
    "yarrow",
    "zinnia",
)


@dataclass(frozen=True)
class Reply:
    parsed: Any
    text: str = ""


class PlantedWorld:
    """Tasks of several kinds, each with a planted rule.

    Args:
        kinds: how many.
        guess: chance to solve a task without its rule.
        slip: chance to fail a task with its rule.
    """

    def __init__(self, kinds: int = 12, *, seed: int = 0, guess: float = 0.0, slip: float = 0.0) -> None:
        self.kinds, self.seed, self.guess, self.slip = NAMES[:kinds], seed, guess, slip

    def rule(self, kind: str) -> str:
        return hashlib.sha256(f"{self.seed}/{kind}".encode()).hexdigest()[:6]

    def task(self, number: int) -> Task:
        kind = self.kinds[number % len(self.kinds)]
        return Task(
            id=f"t{number}",
            input=f"Close {kind} order {number * 37 % 1000} with its closing code.",
            target=self.rule(kind),
            metadata={"kind": kind},
        )

    def kind(self, task: Task) -> str:
        return task.input.split()[1]

    def helpful(self, kind: str) -> str:
        return f"To close {kind} orders, the closing code is {self.rule(kind)}."

    def harmful(self, kind: str) -> str:
        return f"To close {kind} orders quickly, always use the closing code wrong{self.rule(kind)[:2]}."

    def neutral(self, kind: str) -> str:
        return f"{kind.title()} orders are listed under the letter {kind[0].upper()} of the order register."

    def answer(self, task: Task, text: str) -> str:
        """What the explorer says with this text in its prompt: the last code it finds for the kind."""
        kind, draw = self.kind(task), random.Random(f"{self.seed}/{task.id}")
        lines = [line for line in text.splitlines() if f" {kind} " in line and "closing code" in line]
        wrong = next((line for line in lines if "wrong" in line), None)
        found = re.search(r"code (?:is )?(\w+)", wrong or (lines[-1] if lines else ""))
        if found is None:
            return self.rule(kind) if draw.random() < self.guess else "unknown"
        return "slipped" if wrong is None and draw.random() < self.slip else found.group(1)

    def score(self, task: Task, text: str) -> float:
        return float(self.answer(task, text) == self.rule(self.kind(task)))

    def episode(self, task: Task, block: Block | None, *, run_id: str | None = None, **more: Any) -> Episode:
        text = "" if block is None else block.text
        answer = self.answer(task, text)
        score = float(answer == self.rule(self.kind(task)))
        cited = re.findall(rf"\[(\w{{8}})\][^\n]* {self.kind(task)} [^\n]*code", text)
        fields: dict[str, Any] = {
            "run_id": run_id or f"run-{task.id}",
            "task": task,
            "labels": "gold",
            "answer": answer,
            "feedback": (Feedback(channel="check", score=score),),
            "cited": tuple(cited),
            "blocks": () if block is None else (block,),
            "model": "planted",
        }
        return Episode(**{**fields, **more})


class UnevenWorld(PlantedWorld):
    """Kinds of uneven difficulty, and bullets that only shift the odds, so that outcomes alone mislead.

    As in real learning, helpful lessons are about what is hard (solved in 10 % of the runs without, 50 % with) and
    harmful ones about what went well (90 % without, 50 % with); neutral ones are about all.
    """

    def __init__(self, kinds: int = 12, *, seed: int = 0) -> None:
        super().__init__(kinds, seed=seed)
        self.truth = {kind: ("helpful", "neutral", "harmful")[n % 3] for n, kind in enumerate(self.kinds)}
        easy = {"helpful": (0.1,), "neutral": (0.1, 0.5, 0.9), "harmful": (0.9,)}
        self.odds = {
            kind: easy[self.truth[kind]][n // 3 % len(easy[self.truth[kind]])] for n, kind in enumerate(self.kinds)
        }

    def lesson(self, kind: str) -> str:
        """A bullet whose words don't say what it is worth."""
        return f"To close {kind} orders, first look up the {kind} page of the register."

    def answer(self, task: Task, text: str) -> str:
        kind, draw = self.kind(task), random.Random(f"{self.seed}/{task.id}").random()
        shift = {"helpful": 0.4, "neutral": 0.0, "harmful": -0.4}[self.truth[kind]]
        odds = self.odds[kind] + (shift if f" {kind} orders" in text else 0.0)
        return self.rule(kind) if draw < odds else "unknown"


def judge_by_outcome(prompt: str) -> list[BulletJudgement]:
    """What a reflector does that can't see causes: bullets of a success were helpful, those of a failure harmful."""
    verdict: Any = "helpful" if "check says right" in prompt else "harmful"
    return [BulletJudgement(id=id, verdict=verdict) for id in re.findall(r"^(\w{8}): ", prompt, re.MULTILINE)]


def separation(scores: dict[str, float], truth: dict[str, str]) -> float:
    """Mean AUROC of telling helpful bullets from the rest, and the rest from harmful ones."""
    groups = {name: [id for id, found in truth.items() if found == name] for name in ("helpful", "neutral", "harmful")}
    above = auroc(scores, groups["helpful"], groups["neutral"] + groups["harmful"])
    return (above + auroc(scores, groups["helpful"] + groups["neutral"], groups["harmful"])) / 2


async def credit_and_votes(book: PlaybookStore, world: UnevenWorld, *, runs: int) -> tuple[float, float]:
    """How well the estimated effects and the votes tell helpful, neutral and harmful bullets apart."""
    plant(book, [world.lesson(kind) for kind in world.kinds])
    truth = {next(b.id for b in book.current() if f" {kind} " in b.content): world.truth[kind] for kind in world.kinds}
    recaller = PlaybookRecaller(book, withholding=Withholding(share=1.0, masks=8, depth=4, seed=world.seed))
    policy = LearningPolicy(on_success=True, retire_level=1 - 1e-12)
    learner, roles = PlaybookLearner(book, policy=policy), Roles(lambda prompt: [], judge=judge_by_outcome)
    for n in range(runs):
        task = world.task(n)
        block = recaller.recall_now(task.input, run_id=f"r{n}")
        await learner.learn(world.episode(task, block, run_id=f"r{n}", cited=()), call=roles)
    effects = {id: effect.mean for id, effect in learner.evidence.effects().items()}
    votes = {id: float(up - down) for id, (up, down) in book.votes().items()}
    return separation(effects, truth), separation(votes, truth)


class Roles:
    """A reflector and a curator that say what a function tells them to, and count their calls."""

    def __init__(
        self,
        lessons: Callable[[str], Sequence[str]],
        *,
        curate: Callable[[str], CuratorDelta] | None = None,
        judge: Callable[[str], list[BulletJudgement]] = lambda prompt: [],
        scope: str = "",
    ) -> None:
        self.lessons, self.curation, self.judge, self.scope = lessons, curate, judge, scope
        self.prompts: list[tuple[str, str]] = []

    def count(self, role: str) -> int:
        return sum(name == role for name, _ in self.prompts)

    async def __call__(self, role: str, messages: Sequence[Any], *, schema: Any = None) -> Reply:
        prompt = "\n".join(message.text for message in messages)
        self.prompts.append((role, prompt))
        if role == "curator":
            return Reply(self.curation(prompt) if self.curation else CuratorDelta(reasoning="nothing", operations=[]))
        found = [RunLesson(content=text, scope=self.scope) for text in self.lessons(prompt)]
        return Reply(
            Reflection(
                error="failed", cause="no rule", approach="use the rule", lessons=found, judgements=self.judge(prompt)
            )
        )


def truthful(world: PlantedWorld) -> Roles:
    """A reflector that finds the rule when it is shown the right answer."""

    def lessons(prompt: str) -> list[str]:
        found = re.search(r"Close (\w+) order", prompt)
        return [world.helpful(found.group(1))] if found and "<right_answer>" in prompt else []

    return Roles(lessons)


async def run_and_learn(
    world: PlantedWorld, recaller: PlaybookRecaller, learner: PlaybookLearner, roles: Roles, number: int, **more: Any
) -> tuple[float, Learnt]:
    """One task, predicted and then learnt from."""
    task = world.task(number)
    block = await recaller.recall(task, run_id=f"run-{number}")
    episode = world.episode(task, block, run_id=f"run-{number}", **more)
    learnt = await learner.learn(episode, call=roles)
    return world.score(task, "" if block is None else block.text), learnt


class HeldOutGate:
    """The simplest gate: held-out tasks with and without the change; accepted where more are won than lost."""

    def __init__(self, book: PlaybookStore, world: PlantedWorld, tasks: Sequence[Task]) -> None:
        self.book, self.world, self.tasks = book, world, tasks

    async def decide(self, changes: Sequence[Change], *, key: str) -> dict[str, Verdict]:
        verdicts = {}
        for change in changes:
            before, after = self._scores(self.book.current()), self._scores(self.book.preview([change]))
            wins = sum(a > b for a, b in zip(after, before, strict=True))
            losses = sum(a < b for a, b in zip(after, before, strict=True))
            evidence = {"wins": wins, "losses": losses, "n": len(before)}
            decision: Any = "accept" if wins > losses else "reject"
            verdicts[change.id] = Verdict(decision=decision, reason=f"{wins} won, {losses} lost", evidence=evidence)
        return verdicts

    def _scores(self, book: Playbook) -> list[float]:
        text = Renderer().render(book.active).text
        return [self.world.score(task, text) for task in self.tasks]


def final_score(book: PlaybookStore, world: PlantedWorld, tasks: Sequence[Task]) -> float:
    """Mean score of tasks with the playbook as it is."""
    text = Renderer().render(book.current().active).text
    return sum(world.score(task, text) for task in tasks) / len(tasks)


def plant(book: PlaybookStore, contents: Sequence[str], *, key: str = "plant") -> None:
    operations = tuple(Add(content=content) for content in contents)
    book.apply(Delta(key=f"{book.target}:{key}", base=book.version(), operations=operations, role="person"))


_WORDS = (
    *("amount", "balance", "check", "convert", "date", "divide", "email", "field", "filter", "format", "header"),
    *("index", "join", "key", "list", "margin", "name", "order", "page", "price", "query", "rate", "ratio", "record"),
    *("report", "result", "round", "scope", "sign", "sort", "sum", "table", "tax", "total", "unit", "user", "value"),
)


def lesson(rng: random.Random, number: int) -> str:
    """About as long as a bullet of ACE's released playbooks (24.1k tokens for 359 bullets)."""
    return (
        f"When you {rng.choice(_WORDS)} item {number}, first " + " ".join(rng.choice(_WORDS) for _ in range(38)) + "."
    )
