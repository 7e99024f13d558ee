"""LinkML schemas as ontologies, read through linkml-runtime's SchemaView.

Classes are concepts, slots are relations, enums are lists of permissible values. A class marked `tree_root` is the
container that represents the paper: the classes of its slots are the roots. These annotations of slots are used:
`question`, `together: true`, `polarity`, `accepts: "hedge cited"`, `qualifiers: "direction comparator"`, which names
slots of the schema, and OntoGPT's `prompt` and `prompt.skip`. A class with a subject and an object is a relation
between them. Anything else is left out or asked for as text, and named in one line of the log.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from agentkit.curation.ontology.schema import (
    TYPES,
    Concept,
    Ontology,
    Qualifier,
    Relation,
    Value,
    make_ontology,
    told_categories,
    told_polarity,
)
from agentkit.curation.ontology.yaml_files import read_yaml
from agentkit.errors import DataError, MissingExtra

_log = logging.getLogger(__name__)


def read_linkml(path: Path) -> Ontology:
    """Read a schema file.

    Raises:
        DataError: see `make_ontology`; also if linkml-runtime can't read the schema.
        MissingExtra: linkml-runtime is not installed.
    """
    try:
        from linkml_runtime.utils.schemaview import SchemaView
    except ModuleNotFoundError:
        raise MissingExtra("curate", "linkml-runtime") from None
    logging.getLogger("linkml_runtime").setLevel(logging.ERROR)
    try:
        view = _local(SchemaView, path)(str(path))
        view.all_classes()
    except Exception as error:  # noqa: BLE001 - linkml-runtime raises whatever its YAML and import layers raise
        raise DataError(f"not a LinkML schema: {str(error).splitlines()[0]}", path=path) from None
    return _Reader(view, path).ontology()


def _local(base: Any, path: Path) -> Any:
    """A SchemaView that opens only files beside the schema and linkml's own; nothing is fetched over the network."""

    class Local(base):  # type: ignore[misc]
        def load_import(self, imp: str, from_schema: Any = None) -> Any:
            from linkml_runtime.linkml_model.meta import SchemaDefinition
            from linkml_runtime.utils.schemaview import map_import

            target = str(map_import(self._resolved_importmap(), self.namespaces, imp))
            near = path.parent / f"{target}.yaml"
            if not str(imp).startswith("linkml:") and ("://" in target or not near.exists()):
                _log.warning("%s: the import %r is not a file beside it and is left out", path, imp)
                return SchemaDefinition(id=str(imp), name=re.sub(r"\W", "_", str(imp)))
            if near.exists():
                read_yaml(near)
            return super().load_import(imp, from_schema)

    return Local


