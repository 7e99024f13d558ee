"""Cost: calls, tokens and seconds per learned sample, compared with ACE's published procedure on the same model and
samples.

    python -m benchmarks.cost [--model …] [--train-n 24] [--test-n 40] [--gepa]

The ACE arm follows arXiv 2510.04618 and its released code: generate; if wrong, reflect and generate again with the
reflection, up to three times; else reflect once; then curate (ADD only, no gate); then generate once more. Its authors
do the last step only for their log, so ACE is also shown without it. Both arms learn without a gate and without labels
in their rollouts; `--gate strict --val-n 40` adds the cost of proof. `--gepa` adds an arm with gepa from the package
index on the same model, with the budget that AgentKit used.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from agentkit.agent import Agent
from agentkit.aio import run_sync
from agentkit.errors import RunError
from agentkit.evolution.arms import run_arm
from agentkit.evolution.harness import AgentHarness, trials_for
from agentkit.evolution.protocols import Cost, Fixed, Harness
from agentkit.evolution.records import BatchRecord
from agentkit.playbooks.evolvable import PlaybookEvolvable
from agentkit.playbooks.operations import Add, Delta
from agentkit.playbooks.rendering import Renderer
from agentkit.playbooks.storage import PlaybookStore
from agentkit.protocols import Block, Recaller
from agentkit.roles.blocks import block
from agentkit.tasks import Task
from benchmarks import _formula
from benchmarks._evolving import agent_for, learn, options
from benchmarks._results import Results, data_path, paired, share


class AceReflection(BaseModel):
    """ACE's fields; limited in length, because a small model continues until it is cut off."""

    reasoning: str = Field(max_length=800)
    error_identification: str = Field(max_length=400)
    root_cause_analysis: str = Field(max_length=400)
    correct_approach: str = Field(max_length=400)
    key_insight: str = Field(max_length=400)


class AceOperation(BaseModel):
    section: str
    content: str = Field(max_length=600)


class AceCuration(BaseModel):
    reasoning: str = Field(max_length=800)
    operations: list[AceOperation] = Field(default_factory=list, max_length=3)


@dataclass
class Ace:
    """ACE's loop over the agent's own rollouts, so that both arms solve tasks in the same way."""

    agent: Agent
    book: PlaybookStore
    rounds: int = 3

    async def sample(self, task: Task, number: int) -> list[str]:
        """Learn from one training sample; returns the ids of everything that called the model."""
        evolvable = PlaybookEvolvable(self.book, renderer=Renderer(budget=80_000))
        name, harness = f"ace-{self.book.name}-{number}", AgentHarness(self.agent, learner="ace")
        page = evolvable.at(self._version(number))
        used = [f"{name}-g0", f"{name}-r"]
        answer = await self._generate(task, [page], used[0])
        call, reflection = harness.learner_call(used[1]), ""
        for turn in range(self.rounds):
            right = await _right(harness, task, answer)
            if right and turn:
                break
            reflection = await self._reflect(call, task, answer, right)
            if right:
                break
            used.append(f"{name}-g{turn + 1}")
            again: list[Recaller] = [page, Fixed(name="reflection", block=_note(reflection))]
            answer = await self._generate(task, again, used[-1])
        await self._curate(call, task, reflection, number)
        used.append(f"{name}-after")
        after = evolvable.at(self._version(number + 1))
        await self._generate(task, [after], used[-1])
        return used

    def _key(self, number: int) -> str:
        return f"ace-{self.book.name}-{number}-c:{self.book.target}"

    def _version(self, number: int) -> int:
        """The playbook's version before a sample, so that an interrupted run makes the same calls again."""
        return sum(self.book.ledger.find(self._key(earlier)) is not None for earlier in range(number))

    async def _generate(self, task: Task, recallers: list[Recaller], key: str) -> str | None:
        """An answer without the label; None if the run failed."""
        harness = AgentHarness(self.agent)
        try:
            return (
                await harness.rollout(task.model_copy(update={"target": None}), recallers=recallers, key=key)
            ).answer
        except RunError:
            return None

    async def _reflect(self, call: Any, task: Task, answer: str | None, right: bool) -> str:
        outcome = "matches" if right else "does not match"
        parts = [
            block("question", task.input),
            block("answer", answer or ""),
            block("truth", task.target or ""),
            f"The answer {outcome} the truth.",
        ]
        system = "Diagnose the root cause, say what should have been done, and give one reusable insight."
        reply = await call("reflector", [SystemMessage(system), HumanMessage("\n".join(parts))], schema=AceReflection)
        return str(reply.parsed.model_dump_json())

    async def _curate(self, call: Any, task: Task, reflection: str, number: int) -> None:
        base = self._version(number)
        page = Renderer(budget=80_000).render(self.book.at(base).active).text
        system = "Say what the playbook lacks. Add few, actionable bullets; an empty list is allowed. Repeat nothing."
        text = "\n".join([block("playbook", page), block("reflection", reflection), block("question", task.input)])
        reply = await call("curator", [SystemMessage(system), HumanMessage(text)], schema=AceCuration)
        added = tuple(
            Add(content=item.content, section=item.section) for item in reply.parsed.operations if item.content.strip()
        )
        if added:
            self.book.apply(Delta(key=self._key(number), base=base, operations=added))


