"""The ontology: concepts, the relations between them, and what claims may say about them.

A graph of triples (head, relation, tail) as in LLM-Duo (arXiv 2408.10682, "progressive ontology prompting"). A relation
to a plain value (`string`, `integer`) has a separate leaf concept, so that two such relations never share findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Literal, get_args

from agentkit.curation.claims import digest
from agentkit.curation.language.assertion import CATEGORIES, Asserting, Category, Polarity, polarity_named
from agentkit.curation.language.direction import direction_named
from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.text import did_you_mean

_PLAIN = "string text integer float double decimal number boolean date datetime time uri uriorcurie curie ncname"
TYPES = frozenset(_PLAIN.split())
"""Ranges that are plain values."""

Kind = Literal["entity", "values", "literal"]


@dataclass(frozen=True, kw_only=True)
class Value:
    """One permissible value: its name, synonyms, and the identifier that it stands for."""

    name: str
    description: str = ""
    aliases: tuple[str, ...] = ()
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class Concept:
    """A node of the ontology.

    Attributes:
        kind: `entity` (named entities), `values` (one of a list), `literal` (text, a number, a date).
        prefixes: the prefixes of identifiers that fit, such as `MESH`.
        values: the permissible values, for kind `values`.
        datatype: the type of a literal.
    """

    name: str
    kind: Kind = "entity"
    description: str = ""
    prefixes: tuple[str, ...] = ()
    values: tuple[Value, ...] = ()
    datatype: str = ""
    uri: str = ""

    @property
    def label(self) -> str:
        """The name in prompts: `Trial.dose` is asked for as `dose`."""
        return self.name.rpartition(".")[2].replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class Qualifier:
    """A further detail of a relation's claims: direction, comparator, dose …; free text if it has no values."""

    name: str
    description: str = ""
    values: tuple[Value, ...] = ()
    datatype: str = "string"
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One kind of triple.

    Attributes:
        head, tail: the names of its concepts.
        question: the question in the user's own words; `{subject}` is filled in.
        required, many: the cardinality: at least one; more than one.
        together: ask once about all subjects of a paper instead of once about each.
        uri: the URI of the predicate.
        polarity: the meaning of the relation (see `language.assertion`); empty if its name tells.
        accepts: the categories that support a claim besides findings, such as `hedge`.
    """

    name: str
    head: str
    tail: str
    description: str = ""
    question: str = ""
    required: bool = False
    many: bool = False
    together: bool = False
    qualifiers: tuple[Qualifier, ...] = ()
    uri: str = ""
    polarity: Polarity | Literal[""] = ""
    accepts: tuple[Category, ...] = ()

    @property
    def asserting(self) -> Asserting:
        """What a sentence must do with a claim in order to support it."""
        return Asserting(polarity=self.polarity or polarity_named(self.name), accepts=frozenset(self.accepts))

    @property
    def element(self) -> str:
        """The relation's name among all elements: `Chemical.induces.Disease`."""
        return f"{self.head}.{self.name}.{self.tail.rpartition('.')[2]}"

    @property
    def directed(self) -> bool:
        """Whether its claims say that something rises, falls or does not differ, which their quotes must say too."""
        return direction_named(self.name) is not None or any(q.name == "direction" for q in self.qualifiers)


@dataclass(frozen=True, kw_only=True)
class Ontology:
    """A checked ontology; build it with `make_ontology` or `load_ontology`."""

    name: str
    version: str = ""
    description: str = ""
    concepts: Mapping[str, Concept] = field(default_factory=dict)
    relations: tuple[Relation, ...] = ()
    roots: tuple[str, ...] = ()
    prefixes: Mapping[str, str] = field(default_factory=dict)

    def from_(self, concept: str) -> tuple[Relation, ...]:
        """The relations that start from a concept."""
        return tuple(r for r in self.relations if r.head == concept)

    def into(self, concept: str) -> tuple[Relation, ...]:
        """The relations that lead to a concept."""
        return tuple(r for r in self.relations if r.tail == concept)

    @cached_property
    def elements(self) -> dict[str, str]:
        """The content hash of each element: roots by concept, relations with both of their concepts."""
        found = {root: digest(asdict(self.concepts[root])) for root in self.roots}
        for relation in self.relations:
            ends = [asdict(self.concepts[name]) for name in (relation.head, relation.tail)]
            found[relation.element] = digest(asdict(relation), ends)
        return found

    @cached_property
    def hash(self) -> str:
        """A hash of everything that can change a claim."""
        return digest(self.elements, self.roots)

    def to_json(self) -> JsonObject:
        return asdict(self) | {"hash": self.hash}


def told_polarity(given: object, where: str, path: object) -> Polarity | Literal[""]:
    """A relation's `polarity:`; empty if there is none. Raises DataError for an unknown one."""
    name = "neutral" if given == "none" else str(given or "")
    for known in get_args(Polarity):
        if name == known:
            return known  # type: ignore[no-any-return]
    if name:
        raise DataError(f"{where}: polarity is one of {', '.join(get_args(Polarity))}, not {given!r}", path=path)
    return ""


