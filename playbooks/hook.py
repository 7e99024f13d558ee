"""A playbook for a model or graph of your own, in three lines.

hook = PlaybookHook.open("agentkit.db", "support")
model = hook.attach(model)                               # every call now reads the playbook
await hook.learn(question, answer, score=0.0, model=llm)  # and this is how it grows
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from agentkit.playbooks.learner import PlaybookLearner
from agentkit.playbooks.recaller import PlaybookRecaller
from agentkit.playbooks.storage import PlaybookStore
from agentkit.playbooks.stream_gate import StreamGate
from agentkit.protocols import Block, Episode, Learnt
from agentkit.settings import DailyGate
from agentkit.store import Store
from agentkit.tasks import Channel, Feedback, Task

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable


class PlaybookHook:
    """Adds a playbook to prompts that AgentKit does not write, and learns from their outcomes."""

    def __init__(self, recaller: PlaybookRecaller, learner: PlaybookLearner) -> None:
        self.recaller, self.learner, self.book = recaller, learner, recaller.book
        self._given: OrderedDict[str, Block | None] = OrderedDict()

    @classmethod
    def open(cls, database: str | Path | Store, name: str = "default", *, gate: DailyGate = "probation") -> Self:
        """A hook for a playbook in a database, given by path, SQLAlchemy URL or open store.

        Args:
            gate: what happens to edits; see `DailyGate`.
        """
        store = database if isinstance(database, Store) else Store.open(database)
        book = PlaybookStore.open(store, name)
        trials = StreamGate(book) if gate == "probation" else None
        return cls(PlaybookRecaller(book, trials=trials), PlaybookLearner(book, gate=gate))

    def prompt(self) -> Runnable[Any, Any]:
        """A step that adds the playbook to messages; put it before a model: `hook.prompt() | model`."""
        from langchain_core.runnables import RunnableLambda

        return RunnableLambda(self.add)

    def attach(self, model: Runnable[Any, Any]) -> Runnable[Any, Any]:
        """The model with the playbook step in front; it accepts and returns what the model does."""
        return self.prompt() | model

    def add(self, messages: Any) -> list[BaseMessage]:
        """Messages with the playbook at the end of the system message; the last human message determines the
        bullets."""
        from langchain_core.messages import HumanMessage, SystemMessage, convert_to_messages
        from langchain_core.prompt_values import PromptValue

        found: list[BaseMessage] = (
            [HumanMessage(messages)]
            if isinstance(messages, str)
            else messages.to_messages()
            if isinstance(messages, PromptValue)
            else convert_to_messages(messages)
        )
        question = next((message.text for message in reversed(found) if message.type == "human"), "")
        block = self.block(question)
        self._remember(question, block)
        if block is None or not block.text:
            return found
        text = f"<playbook>\n{block.text}\n</playbook>"
        if found and found[0].type == "system":
            return [SystemMessage(f"{found[0].text}\n\n{text}"), *found[1:]]
        return [SystemMessage(text), *found]

    def _remember(self, question: str, block: Block | None) -> None:
        """Remember what a question was given until its outcome is known."""
        self._given[question] = block
        while len(self._given) > 1000:
            self._given.popitem(last=False)

    def block(self, question: str, *, run_id: str | None = None) -> Block | None:
        """The block for a question."""
        return self.recaller.recall_now(question, run_id=run_id or uuid.uuid4().hex)

    async def learn(
        self,
        question: str,
        answer: str,
        *,
        score: float,
        model: BaseChatModel,
        text: str = "",
        channel: Channel = "user",
        cited: Sequence[str] = (),
        run_id: str | None = None,
        untrusted: bool = True,
        source: str = "",
    ) -> Learnt:
        """Learn from one answer; with a `run_id`, exactly once for that run.

        Args:
            score: 0 (wrong) to 1 (right).
            model: reflects and curates.
            text: what was wrong; treated as data.
            cited: ids of the bullets that the answer used.
            untrusted: whether text that somebody else wrote (pages, documents, tool results) may have been in the
                prompt. Only the caller can know, so the default is True, and the lesson is then quarantined.
            source: where that text came from, for `retire --source`.
        """
        from agentkit.models import Caller

        run_id = run_id or uuid.uuid4().hex
        caller = Caller(model)
        block = self._given.get(question)
        episode = Episode(
            run_id=run_id,
            task=Task(id=run_id, input=question),
            labels="none",
            answer=answer,
            feedback=(Feedback(channel=channel, score=score, text=text),),
            blocks=() if block is None else (block,),
            cited=tuple(cited),
            model=caller.name,
            untrusted=untrusted or bool(source),
            source=source or ("hook" if untrusted else ""),
        )

        async def call(role: str, messages: Sequence[BaseMessage], *, schema: Any = None) -> Any:
            return await caller.call(messages, schema=schema, role=role, scope=f"learn:{role}")

        return await self.learner.learn(episode, call=call)
