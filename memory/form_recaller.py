"""FormRecaller: solved tasks help with a new one in the form that has been learnt to help most, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from sqlalchemy import select

from agentkit.confidence.likeness import MANY, resemblance, weighs_options
from agentkit.embedding import text_hash
from agentkit.memory.agreement import Agreement
from agentkit.memory.bank import Bank
from agentkit.memory.case import Filters
from agentkit.memory.choosing import RecallArm, Seen, beliefs, choose_arm
from agentkit.memory.exposures import Considered, Recall
from agentkit.memory.forms import FORMS, Form, Help, OptionsForm, RecallQuestion
from agentkit.memory.forms.base import Resemblance
from agentkit.memory.kinds import asked_with, choices_of, kind_of
from agentkit.memory.memory import CaseMemory
from agentkit.memory.neighbours import Neighbour, nearest, refuting, typical
from agentkit.memory.policy_store import PolicyStore
from agentkit.memory.query import Query
from agentkit.memory.recaller import run_seed
from agentkit.protocols import Block, Offer
from agentkit.store.cases import CaseRecallRow
from agentkit.tasks import Task

NEAR = 16
"""How many neighbours are considered."""
FAR = 0.25
"""How much more the input resembles cases than names of choices, while too few cases are known to tell."""
CLOSER = 0.02
"""A case must be this much nearer than it typically is, to say as much for a choice as the choice's name."""
HISTORY = 200
"""Beliefs rest on this many of the newest outcomes of a kind of task."""
Ranking = Literal["alike", "meaning", "random"]