def told_categories(given: object, where: str, path: object) -> tuple[Category, ...]:
    """A relation's `accepts:`, one name or several. Raises DataError for an unknown category."""
    names = given if isinstance(given, list) else str(given or "").replace(",", " ").split()
    wrong = next((name for name in names if name not in CATEGORIES), None)
    if wrong is not None:
        raise DataError(f"{where}: accepts takes {', '.join(CATEGORIES)}, not {wrong!r}", path=path)
    return tuple(category for category in CATEGORIES if category in names)


def changed_elements(old: Ontology, new: Ontology) -> dict[str, Literal["added", "removed", "changed"]]:
    """The elements that differ between two schemas."""
    found: dict[str, Literal["added", "removed", "changed"]] = {}
    for name in sorted({*old.elements, *new.elements}):
        if name not in old.elements:
            found[name] = "added"
        elif name not in new.elements:
            found[name] = "removed"
        elif old.elements[name] != new.elements[name]:
            found[name] = "changed"
    return found


def make_ontology(
    name: str,
    *,
    concepts: Iterable[Concept],
    relations: Iterable[Relation],
    roots: Iterable[str] = (),
    version: str = "",
    description: str = "",
    prefixes: Mapping[str, str] | None = None,
    path: object = None,
) -> Ontology:
    """Check the parts and build the ontology; concepts that nothing points to are roots unless `roots` names others.

    Raises:
        DataError: a duplicate, an unknown range, no root, a concept that no root leads to, or relations that require
            each other in a circle. The message says where, and how to fix it.
    """
    known = _unique(concepts, path)
    listed = tuple(relations)
    _check_relations(known, listed, path)
    start = tuple(roots) or _sources(known, listed)
    _check_roots(known, listed, start, path)
    _check_requirements(listed, path)
    used = {start_ for start_ in start} | {end for r in listed for end in (r.head, r.tail)}
    return Ontology(
        name=name,
        version=version,
        description=description,
        relations=listed,
        roots=start,
        concepts={n: c for n, c in known.items() if n in used},
        prefixes=dict(prefixes or {}),
    )


def _unique(concepts: Iterable[Concept], path: object) -> dict[str, Concept]:
    known: dict[str, Concept] = {}
    for concept in concepts:
        if concept.name in known:
            raise DataError(f"the concept {concept.name!r} is defined twice", path=path)
        known[concept.name] = concept
        names = [value.name.casefold() for value in concept.values]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            raise DataError(f"the value {twice!r} of {concept.name!r} occurs twice", path=path)
    if not known:
        raise DataError("an ontology needs at least one concept", path=path)
    return known


def _check_relations(known: Mapping[str, Concept], relations: tuple[Relation, ...], path: object) -> None:
    seen: set[str] = set()
    for relation in relations:
        where = f"relation {relation.name!r} of {relation.head!r}"
        if relation.tail not in known:
            raise DataError(f"{where}: unknown range {relation.tail!r}{_nearest(relation.tail, known)}", path=path)
        if relation.head not in known or known[relation.head].kind != "entity":
            raise DataError(f"{where}: {relation.head!r} is not a concept that can have relations", path=path)
        if relation.element in seen:
            raise DataError(f"{where} to {relation.tail!r} is defined twice", path=path)
        seen.add(relation.element)


def _nearest(name: str, known: Mapping[str, Concept]) -> str:
    return did_you_mean(name, [*known, *sorted(TYPES)]) or f" (known: {', '.join(sorted(known)[:12])})"


def _sources(known: Mapping[str, Concept], relations: tuple[Relation, ...]) -> tuple[str, ...]:
    """The entities to which no other concept points."""
    pointed = {r.tail for r in relations if r.tail != r.head}
    return tuple(n for n, c in known.items() if c.kind == "entity" and n not in pointed)


def _check_roots(
    known: Mapping[str, Concept], relations: tuple[Relation, ...], roots: tuple[str, ...], path: object
) -> None:
    wrong = next((root for root in roots if root not in known or known[root].kind != "entity"), None)
    if wrong is not None:
        raise DataError(f"the root {wrong!r} is not a concept", path=path)
    if not roots:
        raise DataError("no root: every concept is the range of another; name one under  roots:", path=path)
    reached, queue = set(roots), list(roots)
    for head in queue:
        new = [r.tail for r in relations if r.head == head and r.tail not in reached]
        reached.update(new)
        queue.extend(new)
    heads = {r.head for r in relations}
    lost = sorted(heads - reached)
    if lost:
        raise DataError(f"no root leads to {lost[0]!r}: add a relation to it, or name it under  roots:", path=path)


def _check_requirements(relations: tuple[Relation, ...], path: object) -> None:
    needs: dict[str, list[str]] = {}
    for relation in relations:
        if relation.required:
            needs.setdefault(relation.head, []).append(relation.tail)
    for start in needs:
        circle = next(_circles(needs, start, [start]), None)
        if circle:
            raise DataError(
                f"required relations form a circle ({' → '.join(circle)}): make one of them optional", path=path
            )


def _circles(needs: Mapping[str, list[str]], start: str, trail: list[str]) -> Iterator[list[str]]:
    for tail in needs.get(trail[-1], ()):
        if tail == start:
            yield [*trail, tail]
        elif tail not in trail:
            yield from _circles(needs, start, [*trail, tail])