def main() -> None:
    parser = options("cost", "what a learned sample costs, beside ACE's procedure")
    parser.add_argument("--gepa", action="store_true", help="also run gepa on the same model and budget")
    parser.set_defaults(train_n=24, val_n=0, test_n=40, learn=["playbook"], gate="off", controls=False)
    args = parser.parse_args()
    results = Results("cost", settings=vars(args), label=args.label)
    train = _formula.sample(_formula.load(data_path(args.train, "formula", "train.jsonl"), split="train"), args.train_n)
    held = _formula.sample(_formula.load(data_path(args.val, "formula", "val.jsonl"), split="val"), None)
    test, val = held[: args.test_n], held[args.test_n : args.test_n + args.val_n]
    with agent_for(args, "cost", ["calculate_answer"], recorded=False) as agent:
        done = learn(agent, args, _name(args), train, val, [], "playbook")
        learning = _learning_only(agent, done.evolved.batches, args.hints)
        _row(results, "agentkit", learning, len(train))
        if args.gate != "off":
            _row(results, "agentkit, gate and validation included", done.evolved.usage, len(train))
        ace = Ace(agent, PlaybookStore.open(agent.store, f"ace-{args.train_n}-{args.seed}"))
        theirs = run_sync(_ace(results, ace, train, learning, args.out))
        _compare(results, learning, *theirs, len(train))
        results.save(args.out)
        if test:
            _accuracy(results, agent, args, ace, test)
        if args.gepa:
            _gepa(results, args, train, val, done.evolved.usage)
    results.finish(json_=args.json, folder=args.out)


def _name(args: argparse.Namespace) -> str:
    """The name of the evolution: other samples and settings make another playbook."""
    return f"cost-{args.train_n}-{args.hints}"


def _learning_only(agent: Agent, batches: Sequence[BatchRecord], hints: int) -> Cost:
    """Rollouts, hinted attempts and lessons of the training samples, counted as in the ACE arm, without the gate and
    validation."""
    costs, notes = AgentHarness(agent).cost, batches[0].learned.notes
    first = notes[0].key.rsplit("-e", 1)[0] if notes else ""
    total = Cost()
    for record in batches:
        name = f"{first}-e{record.epoch}-b{record.batch}"
        tried = [f"{name}-{number}" for number in range(len(record.learned.tasks))]
        for run_id in [name, *tried, *(f"{run}-h{attempt}" for run in tried for attempt in range(hints))]:
            total += costs(run_id)
    return total


