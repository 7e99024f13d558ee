"""KGX TSV: `nodes.tsv` and `edges.tsv` in terms of the Biolink model, with knowledge level, agent type and quote."""

from __future__ import annotations

import json
import re
from pathlib import Path

from agentkit.curation.claims import Claim, Entity
from agentkit.curation.export.content import Content, negated, one_line, writing

NODE_COLUMNS = ("id", "category", "name", "xref", "provided_by")
EDGE_COLUMNS = (
    "id",
    "subject",
    "predicate",
    "object",
    "category",
    "original_predicate",
    "knowledge_level",
    "agent_type",
    "primary_knowledge_source",
    "publications",
    "negated",
    "qualifiers",
    "has_confidence_score",
    "supporting_text",
    "supporting_text_section_type",
    "supporting_text_location",
)
SOURCE = "infores:agentkit"

_CATEGORIES = {
    "chemical": "ChemicalEntity",
    "compound": "ChemicalEntity",
    "drug": "Drug",
    "disease": "Disease",
    "disorder": "Disease",
    "gene": "Gene",
    "protein": "Protein",
    "phenotype": "PhenotypicFeature",
    "symptom": "PhenotypicFeature",
    "procedure": "Procedure",
    "treatment": "Treatment",
    "population": "PopulationOfIndividualOrganisms",
    "organism": "OrganismTaxon",
    "process": "BiologicalProcess",
    "pathway": "Pathway",
    "cell": "Cell",
    "device": "Device",
}
_PREDICATES = {
    "treats",
    "causes",
    "affects",
    "prevents",
    "interacts_with",
    "associated_with",
    "correlated_with",
    "regulates",
    "located_in",
    "part_of",
    "has_part",
    "has_phenotype",
    "contraindicated_in",
    "contributes_to",
    "predisposes_to_condition",
    "ameliorates_condition",
    "exacerbates_condition",
    "has_side_effect",
    "subclass_of",
    "related_to",
    "produces",
    "disrupts",
}


def write(content: Content, path: Path) -> list[Path]:
    """Write two files into the folder `path`."""
    files = [path / "nodes.tsv", path / "edges.tsv"]
    with writing(files[0]) as stream:
        stream.write("\t".join(NODE_COLUMNS) + "\n")
        stream.writelines(_line(_node(e, content)) for e in content.entities)
    publications = content.publications()
    with writing(files[1]) as stream:
        stream.write("\t".join(EDGE_COLUMNS) + "\n")
        stream.writelines(_line(_edge(c, publications[c.document], content)) for c in content.claims)
    return files


def _line(cells: list[str]) -> str:
    return "\t".join(map(one_line, cells)) + "\n"


def category(name: str, content: Content) -> str:
    """The Biolink class of an ontology class; NamedThing if there is no better one."""
    given = content.categories.get(name)
    return given or f"biolink:{_CATEGORIES.get(name.lower(), 'NamedThing')}"


def predicate(name: str, content: Content) -> str:
    """The Biolink predicate of a relation; related_to if there is no better one."""
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]+", "_", name).lower()
    given = content.categories.get(name)
    return given or f"biolink:{snake if snake in _PREDICATES else 'related_to'}"


def _node(entity: Entity, content: Content) -> list[str]:
    xrefs = "|".join(c for c in entity.curies if c != entity.id)
    return [entity.id, category(entity.cls, content), entity.label, xrefs, SOURCE]


def _edge(claim: Claim, publication: str, content: Content) -> list[str]:
    reviewed = claim.status == "accepted"
    first = claim.evidence[0] if claim.evidence else None
    rest = {k: v for k, v in sorted(claim.qualifiers.items()) if k != "negated"}
    return [
        claim.id,
        claim.subject,
        predicate(claim.predicate, content),
        claim.object,
        "biolink:Association",
        claim.predicate,
        "knowledge_assertion" if reviewed else "not_provided",
        "manual_validation_of_automated_agent" if reviewed else "text_mining_agent",
        SOURCE,
        publication,
        str(negated(claim)).lower(),
        json.dumps(rest, ensure_ascii=False) if rest else "",
        "" if claim.confidence is None else str(claim.confidence),
        first.quote if first else "",
        first.section if first else "",
        f"{first.start}|{first.end}" if first else "",
    ]
