"""The RDF view: claims as reified statements with PROV-O provenance and Web Annotation selectors for their quotes.

Produced as a stream of nodes, which `turtle` and `jsonld` serialise: building a graph of millions of triples first, as
libraries do, takes hours instead of a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from agentkit.curation.claims import Claim, Entity, Evidence
from agentkit.curation.export.content import Content, Paper, negated
from agentkit.errors import MissingExtra

PREFIXES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "prov": "http://www.w3.org/ns/prov#",
    "oa": "http://www.w3.org/ns/oa#",
    "dcterms": "http://purl.org/dc/terms/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "ak": "urn:agentkit:vocabulary:",
}

_OBO = ("CHEBI", "GO", "MONDO", "DOID", "HP", "CL", "UBERON", "NCBITaxon", "PR", "SO", "MAXO", "ECO")
_BASES = {
    "MESH": "http://id.nlm.nih.gov/mesh/",
    "PMID": "https://pubmed.ncbi.nlm.nih.gov/",
    "PMC": "https://www.ncbi.nlm.nih.gov/pmc/articles/PMC",
    "DOI": "https://doi.org/",
    "EFO": "http://www.ebi.ac.uk/efo/EFO_",
    **{prefix: f"http://purl.obolibrary.org/obo/{prefix}_" for prefix in _OBO},
}


@dataclass(frozen=True, slots=True)
class Iri:
    value: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value; `kind` is the local name of its XSD datatype, empty for plain text."""

    value: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A subject (None for a blank node) and its statements: (property, value) pairs in order."""

    iri: Iri | None
    statements: tuple[tuple[str, Iri | Literal | Node], ...]


def curie_iri(curie: str) -> str:
    """The IRI of an identifier, in the form of its own database if known.

    >>> curie_iri("MESH:D003000"), curie_iri("name:ab12")
    ('http://id.nlm.nih.gov/mesh/D003000', 'urn:agentkit:name:ab12')
    """
    prefix, colon, local = curie.partition(":")
    if not colon or prefix in {"name", "agentkit.document"}:
        return f"urn:agentkit:{quote(curie.replace('agentkit.document', 'document'), safe=':')}"
    base = _BASES.get(prefix) or _BASES.get(prefix.upper())
    return (base or f"https://bioregistry.io/{quote(prefix)}:") + quote(local, safe="/:().;-_~")


def nodes(content: Content) -> Iterator[Node]:
    """All nodes of an export, in order: papers, entities, the agents that proposed claims, the claims."""
    papers = {p.id: curie_iri(pub) for p, pub in zip(content.papers, content.publications().values(), strict=True)}
    yield from (_paper(p, papers[p.id]) for p in content.papers)
    yield from (_entity(e, content) for e in content.entities)
    for model in sorted({c.model for c in content.claims if c.model}):
        yield _node(_agent(model), a=(Iri("prov:SoftwareAgent"),), rdfs__label=Literal(model))
    for run in sorted({c.run_id for c in content.claims if c.run_id}):
        yield _node(_run(run), a=(Iri("prov:Activity"),), rdfs__label=Literal(run))
    for claim in content.claims:
        if not negated(claim):
            direct = (relation_iri(claim.predicate, content), Iri(curie_iri(claim.object)))
            yield Node(Iri(curie_iri(claim.subject)), (direct,))
        yield _claim(claim, papers[claim.document], content)


def relation_iri(name: str, content: Content) -> str:
    """The IRI of a relation: the one in the ontology, or else one under `urn:agentkit:`."""
    return content.iris.get(name) or f"urn:agentkit:relation:{quote(name, safe='')}"


def _class_iri(name: str, content: Content) -> Iri:
    return Iri(content.iris.get(name) or f"urn:agentkit:class:{quote(name, safe='')}")


def _agent(model: str) -> str:
    return f"urn:agentkit:model:{quote(model, safe='/')}"


def _run(run: str) -> str:
    return f"urn:agentkit:run:{quote(run, safe='')}"


def _node(iri: str | None, **statements: Any) -> Node:
    """A node with statements by keyword, `rdfs__label=…`; a tuple has several values; empty ones are omitted."""
    rows: list[tuple[str, Iri | Literal | Node]] = []
    for name, value in statements.items():
        values = value if isinstance(value, tuple) else (value,)
        property_ = "rdf:type" if name == "a" else name.replace("__", ":", 1)
        rows += [(property_, v) for v in values if v is not None]
    return Node(Iri(iri) if iri else None, tuple(rows))


def _text(value: object, kind: str = "") -> Literal | None:
    return Literal(str(value), kind) if value not in (None, "") else None


def _paper(paper: Paper, iri: str) -> Node:
    return _node(
        iri,
        a=(Iri("prov:Entity"),),
        dcterms__title=_text(paper.title),
        dcterms__identifier=_text(paper.publication),
        dcterms__date=_text(paper.year, "gYear"),
        ak__sha256=_text(paper.id),
    )


def _entity(entity: Entity, content: Content) -> Node:
    return _node(
        curie_iri(entity.id),
        a=(_class_iri(entity.cls, content),),
        rdfs__label=Literal(entity.label),
        ak__groundable=Literal(str(entity.groundable).lower(), "boolean"),
        skos__closeMatch=tuple(Iri(curie_iri(c)) for c in entity.curies if c != entity.id),
    )


def _claim(claim: Claim, paper: str, content: Content) -> Node:
    iri = f"urn:agentkit:claim:{claim.id}"
    qualifiers = {f"ak__qualifier-{quote(k, safe='')}": _value(claim.qualifiers[k]) for k in sorted(claim.qualifiers)}
    return _node(
        iri,
        a=(Iri("rdf:Statement"), Iri("prov:Entity"), Iri("ak:Claim")),
        rdf__subject=Iri(curie_iri(claim.subject)),
        rdf__predicate=Iri(relation_iri(claim.predicate, content)),
        rdf__object=Iri(curie_iri(claim.object)),
        **qualifiers,
        ak__status=Literal(claim.status),
        ak__confidence=_text(claim.confidence, "double"),
        prov__wasDerivedFrom=Iri(paper),
        prov__wasGeneratedBy=Iri(_run(claim.run_id)) if claim.run_id else None,
        prov__wasAttributedTo=Iri(_agent(claim.model)) if claim.model else None,
        ak__evidence=tuple(_evidence(e, iri, paper) for e in claim.evidence),
    )


def _value(value: object) -> Literal:
    if isinstance(value, bool):
        return Literal(str(value).lower(), "boolean")
    kind = {int: "integer", float: "double"}.get(type(value), "")
    return Literal(repr(value) if kind else str(value), kind)


def _evidence(evidence: Evidence, claim: str, paper: str) -> Node:
    exact = _node(
        None,
        a=(Iri("oa:TextQuoteSelector"),),
        oa__exact=Literal(evidence.quote),
        oa__prefix=_text(evidence.prefix),
        oa__suffix=_text(evidence.suffix),
    )
    place = _node(
        None,
        a=(Iri("oa:TextPositionSelector"),),
        oa__start=Literal(str(evidence.start), "nonNegativeInteger"),
        oa__end=Literal(str(evidence.end), "nonNegativeInteger"),
    )
    target = _node(
        None,
        a=(Iri("oa:SpecificResource"),),
        oa__hasSource=Iri(paper),
        oa__hasSelector=(exact, place),
        ak__section=_text(evidence.section),
    )
    return _node(None, a=(Iri("oa:Annotation"),), oa__hasBody=Iri(claim), oa__hasTarget=target)


def graph(content: Content) -> Any:
    """The same statements as an `rdflib.Graph`. Raises MissingExtra if rdflib is not installed."""
    try:
        import rdflib
    except ImportError as error:
        raise MissingExtra("curate", "rdflib") from error
    made = rdflib.Graph()
    for prefix, base in PREFIXES.items():
        made.bind(prefix, base)
    for node in nodes(content):
        _add(made, rdflib, node)
    return made


def _add(made: Any, rdflib: Any, node: Node) -> Any:
    subject = rdflib.URIRef(expanded(node.iri.value)) if node.iri else rdflib.BNode()
    for name, value in node.statements:
        if isinstance(value, Node):
            object_ = _add(made, rdflib, value)
        elif isinstance(value, Iri):
            object_ = rdflib.URIRef(expanded(value.value))
        else:
            kind = rdflib.URIRef(PREFIXES["xsd"] + value.kind) if value.kind else None
            object_ = rdflib.Literal(value.value, datatype=kind)
        made.add((subject, rdflib.URIRef(expanded(name)), object_))
    return subject


def expanded(name: str) -> str:
    """Expand one of our prefixed names to an IRI; an IRI is returned as it is."""
    prefix, _, local = name.partition(":")
    return PREFIXES[prefix] + local if prefix in PREFIXES else name