async def _ace(results: Results, ace: Ace, train: Sequence[Task], ours: Cost, out: Path | None) -> tuple[Cost, Cost]:
    """What ACE's samples used without their last generation, and what that generation used. Figures are saved along the
    way."""
    costs, lean, logged = AgentHarness(ace.agent).cost, Cost(), Cost()
    for number, task in enumerate(train, 1):
        *used, last = await ace.sample(task, number - 1)
        lean += sum((costs(run_id) for run_id in used), Cost())
        logged += costs(last)
        so_far = copy.deepcopy(results)
        _compare(so_far, ours, lean, logged, number, len(train))
        so_far.note(f"ACE went through {number} of {len(train)} samples so far")
        so_far.save(out)
        print(f"ACE: {number} of {len(train)} samples, {lean}", file=sys.stderr, flush=True)
    return lean, logged


def _compare(
    results: Results, ours: Cost, lean: Cost, logged: Cost, samples: int, our_samples: int | None = None
) -> None:
    for theirs, arm in ((lean, "ACE, without its logging generation"), (lean + logged, "ACE, as released")):
        _row(results, arm, theirs, samples)
        for name, wanted in (("tokens", "≤ 0.50"), ("seconds", "≤ 0.40")):
            ratio = (getattr(ours, name) / (our_samples or samples)) / max(1e-9, getattr(theirs, name) / samples)
            results.add(
                arm=f"agentkit / {arm}", metric=f"{name} a learned sample", value=ratio, n=samples, target=wanted
            )


def _accuracy(results: Results, agent: Agent, args: argparse.Namespace, ace: Ace, test: Sequence[Task]) -> None:
    """Both learned playbooks, and none, on the same tasks."""
    trials, name = trials_for(agent, seed=args.seed), f"{_name(args)}-playbook-{args.seed}"
    books = {"before learning": None, "agentkit": PlaybookStore.open(agent.store, name), "ACE": ace.book}
    arms = {}
    for arm, book in books.items():
        page = [] if book is None else [PlaybookEvolvable(book, renderer=Renderer(budget=80_000)).at(book.version())]
        arms[arm] = run_sync(run_arm(arm, trials, test, page)).scores
        results.add(arm=arm, metric="accuracy", **share(sum(arms[arm].values()), len(test)))
    ids = list(arms["ACE"])
    results.add(
        arm="agentkit − ACE",
        metric="accuracy on the same tasks",
        target="≥ 0",
        **paired([arms["agentkit"][id] for id in ids], [arms["ACE"][id] for id in ids]),
    )


def _row(results: Results, arm: str, used: Cost, samples: int) -> None:
    for name in ("calls", "tokens", "input_tokens", "cached_tokens", "output_tokens", "seconds"):
        value = getattr(used, name) / samples
        results.add(arm=arm, metric=f"{name.replace('_', ' ')} a learned sample", value=value, n=samples)


def _gepa(results: Results, args: argparse.Namespace, train: Sequence[Task], val: Sequence[Task], used: Cost) -> None:
    """gepa's default adapter on the OpenAI-compatible server of `agentkit models serve`, with as many calls as AgentKit
    made.

    The server's address is taken from OPENAI_API_BASE, the key from OPENAI_API_KEY (any text).
    """
    import gepa

    def rows(tasks: Sequence[Task]) -> list[Any]:
        return [{"input": task.input, "answer": task.target or "", "additional_context": {}} for task in tasks]

    name = "openai/" + args.model.split("/", 1)[1]
    done = gepa.optimize(
        seed_candidate={"system_prompt": "Solve the task. End with the number alone."},
        trainset=rows(train),
        valset=rows(val or train),
        task_lm=name,
        reflection_lm=name,
        max_metric_calls=max(20, used.calls),
    )
    results.add(
        arm="gepa",
        metric="validation accuracy, substring match",
        n=len(val or train),
        value=float(done.val_aggregate_scores[done.best_idx]),
    )
    results.add(arm="gepa", metric="metric calls", value=float(done.total_metric_calls or 0))


async def _right(harness: Harness, task: Task, answer: str | None) -> bool:
    feedback = await harness.score(task, answer)
    return bool(feedback and (feedback.score or 0) >= 1)


def _note(text: str) -> Block:
    return Block(kind="reflection", target="reflection", version=0, text=text)


if __name__ == "__main__":
    main()
