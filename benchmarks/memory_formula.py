"""A real run: does showing a local model its own earlier episodes help it with Formula, and is it the recall that
helps?

    python -m benchmarks.memory_formula [--model local/qwen2.5-coder-0.5b] [--bank-n 88] [--learn-n 24] [--val-n 32]

The model writes one expression and a calculator evaluates it; every item gets one attempt in every arm. Its bare
attempts at training items, graded by their labels, become the cases. Validation items are then answered with the k
successes that recall ranks first, with k successes drawn at random, and as the shipped recaller decides, which has
learnt from the outcomes of further training items and may show nothing. Nothing is chosen by looking at validation
items. Every answer goes to a file under --home immediately, so an interrupted run continues.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from agentkit.checkers import get_checker
from agentkit.errors import AgentKitError
from agentkit.memory import Case, CaseMemory, Filters, MemoryRecaller, RecallSettings
from agentkit.memory.rendering import render
from agentkit.models import Caller, load_embedder, load_model
from agentkit.roles.blocks import block as delimited
from agentkit.statistics.estimates import mcnemar_exact
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.tools.calculator import calculate
from benchmarks import _formula
from benchmarks._results import Results, arguments, data_path, paired, share

INSTRUCTIONS = """\
You answer financial questions. Write the one arithmetic expression, in Python's notation with plain numbers, whose
value is the answer; a calculator works it out."""
KS = (1, 2, 4, 8)
CONTROLLED = (2, 8)
"""The values of k for which random cases are shown as well."""
TOGETHER = 8
"""Items that share one random draw of cases, so that their prompts have a common prefix."""
SHOWN = 2
"""How many cases the shipped recaller may show."""
SHIPPED = "shipped recaller"


SUCCESSES = Filters(outcomes=("success",))


class Working(BaseModel):
    """An answer as an expression."""

    expression: str = Field(description="numbers and + - * / ** ( ) only", max_length=120)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One answer: its working, its score, and what it cost."""

    expression: str
    answer: str
    score: float
    tokens: int
    shown: int


class Attempts:
    """Answers by arm and item, stored on disk immediately."""

    def __init__(self, path: Path, caller: Caller) -> None:
        self.path, self.caller, self.known = path, caller, dict[str, Attempt]()
        self.checker = get_checker({"name": "numeric", "rel": 0.005})
        if path.exists():
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            self.known = {row.pop("key"): Attempt(**row) for row in rows}

    async def make(self, arm: str, task: Task, cases: str, shown: int) -> Attempt:
        """The answer to a task with this text of cases before it."""
        key = f"{arm}/{task.id}"
        if key not in self.known:
            made = self.known[key] = await self._make(task, cases, shown)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, **asdict(made)}) + "\n")
        return self.known[key]

    async def _make(self, task: Task, cases: str, shown: int) -> Attempt:
        page = f"\n\n<cases>\n{cases}\n</cases>" if cases else ""
        messages = [SystemMessage(INSTRUCTIONS + page), HumanMessage(delimited("task", task.input))]
        expression = answer = ""
        tokens = 0
        try:
            reply = await self.caller.call(messages, schema=Working, role="explorer", scope=task.id)
            tokens, expression = reply.usage.input_tokens + reply.usage.output_tokens, reply.parsed.expression
            expression, answer = worked_out(expression)
        except AgentKitError:
            pass  # no answer counts as a wrong answer, in every arm
        feedback = await self.checker.check(answer, task)
        score = float(feedback.score or 0.0)
        return Attempt(expression=expression, answer=answer, score=score, tokens=tokens, shown=shown)


def worked_out(text: str) -> tuple[str, str]:
    """The first side of an equation that a calculator can evaluate, and its value; the text and "" if there is none."""
    for side in text.split("="):
        plain = re.sub(r"[$€£]|(?<=\d),(?=\d{3})", "", side).strip()
        try:
            return plain, f"{round(float(calculate(plain)), 2):.2f}"
        except (AgentKitError, ValueError, ArithmeticError, TypeError):
            continue
    return text, ""


class Run:
    """One memory, filled and taught by training items only."""

    def __init__(self, store: Store, attempts: Attempts, embedder: Any) -> None:
        self.memory = CaseMemory.open(store, "formula", embedder=embedder)
        self.attempts = attempts
        settings = RecallSettings(successes=SHOWN, failures=0)
        self.recaller = MemoryRecaller(self.memory, settings=settings)

    async def gather(self, tasks: Sequence[Task]) -> list[Attempt]:
        """Turn bare attempts into cases."""
        made = [await self.attempts.make("bare", task, "", 0) for task in tasks]
        for number, (task, attempt) in enumerate(zip(tasks, made, strict=True)):
            self.memory.add(
                Case(
                    id=f"c{number}",
                    run_id=f"gather-{task.id}",
                    state=state_of(task),
                    plan=_plan(attempt),
                    reward=attempt.score,
                    channel="label",
                    source="gathered",
                )
            )
        return made

    async def study(self, tasks: Sequence[Task]) -> list[Attempt]:
        """Let the recaller show or withhold cases and learn from each outcome; the cases stay the same for every
        arm."""
        made = []
        for task in tasks:
            run = f"study-{task.id}"
            attempt = await self._recalled("study", task, run)
            self.recaller.policies.learn(run, "default", attempt.score, signal="label")
            made.append(attempt)
        return made

    async def shipped(self, tasks: Sequence[Task]) -> list[Attempt]:
        """Answer as the taught recaller decides, without learning in between."""
        return [await self._recalled("shipped", task, f"held-{task.id}") for task in tasks]

    async def _recalled(self, arm: str, task: Task, run: str) -> Attempt:
        block = self.recaller.recall_now(state_of(task), run_id=run)
        shown = 0 if block is None else sum(offer.shown for offer in block.offers)
        return await self.attempts.make(arm, task, "" if block is None else block.text, shown)

    async def nearest(self, tasks: Sequence[Task], k: int) -> list[Attempt]:
        """Answer with the k successes that the default policy ranks first."""
        made = []
        for task in tasks:
            hits = self.memory.search(state_of(task), k, filters=SUCCESSES, policy="fused")
            made.append(await self.attempts.make(f"nearest-{k}", task, render([hit.case for hit in hits]), len(hits)))
        return made

    async def random(self, tasks: Sequence[Task], k: int) -> list[Attempt]:
        """Answer with k successes drawn at random; one draw serves several items, whose prompts have a common
        prefix."""
        made = []
        for number, task in enumerate(tasks):
            hits = self.memory.search(f"draw {k} {number // TOGETHER}", k, filters=SUCCESSES, policy="random")
            made.append(await self.attempts.make(f"random-{k}", task, render([hit.case for hit in hits]), len(hits)))
        return made