@dataclass(frozen=True, kw_only=True)
class FormSettings:
    """How recall works.

    Attributes:
        forms: the available forms; `none` must be among them, unless there is only one.
        size: the number of cases for every form; with None it is learnt too.
        ranking: "alike" (masked wording and meaning), "meaning" only, or "random".
        own: use only the agent's own right answers, no corrections.
        strict: never show untrusted cases.
        reuse_same: whether a case with exactly the same input may be shown.
        weighs: whether the input may be compared with the choices, if there are many (the setting `weigh_choices`).
    """

    forms: Sequence[Form] = FORMS
    size: int | None = None
    ranking: Ranking = "alike"
    own: bool = False
    strict: bool = True
    reuse_same: bool = True
    weighs: bool = True


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The cases that could help with a task, and how much more it resembles inputs than names of choices, typically."""

    near: list[Neighbour]
    refuting: list[Neighbour]
    further: float


class FormRecaller:
    """A `Recaller` for one namespace of a memory.

    Args:
        namespace: cases from other namespaces are never considered.
        settings: how recall works.
    """

    def __init__(self, memory: CaseMemory, *, namespace: str = "default", settings: FormSettings | None = None) -> None:
        self.memory, self.namespace, self.settings = memory, namespace, settings or FormSettings()
        self.policies = PolicyStore(memory.store, memory.name)
        self.agreement = Agreement(memory, namespace)
        self._forms = {form.name: form for form in self.settings.forms}

    @property
    def name(self) -> str:
        return f"cases:{self.memory.name}"

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        """The help for this task, or None if it is asked without recall; the same run always gets the same."""
        return await asyncio.to_thread(self.recall_now, task, run_id=run_id)

    def recall_now(self, task: Task, *, run_id: str) -> Block | None:
        """The synchronous version of `recall`."""
        known = self.policies.log.find(run_id, self.namespace)
        if known is None:
            known = self.policies.log.save(self._choose(task, run_id))
        return self._block(task, known)

    def _choose(self, task: Task, run_id: str) -> Recall:
        kind, found = kind_of(task), self._near(task, run_id)
        near = found.near
        asked = RecallQuestion(
            task=task,
            choices=choices_of(task),
            near=near,
            threshold=self.agreement.threshold(kind) if "vote" in self._forms else None,
            covered=self._covered(task, kind),
            refuting=found.refuting,
            resemblance=self._resemblance(task, found.further),
        )
        helps = {arm: help for arm in self._arms() if (help := self._forms[arm.form].help(asked, arm.k)) is not None}
        priors = {arm: self._forms[arm.form].prior for arm in helps}
        likeness = near[0].likeness if near else 0.0
        known = beliefs(priors, self._seen(kind), likeness) if helps else {}
        base = _size(Help(), task)
        costs = {arm: (_size(help, task) - base) / base for arm, help in helps.items()}
        rng = np.random.default_rng(run_seed(run_id, self.memory.name))
        arm, chance = choose_arm(known, costs, rng) if known else (RecallArm("none", 0), 1.0)
        used = sorted(helps[arm].cases, key=lambda item: -item.likeness) if helps else []
        offers = tuple(
            Considered(
                case_id=item.case.id,
                shown=True,
                probability=chance,
                score=item.likeness,
                features=(1.0, min(1.0, max(0.0, item.likeness))),
            )
            for item in used
        )
        return Recall(
            run_id=run_id,
            namespace=self.namespace,
            policy=_label(kind, arm, chance, likeness, found.further),
            version=self.policies.version(),
            state_hash=text_hash(task.input),
            offers=offers,
        )

    def _covered(self, task: Task, kind: str) -> float | None:
        form = self._forms.get("shortlist")
        return self.agreement.covered(kind, max(form.sizes)) if form is not None and choices_of(task) else None

    def _compares(self, task: Task) -> bool:
        """Whether the input can be compared with the choices: there are many, and the embedder is a local one, as for
        agents without a memory."""
        many = len(choices_of(task)) >= MANY and OptionsForm.name in self._forms
        return many and self.settings.weighs and weighs_options(self.memory.vectors.embedder.name)

    def _resemblance(self, task: Task, further: float) -> Resemblance | None:
        if not self._compares(task):
            return None
        return partial(resemblance, self.memory.vectors, task.input, choices_of(task), further=further)

    def _further(self, task: Task, typical: float | None) -> float:
        """How much more the input resembles the inputs of cases than the names of choices, typically."""
        if typical is None:
            return FAR
        names = resemblance(self.memory.vectors, task.input, choices_of(task))
        return max(0.0, typical - float(np.mean(list(names.values())))) + CLOSER

    def _arms(self) -> list[RecallArm]:
        size = self.settings.size
        return [
            RecallArm(form.name, k)
            for form in self.settings.forms
            for k in (form.sizes if size is None or form.sizes == (0,) else (size,))
        ]

    def _near(self, task: Task, run_id: str) -> _Found:
        query = Query(task.input, self.memory.vectors, seed=run_id)
        _ = query.state, query.structure  # embed before taking the lock: it is slow
        filters = Filters(
            namespace=self.namespace,
            trusted=True if self.settings.strict else None,
            exclude_state=None if self.settings.reuse_same else task.input,
        )
        compares, kind = self._compares(task), kind_of(task)
        with self.memory.mirror.lock:
            bank = self.memory.bank(filters)
            near = self._ranked(query, bank, kind)
            wrong = refuting(query, bank, kind, NEAR) if compares else []
            usual = typical(query, bank, kind) if compares else None
        with self.memory.store.write() as connection:
            self.memory.vectors.store_vectors(connection, [text_hash(task.input)], query.state[None])
        return _Found(near=near, refuting=wrong, further=self._further(task, usual) if compares else 0.0)

    def _ranked(self, query: Query, bank: Bank, kind: str) -> list[Neighbour]:
        settings = self.settings
        wanted = NEAR if settings.ranking == "alike" else None
        found = nearest(query, bank, kind, wanted, own=settings.own, words=settings.ranking != "meaning")
        if settings.ranking == "random":
            np.random.default_rng(run_seed(query.seed, "random")).shuffle(found)
        return found[:NEAR]

    def _seen(self, kind: str) -> list[Seen[RecallArm]]:
        """Outcomes of this kind of task, oldest first, with the arms that were used."""
        table = CaseRecallRow
        query = select(table.policy, table.outcome).where(
            table.memory == self.memory.name,
            table.namespace == self.namespace,
            table.learnt.is_not(None),
            table.policy.startswith(f"{kind}/", autoescape=True),
        )
        with self.memory.store.read() as connection:
            rows = connection.execute(query.order_by(table.learnt.desc()).limit(HISTORY)).all()
        return [
            Seen(arm=_arm(row.policy), outcome=float(row.outcome), likeness=_likeness(row.policy))
            for row in reversed(rows)
        ]

    def _block(self, task: Task, recall: Recall) -> Block | None:
        """The help for a stored recall, built from the cases as they are now: a case quarantined since is left out."""
        arm = _arm(recall.policy)
        likeness = {offer.case_id: offer.score for offer in recall.offers}
        with self.memory.store.read() as connection:
            cases = {case.id: case for case in self.memory.rows.existing(connection, self.namespace, ids=likeness)}
        kept = [
            Neighbour(case=cases[id], likeness=score)
            for id, score in likeness.items()
            if id in cases and cases[id].status == "active" and (cases[id].trusted or not self.settings.strict)
        ]
        if not kept or arm.form not in self._forms:
            return None
        compares = arm.form == OptionsForm.name
        near = [item for item in kept if item.case.right_answer is not None or not compares]
        given = self._forms[arm.form].help(
            RecallQuestion(
                task=task,
                choices=choices_of(task),
                near=near,
                threshold=0.0,
                covered=0.0,
                refuting=[item for item in kept if item.case.right_answer is None],
                resemblance=self._resemblance(task, _further(recall.policy)) if compares else None,
            ),
            arm.k,
        )
        if given is None:
            return None
        places = {item.case.id: place for place, item in enumerate(given.cases)}
        chance = float(recall.policy.split("/")[3])
        offers = tuple(
            Offer(id=id, shown=id in places, probability=chance, score=likeness[id], position=places.get(id))
            for id in likeness
        )
        return Block(
            kind="cases",
            target=self.policies.target,
            version=recall.version,
            text=given.text,
            offers=offers,
            untrusted=any(not item.case.trusted for item in given.cases),
            turns=given.turns,
            choices=given.choices,
            votes=given.votes,
            alike=given.alike,
            answer=given.answer,
        )


def _label(kind: str, arm: RecallArm, chance: float, likeness: float, further: float) -> str:
    """The log entry for a choice: the kind of task, the form, its size, the probability of the choice, the similarity
    of the nearest case and, for `options`, how much further inputs are than names."""
    label = f"{kind}/{arm.form}/{arm.k}/{chance:.4f}/{likeness:.3f}"
    return f"{label}/{further:.4f}" if arm.form == OptionsForm.name else label


def _further(label: str) -> float:
    return float(label.split("/")[5])


def _arm(label: str) -> RecallArm:
    parts = label.split("/")
    return RecallArm(parts[1], int(parts[2])) if len(parts) >= 4 else RecallArm(label, 0)


def _likeness(label: str) -> float | None:
    """The logged similarity; None in entries from versions that did not log it."""
    parts = label.split("/")
    return float(parts[4]) if len(parts) > 4 else None


def _size(help: Help, task: Task) -> int:
    """Characters that a model has to read, as a proxy for tokens; 0 if no model is asked."""
    if help.answer is not None:
        return 0
    shown = sum(len(question) + len(answer) for question, answer in help.turns)
    return max(1, len(task.input) + len(asked_with(task)) + len(help.text) + shown)
