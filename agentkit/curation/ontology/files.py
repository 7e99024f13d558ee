"""Ontologies from files: AgentKit's short YAML form, or a LinkML schema; both become an `Ontology`."""

from __future__ import annotations

from collections.abc import Mapping
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
from agentkit.errors import DataError

_TOP = {"name", "version", "description", "prefixes", "roots", "concepts"}
_CONCEPT = {"description", "ids", "values", "relations", "uri"}
_RELATION = {"to", "description", "question", "required", "many", "together", "qualifiers", "values", "uri"} | {
    "polarity",
    "accepts",
}
_QUALIFIER = {"description", "values", "type", "required"}


def load_ontology(path: Path | str) -> Ontology:
    """Read a short YAML (`concepts:` at the top) or a LinkML schema (`classes:`).

    Raises:
        DataError: something is wrong in the file (see `make_ontology`).
        MissingExtra: it is a LinkML schema, and linkml-runtime is not installed.
    """
    path = Path(path)
    data = read_yaml(path)
    if "classes" in data:
        from agentkit.curation.ontology.linkml import read_linkml

        return read_linkml(path)
    if "concepts" not in data:
        raise DataError("not an ontology: neither  concepts:  (short form) nor  classes:  (LinkML)", path=path)
    return read_short(data, path)


def read_short(data: Mapping[str, Any], path: object = None) -> Ontology:
    """Read the short form as a mapping; docs/curation.md describes it."""
    reader = _Short(path)
    reader.fields(data, _TOP, "the ontology")
    listed = reader.mapping(data, "concepts", "the ontology")
    for name, body in listed.items():
        reader.concept(str(name), body or {})
    return make_ontology(
        str(data.get("name") or "ontology"),
        concepts=reader.concepts,
        relations=reader.relations,
        roots=[str(root) for root in data.get("roots") or ()],
        version=str(data.get("version") or ""),
        description=str(data.get("description") or ""),
        prefixes={str(k): str(v) for k, v in (data.get("prefixes") or {}).items()},
        path=path,
    )


class _Short:
    """Collects concepts and relations, with the location of errors."""

    def __init__(self, path: object) -> None:
        self.path = path
        self.concepts: list[Concept] = []
        self.relations: list[Relation] = []

    def fields(self, body: Any, known: set[str], where: str) -> Mapping[str, Any]:
        if not isinstance(body, Mapping):
            raise DataError(f"{where}: expected a mapping, got {body!r}", path=self.path)
        unknown = next((key for key in body if key not in known), None)
        if unknown is not None:
            raise DataError(f"{where}: unknown key {unknown!r} (known: {', '.join(sorted(known))})", path=self.path)
        return body

    def mapping(self, body: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
        found = body.get(key) or {}
        if not isinstance(found, Mapping):
            raise DataError(f"{where}: {key} must be a mapping of names", path=self.path)
        return found

    def flag(self, body: Mapping[str, Any], key: str, where: str) -> bool:
        value = body.get(key, False)
        if not isinstance(value, bool):
            raise DataError(f"{where}: {key} is true or false, got {value!r}", path=self.path)
        return value

    def values(self, given: Any, where: str) -> tuple[Value, ...]:
        """Read values: a list of names, or names with synonyms, a description and a meaning."""
        if isinstance(given, list):
            return tuple(Value(name=str(name)) for name in given)
        if not isinstance(given, Mapping):
            raise DataError(f"{where}: values must be a list or a mapping", path=self.path)
        return tuple(self._value(str(name), body, where) for name, body in given.items())

    def _value(self, name: str, body: Any, where: str) -> Value:
        if isinstance(body, list):
            return Value(name=name, aliases=tuple(map(str, body)))
        if body is None or isinstance(body, str):
            return Value(name=name, description=body or "")
        found = self.fields(body, {"description", "aliases", "meaning"}, f"{where}, value {name!r}")
        return Value(
            name=name,
            description=str(found.get("description") or ""),
            aliases=tuple(map(str, found.get("aliases") or ())),
            meaning=str(found.get("meaning") or ""),
        )

    def concept(self, name: str, body: Any) -> None:
        where = f"concept {name!r}"
        if name in TYPES:
            raise DataError(f"{where}: this name is a plain type", path=self.path)
        found = self.fields(body, _CONCEPT, where)
        values = self.values(found["values"], where) if "values" in found else ()
        self.concepts.append(
            Concept(
                name=name,
                kind="values" if values else "entity",
                description=str(found.get("description") or ""),
                prefixes=tuple(map(str, found.get("ids") or ())),
                values=values,
                uri=str(found.get("uri") or ""),
            )
        )
        for relation, about in self.mapping(found, "relations", where).items():
            self.relation(name, str(relation), about)

    def relation(self, head: str, name: str, body: Any) -> None:
        where = f"relation {name!r} of {head!r}"
        found = self.fields({"to": body} if isinstance(body, str) else body or {}, _RELATION, where)
        self.relations.append(
            Relation(
                name=name,
                head=head,
                tail=self._tail(head, name, found, where),
                description=str(found.get("description") or ""),
                question=str(found.get("question") or ""),
                uri=str(found.get("uri") or ""),
                qualifiers=self._qualifiers(found, where),
                polarity=told_polarity(found.get("polarity"), where, self.path),
                accepts=told_categories(found.get("accepts"), where, self.path),
                **{key: self.flag(found, key, where) for key in ("required", "many", "together")},
            )
        )

    def _tail(self, head: str, name: str, body: Mapping[str, Any], where: str) -> str:
        """The concept that the relation leads to; for values and plain types, a separate leaf."""
        target = str(body.get("to") or ("" if "values" in body else "string"))
        leaf = f"{head}.{name}"
        if "values" in body:
            self.concepts.append(Concept(name=leaf, kind="values", values=self.values(body["values"], where)))
            return leaf
        if target in TYPES:
            described = str(body.get("description") or "")
            self.concepts.append(Concept(name=leaf, kind="literal", datatype=target, description=described))
            return leaf
        return target

    def _qualifiers(self, body: Mapping[str, Any], where: str) -> tuple[Qualifier, ...]:
        found = []
        for name, about in self.mapping(body, "qualifiers", where).items():
            place = f"{where}, qualifier {name!r}"
            fields_ = self.fields(about or {}, _QUALIFIER, place)
            datatype = str(fields_.get("type") or "string")
            if datatype not in TYPES:
                raise DataError(f"{place}: unknown type {datatype!r}", path=self.path)
            values = self.values(fields_["values"], place) if "values" in fields_ else ()
            found.append(
                Qualifier(
                    name=str(name),
                    description=str(fields_.get("description") or ""),
                    values=values,
                    datatype=datatype,
                    required=self.flag(fields_, "required", place),
                )
            )
        return tuple(found)
