"""A real run: a local model answers Formula questions without the formula's text, and a playbook grows.

    python -m benchmarks.playbook_formula [--model local/qwen2.5-coder-1.5b] [--train-n 24] [--val-n 12] [--minutes 30]

Online: each training task is answered with the current playbook, then learnt from with its label. Held-out tasks of the
same formulas are answered before and after learning. Half of the formulas want their result in per cent and half as a
fraction, and only the deleted text said which. The model writes an expression and a calculator evaluates it: what is
missing is the formula and its convention, which a lesson can supply. With --record, an interrupted run continues; with
--minutes, learning ends in time and what was learnt is measured.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from agentkit.checkers import get_checker
from agentkit.errors import AgentKitError
from agentkit.models import Caller, Reply, Usage, load_model
from agentkit.playbooks import LearningPolicy, PlaybookLearner, PlaybookRecaller, PlaybookStore
from agentkit.protocols import Block, Episode, Step
from agentkit.roles.blocks import block as delimited
from agentkit.store import Store
from agentkit.tasks import Feedback, Task
from agentkit.testing import RecordedModel
from agentkit.tools.calculator import calculate
from benchmarks import _formula
from benchmarks._results import Results, arguments, data_path, paired, share

INSTRUCTIONS = """\
You answer financial questions. Write the one arithmetic expression, in Python's notation with plain numbers, whose
value is the answer; a calculator works it out. Apply the lessons of the playbook that fit."""


class Working(BaseModel):
    """An answer as an expression."""

    formula: str = Field(description="the formula, in words", max_length=160)
    expression: str = Field(description="numbers and + - * / ** ( ) only", max_length=160)


class Run:
    """One store, one model, one playbook."""

    def __init__(self, store: Store, caller: Caller, *, tolerance: float) -> None:
        self.book = PlaybookStore.open(store, "formula")
        self.caller, self.checker = caller, get_checker({"name": "numeric", "rel": tolerance})
        self.used, self.calls = Usage(), 0
        self.recaller = PlaybookRecaller(self.book)
        self.learner = PlaybookLearner(self.book, policy=LearningPolicy(curate="related"))

    async def _call(self, messages: Sequence[Any], **more: Any) -> Reply:
        reply = await self.caller.call(messages, **more)
        self.used, self.calls = self.used + reply.usage, self.calls + 1
        return reply

    async def answer(self, task: Task, block: Block | None, scope: str) -> tuple[str, str, float]:
        """(working, answer, score) of a task."""
        page = f"\n\n<playbook>\n{block.text}\n</playbook>" if block else ""
        messages = [SystemMessage(INSTRUCTIONS + page), HumanMessage(delimited("task", task.input))]
        try:
            reply = await self._call(messages, schema=Working, role="explorer", scope=scope)
            working = f"{reply.parsed.formula}: {reply.parsed.expression}"
            answer = f"{round(float(calculate(reply.parsed.expression)), 2):.2f}"
        except (AgentKitError, ValueError, ArithmeticError) as error:
            return f"failed: {error}", "", 0.0
        feedback = await self.checker.check(answer, task)
        return working, answer, float(feedback.score or 0.0)

    async def online(self, task: Task, number: int) -> tuple[float, int]:
        """Answer, then learn; returns the score of the answer and the playbook's size afterwards."""
        block = await self.recaller.recall(task, run_id=f"train{number}")
        working, answer, score = await self.answer(task, block, f"train{number}")
        episode = Episode(
            run_id=f"train{number}",
            task=task,
            labels="gold",
            answer=answer or None,
            steps=(Step(actor="explorer", text=working),),
            feedback=(Feedback(channel="label", score=score),),
            blocks=() if block is None else (block,),
            model=self.caller.name,
        )

        async def call(role: str, messages: Sequence[Any], *, schema: Any = None) -> Any:
            return await self._call(messages, schema=schema, role=role, scope=f"train{number}")

        await self.learner.learn(episode, call=call)
        return score, len(self.book.current())

    async def held_out(self, tasks: Sequence[Task], label: str) -> list[float]:
        """Scores with the current playbook; nothing is learnt."""
        scores = []
        for task in tasks:
            block = await self.recaller.recall(task, run_id=f"{label}-{task.id}")
            scores.append((await self.answer(task, block, f"{label}-{task.id}"))[2])
        return scores


