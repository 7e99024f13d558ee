"""LinkML schemas as ontologies, read through linkml-runtime's SchemaView.

Classes are concepts, slots are relations, enums are lists of permissible values. A class marked `tree_root` is the
container that stands for the paper: the classes of its slots are the roots. Annotations of a slot that we read:
`question`, `together: true`, and `qualifiers: "direction comparator"`, which names slots of the schema.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from agentkit.curation.ontology.schema import TYPES, Concept, Ontology, Qualifier, Relation, Value, make_ontology
from agentkit.errors import DataError, MissingExtra


def read_linkml(path: Path) -> Ontology:
    """Read a schema file.

    Raises:
        DataError: see `make_ontology`; also a schema that linkml-runtime can't read.
        MissingExtra: linkml-runtime is not installed.
    """
    try:
        from linkml_runtime.utils.schemaview import SchemaView
    except ModuleNotFoundError:
        raise MissingExtra("curate", "linkml-runtime") from None
    logging.getLogger("linkml_runtime").setLevel(logging.ERROR)
    try:
        view = SchemaView(str(path))
        view.all_classes()
    except Exception as error:  # noqa: BLE001 - linkml-runtime raises whatever its YAML and import layers raise
        raise DataError(f"no LinkML schema: {str(error).splitlines()[0]}", path=path) from None
    return _Reader(view, path).ontology()


class _Reader:
    def __init__(self, view: Any, path: Path) -> None:
        self.view, self.path = view, path
        self.concepts: list[Concept] = []
        self.relations: list[Relation] = []

    def ontology(self) -> Ontology:
        schema = self.view.schema
        container = next((c for c in self.view.all_classes().values() if c.tree_root), None)
        roots = self._container_ranges(container) if container is not None else ()
        for cls in self.view.all_classes().values():
            if not (cls.abstract or cls.mixin) and cls is not container:
                self._class(cls)
        self._enums()
        return make_ontology(
            schema.name,
            concepts=self.concepts,
            relations=self.relations,
            roots=roots,
            version=str(schema.version or ""),
            description=schema.description or "",
            prefixes={name: prefix.prefix_reference for name, prefix in schema.prefixes.items()},
            path=self.path,
        )

    def _container_ranges(self, container: Any) -> tuple[str, ...]:
        ranges = []
        for slot in self.view.class_induced_slots(container.name):
            if slot.range not in self.view.all_classes():
                raise DataError(
                    f"slot {slot.name!r} of the container {container.name!r} has the plain range {slot.range!r}: "
                    "move it to a class", path=self.path,
                )  # fmt: skip
            ranges += self._concrete(slot.range)
        return tuple(dict.fromkeys(ranges))

    def _class(self, cls: Any) -> None:
        self.concepts.append(
            Concept(
                name=cls.name,
                description=cls.description or "",
                prefixes=tuple(cls.id_prefixes or ()),
                uri=str(cls.class_uri or ""),
            )
        )
        for slot in self.view.class_induced_slots(cls.name):
            if not (slot.identifier or slot.key or slot.name in self._qualifier_names(cls.name)):
                self._slot(cls.name, slot)

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
                    description=slot.description or "",
                    question=_annotation(slot, "question"),
                    required=bool(slot.required or (slot.minimum_cardinality or 0) > 0),
                    many=bool(slot.multivalued),
                    together=_annotation(slot, "together").lower() == "true",
                    qualifiers=self._qualifiers(head, slot),
                    uri=str(slot.slot_uri or ""),
                )
            )

    def _tails(self, head: str, slot: Any) -> list[str]:
        """The concepts in a slot's range: a class or its concrete descendants, an enum, or a leaf for a plain type."""
        range_ = str(slot.range or self.view.schema.default_range or "string")
        if range_ in self.view.all_classes():
            return self._concrete(range_)
        if range_ in self.view.all_types() or range_ in TYPES:
            leaf = f"{head}.{slot.name}"
            self.concepts.append(
                Concept(name=leaf, kind="literal", datatype=range_, description=slot.description or "")
            )
            return [leaf]
        return [range_]

    def _concrete(self, name: str) -> list[str]:
        cls = self.view.get_class(name)
        if not (cls.abstract or cls.mixin):
            return [name]
        below = [self.view.get_class(n) for n in self.view.class_descendants(name, reflexive=False)]
        found = [c.name for c in below if not (c.abstract or c.mixin)]
        if not found:
            raise DataError(f"the abstract class {name!r} is a range but has no concrete subclass", path=self.path)
        return found

    def _enums(self) -> None:
        for enum in self.view.all_enums().values():
            if not enum.permissible_values:
                raise DataError(f"the enum {enum.name!r} has no permissible values", path=self.path)
            self.concepts.append(
                Concept(name=enum.name, kind="values", description=enum.description or "", values=_values(enum))
            )

    def _qualifiers(self, head: str, slot: Any) -> tuple[Qualifier, ...]:
        return tuple(self._qualifier(head, name) for name in _annotation(slot, "qualifiers").replace(",", " ").split())

    def _qualifier(self, head: str, name: str) -> Qualifier:
        slot = next((s for s in self.view.class_induced_slots(head) if s.name == name), None) or self.view.all_slots(
        ).get(name)  # fmt: skip
        if slot is None:
            raise DataError(f"qualifier {name!r} of {head!r} is no slot of the schema", path=self.path)
        range_ = str(slot.range or "string")
        enum = self.view.all_enums().get(range_)
        if enum is None and range_ not in self.view.all_types() and range_ not in TYPES:
            raise DataError(f"qualifier {name!r} of {head!r}: unknown range {range_!r}", path=self.path)
        return Qualifier(
            name=name,
            description=slot.description or "",
            values=_values(enum) if enum is not None else (),
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


def _annotation(slot: Any, name: str) -> str:
    found = getattr(slot.annotations, name, None)
    return "" if found is None else str(getattr(found, "value", found))
