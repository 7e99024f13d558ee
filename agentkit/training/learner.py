"""Adapters in `agentkit evolve`: an adapter trained on the runs of each batch, proposed like any other change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentkit.adapters import AdapterStore, of_change
from agentkit.errors import RunError, UserError
from agentkit.evolution.protocols import Evolvable
from agentkit.ledger import Change
from agentkit.protocols import CallModel, Episode, Learner, Learnt
from agentkit.tasks import Task
from agentkit.training.evolvable import AdapterEvolvable
from agentkit.training.examples import Attempt, Example, Unfit, read_examples, read_run, without_tasks, write_examples
from agentkit.training.lora import LEAST, LoraSettings
from agentkit.training.making import Maker, OnTraining, make_folder, silent
from agentkit.training.recipes import Edits, Own, Recipe
from agentkit.training.upkeep import MERGED, known_examples, waiting_of

if TYPE_CHECKING:
    from agentkit.agent import Agent


class AdapterLessons:
    """Trains an adapter on the episodes of a batch and all earlier examples, and proposes it as one change.

    Nothing is trained until there are enough examples, or if a batch adds none.

    Args:
        maker: trains and proposes the adapter.
        held_out: the tasks that decide about it, which it must not be trained on.
        recipe: makes the examples from one attempt at each task; None takes corrections and own right answers if
            targets may be learned from, otherwise own right answers only.
    """

    name = "adapter"

    def __init__(self, maker: Maker, held_out: Sequence[Task], *, recipe: Recipe | None = None) -> None:
        self.maker, self.held_out, self.recipe = maker, list(held_out), recipe

    async def learn(self, episode: Episode, *, call: CallModel) -> Learnt:
        """Learn from one episode; an evolution hands over whole batches instead."""
        return await self.learn_batch([episode], key=episode.run_id, call=call)

    async def learn_batch(self, episodes: Sequence[Episode], *, key: str, call: CallModel) -> Learnt:
        """Train on a batch and propose the adapter. Raises RunError if training fails, for example on a full disk."""
        recipe = self.recipe or (Edits() if any(item.labels == "gold" for item in episodes) else Own(attempts=1))
        attempts = [[found] for item in episodes if (found := self._read(item)) is not None]
        newest, before = self._newest()
        path = waiting_of(self.maker.adapters)
        waiting = read_examples(path) if path.is_file() else []
        examples = without_tasks([*before, *waiting, *recipe.examples(attempts, [])], self.held_out)
        known = {item.hash for item in before}
        new = [item for item in examples if item.hash not in known]
        if before and not new:
            open_still = (newest.id,) if newest is not None and newest.status == "proposed" else ()
            return Learnt(
                status="waiting" if open_still else "nothing", changes=open_still, note="nothing new to learn"
            )
        if len(examples) < LEAST:
            make_folder(path.parent)
            write_examples(new, path)
            return Learnt(status="nothing", note=f"{len(examples)} examples so far: {LEAST} are needed to train on")
        try:
            change, _ = await self.maker.make(examples, recipe=recipe.name)
        except UserError as error:
            raise RunError(str(error)) from error
        path.unlink(missing_ok=True)
        return Learnt(
            status="waiting", changes=(change.id,), note=f"trained on {len(examples)} examples, {len(new)} new"
        )

    def _newest(self) -> tuple[Change | None, list[Example]]:
        """The newest training and its examples, accepted or not: a new adapter replaces it entirely."""
        adapters = self.maker.adapters
        for change in adapters.ledger.history(adapters.target):
            adapter = of_change(change)
            if adapter is not None and not adapter.recipe.startswith(MERGED):
                return change, known_examples(adapters, adapter)
        return None, []

    def _read(self, episode: Episode) -> Attempt | None:
        """An episode as an attempt; None if nothing may be learned from it."""
        log, program = self.maker.agent.log, self.maker.agent.program
        try:
            run = read_run(log, log.get(episode.run), program)
        except Unfit:
            return None
        known = next((item for item in episode.feedback if item.score is not None and item.channel != "judge"), None)
        wrong = known is not None and known.score is not None and known.score < 0.5
        return Attempt(
            task=episode.task,
            chat=run.chat,
            said=run.said,
            answer=episode.answer or "",
            run_id=episode.run_id,
            score=None if known is None else known.score,
            source="check" if known is None else known.channel,
            correction=episode.task.target if wrong and episode.labels == "gold" and not run.reason else None,
            bare=run.bare,
        )


def adapter_part(
    agent: Agent,
    name: str,
    *,
    held_out: Sequence[Task] = (),
    lora: LoraSettings | None = None,
    recipe: Recipe | None = None,
    on_event: OnTraining = silent,
) -> tuple[Evolvable, Learner]:
    """An adapter in the agent's store, in the form that `aevolve(…, also=[…])` takes.

    Args:
        held_out: the tasks of `val`, `test` and `probes`.

    Raises:
        UserError: the agent's model is not a local one.
    """
    adapters = AdapterStore.open(agent.store, name, settings=agent.settings)
    maker = Maker(agent, adapters, lora or LoraSettings(), on_event)
    return AdapterEvolvable(adapters), AdapterLessons(maker, held_out, recipe=recipe)
