"""Progressive ontology prompting as an explicit plan (LLM-Duo, arXiv 2408.10682, with its gaps filled).

Breadth first from every root; among new neighbours, the one with the highest ratio of outgoing to incoming triples goes
first (a root's ratio is infinite, ties keep the order of the schema). A triple is asked for once both of its ends have
been reached. The context of a step consists of the visited concepts within k undirected hops, nearest first, which
follows the prose of LLM-Duo's paper, not its pseudo-code, which keeps only one parent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

from agentkit.curation.ontology.schema import Concept, Ontology, Relation
from agentkit.json_types import JsonObject

Mode = Literal["rationality", "completeness"]
"""What the evaluator judges: the reasons of a single answer, or what a list leaves out."""


@dataclass(frozen=True, kw_only=True)
class PlanStep:
    """One question of the plan, asked once per paper or once for each subject found before.

    Attributes:
        number: the position in the plan, from 1.
        concept: the concept asked for.
        relation: its relation to a subject; None for a root.
        context: the concepts whose findings go into the prompt, nearest first.
    """

    number: int
    concept: Concept
    relation: Relation | None
    context: tuple[str, ...]

    @property
    def element(self) -> str:
        """The ontology element asked for, see `Ontology.elements`."""
        return self.concept.name if self.relation is None else self.relation.element

    @property
    def mode(self) -> Mode:
        """The evaluator's mode for this step."""
        return "completeness" if self.relation is None or self.relation.many else "rationality"

    @property
    def key(self) -> str:
        """The step's name in prompts and scopes: its relation, or the root concept."""
        return self.concept.name if self.relation is None else self.relation.name


@dataclass(frozen=True, kw_only=True)
class CurationPlan:
    """The questions about an ontology, in order."""

    ontology: Ontology
    hops: int
    order: tuple[str, ...]
    steps: tuple[PlanStep, ...]

    @cached_property
    def by_element(self) -> Mapping[str, PlanStep]:
        return {step.element: step for step in self.steps}

    def to_json(self) -> JsonObject:
        steps = [
            {
                "number": s.number,
                "element": s.element,
                "concept": s.concept.name,
                "mode": s.mode,
                "context": list(s.context),
                "hash": self.ontology.elements[s.element],
            }
            for s in self.steps
        ]
        return {"ontology": self.ontology.name, "hops": self.hops, "order": list(self.order), "steps": steps}


def make_plan(ontology: Ontology, *, hops: int = 2) -> CurationPlan:
    """Order the ontology's triples; `hops` is LLM-Duo's k."""
    order = traversal(ontology)
    steps: list[PlanStep] = []
    visited: set[str] = set()
    for concept in order:
        visited.add(concept)
        context = _context(ontology, concept, visited, hops)
        relations: list[Relation | None] = [None] if concept in ontology.roots else []
        relations += [r for r in ontology.into(concept) if r.head in visited and r.head != concept]
        relations += [r for r in ontology.from_(concept) if r.tail in visited]
        for relation in relations:
            asked = ontology.concepts[concept if relation is None else relation.tail]
            near = context if asked.name == concept else _context(ontology, asked.name, visited, hops)
            steps.append(PlanStep(number=len(steps) + 1, concept=asked, relation=relation, context=near))
    return CurationPlan(ontology=ontology, hops=hops, order=tuple(order), steps=tuple(steps))


def priority(ontology: Ontology, concept: str) -> float:
    """R(v): the ratio of triples with v as head to triples with v as tail; infinite if nothing leads to v."""
    inward = len(ontology.into(concept))
    return len(ontology.from_(concept)) / inward if inward else math.inf


def traversal(ontology: Ontology) -> list[str]:
    """Concepts in breadth-first order."""
    queue = sorted(ontology.roots, key=lambda root: -priority(ontology, root))
    seen = set(queue)
    for concept in queue:
        new = list(dict.fromkeys(r.tail for r in ontology.from_(concept) if r.tail not in seen))
        new.sort(key=lambda name: -priority(ontology, name))
        seen.update(new)
        queue.extend(new)
    return queue


def _context(ontology: Ontology, concept: str, visited: set[str], hops: int) -> tuple[str, ...]:
    """Visited concepts within `hops` undirected steps, nearest first, without the concept itself."""
    near, ring = [concept], [concept]
    for _ in range(min(hops, len(ontology.concepts))):  # no path is longer
        ring = [other for name in ring for other in _neighbours(ontology, name)]
        ring = [name for name in dict.fromkeys(ring) if name not in near]
        near += ring
    return tuple(name for name in near[1:] if name in visited)


def _neighbours(ontology: Ontology, concept: str) -> list[str]:
    return [r.tail for r in ontology.from_(concept)] + [r.head for r in ontology.into(concept)]


def estimate_tokens(text: str) -> int:
    """An estimate without a tokenizer: four characters per token, typical of English prose."""
    return math.ceil(len(text) / 4)


@dataclass(frozen=True, kw_only=True)
class PaperEstimate:
    """An estimate of what curating one paper takes, made without calling a model.

    Attributes:
        calls: the fewest possible (one instance of each concept, one round).
        input_tokens: the prompt tokens of those calls; a prefix cache reads the paper only once, see `fresh_tokens`.
        fresh_tokens: the tokens that a prefix cache does not save.
    """

    calls: int
    input_tokens: int
    fresh_tokens: int

    def to_json(self) -> JsonObject:
        return asdict(self)