def choose(tasks: list[Task], formulas: Sequence[str], count: int) -> list[Task]:
    """Equally many tasks of each formula, in a fixed order."""
    rows = [[task for task in _formula.sample(tasks, None) if task.metadata["category"] == name] for name in formulas]
    return [task for group in zip(*rows, strict=False) for task in group][:count]


def draw(scores: Sequence[float], sizes: Sequence[int], before: float, after: float, path: Path) -> None:
    """The curve: mean score so far and the playbook's size; held-out accuracy at both ends."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    x = range(1, len(scores) + 1)
    axis.plot(x, [sum(scores[:n]) / n for n in x], color="#2563a8", label="training tasks so far, before learning")
    axis.plot([0, len(scores)], [before, after], "o--", color="#2e8b57", label="held-out tasks, before and after")
    axis.set(xlabel="tasks learnt from", ylabel="accuracy", ylim=(0, 1.02))
    other = axis.twinx()
    other.step(x, sizes, where="post", color="#8a949e", alpha=0.7)
    other.set_ylabel("bullets", color="#8a949e")
    axis.legend(loc="upper left", frameon=False)
    axis.set_title("Formula without its text: a playbook grows", loc="left")
    figure.savefig(path)


async def measure(args: Any, results: Results) -> None:
    train = choose(
        _formula.load(data_path(args.train, "formula", "train.jsonl"), arm="question", split="train"),
        args.formulas,
        args.train_n,
    )
    val = choose(
        _formula.load(data_path(args.val, "formula", "val.jsonl"), arm="question", split="val"),
        args.formulas,
        args.val_n,
    )
    model = load_model(args.model)
    caller = Caller(RecordedModel(args.record, model) if args.record else model)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "formula.db")
        run = Run(store, caller, tolerance=args.tolerance)
        before = await run.held_out(val, "before")
        learnt, until = [], time.monotonic() + 60 * args.minutes
        for number, task in enumerate(_formula.without_bad(train)):
            if time.monotonic() < until:
                learnt.append(await run.online(task, number))
                print(f"{number + 1}: score {learnt[-1][0]:.0f}, {learnt[-1][1]} bullets", file=sys.stderr, flush=True)
        after = await run.held_out(val, "after")
        bullets = [bullet.content for bullet in run.book.current()]
        store.close()
    scores, sizes = [score for score, _ in learnt], [size for _, size in learnt]
    results.add(arm="held out", metric="before learning", **share(sum(before), len(before)))
    results.add(arm="held out", metric="after learning", **share(sum(after), len(after)))
    results.add(arm="held out", metric="paired gain", **paired(after, before))
    half = len(scores) // 2
    results.add(arm="online", metric="first half, before learning", **share(sum(scores[:half]), half))
    results.add(arm="online", metric="second half, before learning", **share(sum(scores[half:]), len(scores) - half))
    cached = run.used.cached_tokens / max(1, run.used.input_tokens)
    results.add(arm="all calls", metric="cached share of the prompt tokens", value=cached, n=run.calls)
    curve = [{"task": n, "score": score, "bullets": size} for n, (score, size) in enumerate(learnt, 1)]
    results.add(arm="playbook", metric="bullets", value=sizes[-1], n=len(scores), curve=curve, bullets=bullets)
    args.out.mkdir(parents=True, exist_ok=True)
    picture = args.out / f"playbook_formula-{args.label}.png"
    draw(scores, sizes, sum(before) / len(before), sum(after) / len(after), picture)
    results.note(f"the curve is in {picture.name}; targets are the published labels within {args.tolerance:.1%}")


def main() -> None:
    parser = arguments("playbook_formula", __doc__ or "")
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--train", type=Path, help="Formula's train.jsonl")
    parser.add_argument("--val", type=Path, help="Formula's val.jsonl")
    parser.add_argument("--train-n", type=int, default=24)
    parser.add_argument("--val-n", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=600, help="start no training task after so many minutes")
    parser.add_argument("--tolerance", type=float, default=0.005)
    parser.add_argument("--record", type=Path, help="a file that keeps the model's answers")
    parser.add_argument(
        "--formulas",
        nargs="+",
        help="names of formulas",
        default=[
            "Dividend Yield",
            "Return on Equity (ROE)",
            "Effective Annual Rate (EAR)",
            "Operating Margin",
            "Dividend Payout Ratio",
            "Return on Assets (ROA)",
        ],
    )
    args = parser.parse_args()
    results = Results("playbook_formula", settings=vars(args), label=args.label)
    asyncio.run(measure(args, results))
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