class _Reader:
    def __init__(self, view: Any, path: Path) -> None:
        self.view, self.path = view, path
        self.left_out: list[str] = []
        self.roots: tuple[str, ...] = ()
        self.concepts: list[Concept] = []
        self.relations: list[Relation] = []

    def ontology(self) -> Ontology:
        schema = self.view.schema
        container = next((c for c in self.view.all_classes().values() if c.tree_root), None)
        roots = self._container_ranges(container) if container is not None else ()
        for cls in self.view.all_classes().values():
            self._class(cls)
        self._enums()
        self._keep_reachable(roots or self._own_roots(container))
        if self.left_out:
            _log.warning("%s: left out or asked for as text: %s", self.path, "; ".join(dict.fromkeys(self.left_out)))
        return make_ontology(
            schema.name,
            concepts=self.concepts,
            relations=self.relations,
            roots=self.roots,
            version=str(schema.version or ""),
            description=schema.description or "",
            prefixes={name: prefix.prefix_reference for name, prefix in schema.prefixes.items()},
            path=self.path,
        )

    def _own_roots(self, container: Any) -> tuple[str, ...]:
        """The roots if no slot of a container has classes: the container, or else all unreferenced classes."""
        if container is not None:
            return (container.name,)
        pointed = {r.tail for r in self.relations if r.tail != r.head}
        own = [c for c in self.view.all_classes(imports=False).values() if not (c.abstract or c.mixin)]
        sources = tuple(c.name for c in own if c.name not in pointed and self._triple(c.name) is None)
        heads = tuple(h for c in own for h in (self._triple(c.name) or ((), ()))[0])
        return tuple(dict.fromkeys(sources + heads)) or tuple(c.name for c in own[:1])

    def _keep_reachable(self, roots: tuple[str, ...]) -> None:
        """Drop what can't be reached from a root, and repeated relations."""
        self.roots = roots
        reached = list(dict.fromkeys(roots))
        unique = list({relation.element: relation for relation in self.relations}.values())
        for head in reached:
            reached += [r.tail for r in unique if r.head == head and r.tail not in reached]
        kept = [r for r in unique if r.head in reached]
        self.relations = kept
        self.concepts = list({c.name: c for c in self.concepts if c.name in reached}.values())

    def _container_ranges(self, container: Any) -> tuple[str, ...]:
        """The classes of the container's slots; for a class that states a relation, that of its subject."""
        ranges: list[str] = []
        plain: list[str] = []
        for slot in self.view.class_induced_slots(container.name):
            classes = [r for r in self._ranges(slot) if r in self.view.all_classes() and not self._any(r)]
            if not classes:
                plain.append(slot.name)
            elif not _skipped(slot):
                ranges += [head for name in classes for head in self._heads(name)]
        if ranges and plain:
            self.left_out.append(f"plain slots of the container {container.name!r} ({', '.join(plain)})")
        return tuple(dict.fromkeys(ranges))

    def _heads(self, name: str) -> list[str]:
        found: list[str] = []
        for concrete in self._concrete(name):
            triple = self._triple(concrete)
            found += triple[0] if triple else [concrete]
        return found

    def _triple(self, name: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """The classes of subject and object, for a class that states a relation; None for any other class."""
        slots = {slot.name: slot for slot in self.view.class_induced_slots(name)}
        if not {"subject", "object"} <= slots.keys():
            return None
        ends = [
            tuple(c for r in self._ranges(slots[end]) if r in self.view.all_classes() for c in self._concrete(r))
            for end in ("subject", "object")
        ]
        return (ends[0], ends[1]) if all(ends) else None

    def _ranges(self, slot: Any) -> list[str]:
        """The ranges of a slot, including those of its unions."""
        unions = [e for name in ("any_of", "exactly_one_of", "all_of") for e in getattr(slot, name, None) or ()]
        listed = [str(e.range) for e in unions if getattr(e, "range", None)]
        return listed or [str(slot.range or self.view.schema.default_range or "string")]

    def _any(self, name: str) -> bool:
        return str(self.view.get_class(name).class_uri or "") in {"linkml:Any", "https://w3id.org/linkml/Any"}

    def _class(self, cls: Any) -> None:
        triple = self._triple(cls.name)
        if triple is not None:
            self._triple_relations(cls, *triple)
            return
        self.concepts.append(
            Concept(
                name=cls.name,
                description=cls.description or _annotation(cls, "prompt"),
                prefixes=tuple(cls.id_prefixes or ()),
                uri=str(cls.class_uri or ""),
            )
        )
        for slot in self.view.class_induced_slots(cls.name):
            named = slot.identifier or slot.key or slot.name in self._qualifier_names(cls.name) or _is_name(slot)
            if not (named or _skipped(slot)):
                self._slot(cls.name, slot)

    def _triple_relations(self, cls: Any, heads: tuple[str, ...], tails: tuple[str, ...]) -> None:
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.name).lower()
        name = re.sub(r"_?(relationship|association|triple)$", "", words) or words
        self.relations += [
            Relation(
                name=name, head=h, tail=t, description=cls.description or "", many=True, uri=str(cls.class_uri or "")
            )
            for h in heads
            for t in tails
        ]

    def _qualifier_names(self, cls: str) -> set[str]:
        slots = self.view.class_induced_slots(cls)
        return {name for slot in slots for name in _annotation(slot, "qualifiers").replace(",", " ").split()}

    def _slot(self, head: str, slot: Any) -> None:
        for tail in self._tails(head, slot):
            self.relations.append(
                Relation(
                    name=slot.name,
                    head=head,
                    tail=tail,
                    description=_annotation(slot, "prompt") or slot.description or "",
                    question=_annotation(slot, "question"),
                    required=bool(slot.required or (slot.minimum_cardinality or 0) > 0),
                    many=bool(slot.multivalued),
                    together=_annotation(slot, "together").lower() == "true",
                    qualifiers=self._qualifiers(head, slot),
                    uri=str(slot.slot_uri or ""),
                    polarity=told_polarity(_annotation(slot, "polarity"), f"slot {slot.name!r}", self.path),
                    accepts=told_categories(_annotation(slot, "accepts"), f"slot {slot.name!r}", self.path),
                )
            )

    def _tails(self, head: str, slot: Any) -> list[str]:
        """The concepts in a slot's ranges: a class or its concrete descendants, an enum, or a leaf for plain text."""
        found: list[str] = []
        for range_ in self._ranges(slot):
            enum = self.view.all_enums().get(range_)
            if range_ in self.view.all_classes() and not self._any(range_):
                found += self._heads(range_)
            elif enum is not None and self._permitted(enum):
                found.append(range_)
            else:
                found.append(self._leaf(head, slot, range_))
        return list(dict.fromkeys(found))

    def _leaf(self, head: str, slot: Any, range_: str) -> str:
        """A separate leaf concept for a plain value; text for an enum that an ontology fills, or an unknown range."""
        plain = range_ in self.view.all_types() or range_ in TYPES
        enum = self.view.all_enums().get(range_)
        if enum is not None:
            self.left_out.append(f"the enum {range_!r} has no permissible values of its own")
        elif not plain and range_ not in self.view.all_classes():
            return range_  # probably a typing error, which the ontology's own check reports
        described = slot.description or (enum.description if enum is not None else "") or ""
        name = f"{head}.{slot.name}"
        self.concepts.append(
            Concept(name=name, kind="literal", datatype=range_ if plain else "string", description=described)
        )
        return name

    def _concrete(self, name: str) -> list[str]:
        """The class, or its descendants that can have instances; the class itself if it is abstract and has none."""
        cls = self.view.get_class(name)
        if not (cls.abstract or cls.mixin):
            return [name]
        below = [self.view.get_class(n) for n in self.view.class_descendants(name, reflexive=False)]
        own = self.view.all_classes(imports=False)
        found = [c.name for c in below if not (c.abstract or c.mixin) and (c.name in own or name not in own)]
        imported = name not in own
        return [name] if imported or not found else found

    def _enums(self) -> None:
        for enum in self.view.all_enums().values():
            values = self._permitted(enum)
            if values:
                self.concepts.append(
                    Concept(name=enum.name, kind="values", description=enum.description or "", values=values)
                )

    def _permitted(self, enum: Any, seen: tuple[str, ...] = ()) -> tuple[Value, ...]:
        """An enum's values and those it inherits, without duplicates (ignoring case)."""
        found = {value.name.casefold(): value for value in reversed(_values(enum))}
        for name in enum.inherits or ():
            parent = self.view.all_enums().get(str(name))
            if parent is not None and str(name) not in seen:
                inherited = self._permitted(parent, (*seen, enum.name))
                found = {value.name.casefold(): value for value in inherited} | found
        return tuple(reversed(found.values()))

    def _qualifiers(self, head: str, slot: Any) -> tuple[Qualifier, ...]:
        return tuple(self._qualifier(head, name) for name in _annotation(slot, "qualifiers").replace(",", " ").split())

    def _qualifier(self, head: str, name: str) -> Qualifier:
        slot = next(
            (s for s in self.view.class_induced_slots(head) if s.name == name), None
        ) or self.view.all_slots().get(name)
        if slot is None:
            raise DataError(f"qualifier {name!r} of {head!r} is not a slot of the schema", path=self.path)
        range_ = str(slot.range or "string")
        enum = self.view.all_enums().get(range_)
        if enum is None and range_ not in self.view.all_types() and range_ not in TYPES:
            raise DataError(f"qualifier {name!r} of {head!r}: unknown range {range_!r}", path=self.path)
        return Qualifier(
            name=name,
            description=slot.description or "",
            values=self._permitted(enum) if enum is not None else (),
            datatype="string" if enum is not None else range_,
            required=bool(slot.required),
        )


def _values(enum: Any) -> tuple[Value, ...]:
    return tuple(
        Value(
            name=name,
            description=value.description or "",
            aliases=tuple(value.aliases or ()),
            meaning=str(value.meaning or ""),
        )
        for name, value in enum.permissible_values.items()
    )


def _annotation(element: Any, name: str) -> str:
    """An annotation's value; names such as `prompt.skip` contain a dot."""
    held = element.annotations
    found = held.get(name) if isinstance(held, dict) else getattr(held, name, None)
    return "" if found is None else str(getattr(found, "value", found))


def _skipped(slot: Any) -> bool:
    """Whether OntoGPT fills the slot itself instead of asking for it."""
    return _annotation(slot, "prompt.skip").lower() == "true"


def _is_name(slot: Any) -> bool:
    """Whether the slot is the name of the class's instances, which is asked for anyway."""
    return str(slot.slot_uri or "") in {"rdfs:label", "skos:prefLabel", "schema:name"}