def state_of(task: Task) -> str:
    """What distinguishes a task: the formula's name and the question, without the words that every task shares."""
    question = task.input.partition("Question:")[2].rpartition("Answer:")[0].strip(' ".')
    return f"{task.metadata['category']}: {question}"


def _plan(attempt: Attempt) -> str:
    verdict = "Answer" if attempt.score >= 0.5 else "Wrong answer"
    return f"{attempt.expression}\n{verdict}: {attempt.answer or 'none'}"


def report(results: Results, made: dict[str, list[Attempt]]) -> None:
    """Accuracy and tokens of every arm, and paired tests against no cases and against the random control."""
    bare = made["k = 0"]
    for arm, attempts in made.items():
        scores = [attempt.score for attempt in attempts]
        results.add(arm=arm, metric="accuracy", **share(sum(scores), len(scores)))
        results.add(arm=arm, metric="tokens an item", value=sum(a.tokens for a in attempts) / len(attempts))
        if arm != "k = 0":
            _compare(results, arm, "gain over k = 0", attempts, bare)
        control = made.get(f"k = {SHOWN}, random" if arm == SHIPPED else arm.replace("recalled", "random"))
        if control is not None and control is not attempts:
            _compare(results, arm, "gain over random", attempts, control)
    if SHIPPED in made:
        silent = sum(attempt.shown == 0 for attempt in made[SHIPPED])
        results.add(arm=SHIPPED, metric="items shown nothing", **share(silent, len(bare)))


def _compare(results: Results, arm: str, metric: str, after: list[Attempt], before: list[Attempt]) -> None:
    new, old = [a.score for a in after], [a.score for a in before]
    wins = sum(a > b for a, b in zip(new, old, strict=True))
    losses = sum(a < b for a, b in zip(new, old, strict=True))
    results.add(arm=arm, metric=metric, **paired(new, old), wins=wins, losses=losses, p=mcnemar_exact(wins, losses))


async def measure(args: Any, results: Results) -> None:
    train = _formula.sample(_rows(args, args.train, "train"), None)
    held = _formula.sample(_rows(args, args.val, "val"), args.val_n)
    args.home.mkdir(parents=True, exist_ok=True)
    name = f"memory_formula-{args.text}-{args.model.rpartition('/')[2]}.jsonl"
    attempts = Attempts(args.home / name, Caller(load_model(args.model)))
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "formula.db")
        run = Run(store, attempts, load_embedder(args.embedder))
        gathered = await run.gather(train[: args.bank_n])
        results.add(arm="training items", metric="bare accuracy, the cases", **_share(gathered))
        made = {"k = 0": [await attempts.make("none", task, "", 0) for task in held]}
        for k in args.ks:
            made[f"k = {k}, recalled"] = await run.nearest(held, k)
            if k in CONTROLLED:
                made[f"k = {k}, random"] = await run.random(held, k)
            if k == SHOWN and args.learn_n:
                studied = await run.study(train[args.bank_n : args.bank_n + args.learn_n])
                results.add(arm="training items", metric="accuracy while the recaller learns", **_share(studied))
                made[SHIPPED] = await run.shipped(held)
        store.close()
    report(results, made)


def _share(made: Sequence[Attempt]) -> dict[str, Any]:
    return share(sum(attempt.score for attempt in made), len(made))


def _rows(args: Any, path: Path | None, split: str) -> list[Task]:
    file = data_path(path, "formula", f"{split}.jsonl")
    return _formula.without_bad(_formula.load(file, arm=args.text, split=split))


def main() -> None:
    parser = arguments("memory_formula", __doc__ or "")
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--embedder", default="local/all-minilm-l6-v2")
    parser.add_argument("--train", type=Path, help="Formula's train.jsonl")
    parser.add_argument("--val", type=Path, help="Formula's val.jsonl")
    parser.add_argument("--text", choices=["full", "question"], default="full", help="with the formula's text or not")
    parser.add_argument("--bank-n", type=int, default=88, help="training items whose attempts become cases")
    parser.add_argument(
        "--learn-n", type=int, default=24, help="training items that the recaller learns from; 0: no such arm"
    )
    parser.add_argument("--val-n", type=int, default=32)
    parser.add_argument("--ks", type=int, nargs="+", default=[2, 8, 4, 1], choices=KS)
    parser.add_argument("--home", type=Path, default=Path("build/benchmarks/memory_formula"), help="keeps every answer")
    args = parser.parse_args()
    results = Results("memory_formula", settings=vars(args), label=args.label)
    asyncio.run(measure(args, results))
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
