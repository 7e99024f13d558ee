"""A playbook for each relation, for benchmarks that learn."""

from __future__ import annotations

from agentkit.playbooks import PlaybookLearner, PlaybookRecaller, PlaybookStore
from agentkit.playbooks.by_category import LearnByRelation, RecallByRelation
from agentkit.store import Store


def open_playbook(store: Store, name: str) -> tuple[RecallByRelation, LearnByRelation]:
    """The recaller and the learner for the playbooks `NAME.RELATION` of a store."""

    def book(relation: str) -> PlaybookStore:
        return PlaybookStore.open(store, f"{name}.{relation}")

    recaller = RecallByRelation(name, lambda relation: PlaybookRecaller(book(relation)))
    return recaller, LearnByRelation(name, lambda relation: PlaybookLearner(book(relation)))
