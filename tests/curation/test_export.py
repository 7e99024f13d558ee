"""A knowledge base in the formats others read: nothing lost, nothing that was refused, always the same bytes."""

from __future__ import annotations

import csv
import html
import io
import json
import random
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import rdflib
from rdflib.compare import isomorphic

from agentkit.curation.claims import Claim, Entity, Evidence
from agentkit.curation.export import FORMATS, Content, Paper, export, graph, read_jsonl, sparql
from agentkit.curation.export.rdf import curie_iri
from agentkit.errors import DataError, UserError

DOCUMENT = "a" * 64
NASTY = 'He said "no\\way"\t\n<b>&amp; é α 😀 \u0001 = 1,5; x|y'

DRUG = Entity.named("famotidine", "Drug", ("MESH:D015738",))
DISEASE = Entity.named("delirium", "Disease", ("MESH:D003693", "DOID:9744"))
THING = Entity.named(NASTY, "Odd Class")


def made(subject: Entity, object_: Entity, **fields: object) -> Claim:
    around = {"prefix": "p ", "suffix": " s", "section": "RESULTS"}
    evidence = Evidence(document=DOCUMENT, start=5, end=5 + len(NASTY), quote=NASTY, **around)
    base = Claim(
        subject=subject.id,
        predicate="causes",
        object=object_.id,
        document=DOCUMENT,
        status="supported",
        confidence=0.75,
        evidence=(evidence,),
        run_id="run 1",
        model="local/x",
        qualifiers={"direction": "increased", "age_group": 'old "men"', "n": 3},
    )
    return Claim.from_json({**base.to_json(), **fields, "id": ""})


CLAIMS = [
    made(DRUG, DISEASE),
    made(DRUG, THING, predicate="mayTreat", status="accepted", confidence=None),
    made(THING, DISEASE, qualifiers={"negated": True}),
    made(DISEASE, DRUG, status="unsupported", reason="no"),
    made(DISEASE, DRUG, status="rejected", predicate="other"),
]
PAPERS = [Paper(id=DOCUMENT, title="A <title>", publication="PMID:227508", year=1979, source="a.xml")]


@pytest.fixture
def content() -> Content:
    return Content.of(CLAIMS, [DRUG, DISEASE, THING], PAPERS)


def written(content: Content, form: str, folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in export(content, folder / f"out-{form}", form)}


def opened(path: Path) -> io.StringIO:
    return io.StringIO(path.read_bytes().decode(), newline="")


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_content_is_the_same_bytes_in_any_order(form: str, content: Content, tmp_path: Path) -> None:
    claims, entities = list(CLAIMS), [THING, DISEASE, DRUG]
    random.Random(1).shuffle(claims)
    again = Content.of(iter(claims), iter(entities), PAPERS)
    assert written(content, form, tmp_path / "a") == written(again, form, tmp_path / "b")
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("form", FORMATS)
def test_only_supported_and_accepted_claims_leave(form: str, content: Content, tmp_path: Path) -> None:
    everything = b"".join(written(content, form, tmp_path).values())
    for claim in CLAIMS:
        assert (claim.id.encode() in everything) == claim.exported
    asked = Content.of(CLAIMS, [], statuses=("rejected",))
    assert [c.status for c in asked.claims] == ["rejected"]


def test_jsonl_comes_back_whole(content: Content, tmp_path: Path) -> None:
    (path,) = export(content, tmp_path / "kb.jsonl")
    found = list(read_jsonl(path))
    assert tuple(x for x in found if isinstance(x, Claim)) == content.claims
    assert tuple(x for x in found if isinstance(x, Entity)) == content.entities
    assert tuple(x for x in found if isinstance(x, Paper)) == content.papers


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a line of type"),
        ('{"type": "spell"}', "not a line of type"),
        ('{"type": "entity", "id": "x"}', "'label' is missing"),
    ],
)
def test_a_broken_line_is_named(content: Content, tmp_path: Path, line: str, why: str) -> None:
    (path,) = export(content, tmp_path / "kb.jsonl")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=rf"kb.jsonl:\d+: .*{why}"):
        list(read_jsonl(path))


def test_an_altered_claim_is_found_out(content: Content, tmp_path: Path) -> None:
    (path,) = export(content, tmp_path / "kb.jsonl")
    path.write_text(path.read_text().replace('"predicate":"causes"', '"predicate":"cures"'))
    with pytest.raises(DataError, match="was altered"):
        list(read_jsonl(path))


def test_turtle_and_jsonld_are_the_graph(content: Content, tmp_path: Path) -> None:
    whole = graph(content)
    (turtle,) = export(content, tmp_path / "kb.ttl")
    (jsonld,) = export(content, tmp_path / "kb.jsonld")
    assert isomorphic(whole, rdflib.Graph().parse(turtle, format="turtle"))
    assert isomorphic(whole, rdflib.Graph().parse(jsonld, format="json-ld"))


def test_sparql_finds_a_claim_with_its_quote_and_paper(content: Content) -> None:
    rows = sparql(
        content,
        """SELECT ?claim ?quote ?start ?title WHERE {
             ?claim a ak:Claim ; rdf:subject mesh:D015738 ; ak:status "supported" ; ak:evidence/oa:hasTarget ?target ;
                    prov:wasDerivedFrom/dcterms:title ?title .
             ?target oa:hasSelector [ oa:exact ?quote ] , [ oa:start ?start ] }""".replace(
            "mesh:D015738", f"<{curie_iri('MESH:D015738')}>"
        ),
    )
    assert rows == [{"claim": f"urn:agentkit:claim:{CLAIMS[0].id}", "quote": NASTY, "start": "5", "title": "A <title>"}]
    assert sparql(content, "ASK { ?c ak:qualifier-n 3 }") == [{"answer": "true"}]


def test_a_denied_claim_asserts_no_direct_relation(content: Content) -> None:
    rows = sparql(content, "SELECT ?s ?o { ?s <urn:agentkit:relation:causes> ?o }")
    assert len(rows) == 1 and rows[0]["s"] == curie_iri("MESH:D015738")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * {",
        "DROP ALL",
        "SELECT * FROM <http://example.org/x> { ?s ?p ?o }",
        "SELECT * { SERVICE <http://example.org/x> { ?s ?p ?o } }",
    ],
)
def test_a_query_that_is_broken_or_reaches_outside_is_refused(content: Content, query: str) -> None:
    with pytest.raises(DataError):
        sparql(content, query)


def test_a_query_without_end_is_ended(content: Content) -> None:
    product = " . ".join(f"?a{n} ?b{n} ?c{n}" for n in range(9))
    with pytest.raises(DataError, match=r"longer than 0\.3 seconds"):
        sparql(content, f"SELECT (COUNT(*) AS ?n) {{ {product} }}", seconds=0.3)


def test_an_answer_of_too_many_rows_asks_for_a_limit(content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sparql.__globals__, "MOST", 3)
    with pytest.raises(DataError, match="LIMIT"):
        sparql(content, "SELECT * { ?s ?p ?o }")
    assert len(sparql(content, "SELECT * { ?s ?p ?o } LIMIT 3")) == 3


def test_kgx_speaks_biolink(content: Content, tmp_path: Path) -> None:
    nodes, edges = export(content, tmp_path / "kgx", "kgx")
    node_rows = list(csv.DictReader(opened(nodes), delimiter="\t", quoting=csv.QUOTE_NONE))
    edge_rows = list(csv.DictReader(opened(edges), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert {r["category"] for r in node_rows} == {"biolink:Drug", "biolink:Disease", "biolink:NamedThing"}
    ids = {r["id"] for r in node_rows}
    assert all(r["subject"] in ids and r["object"] in ids for r in edge_rows)
    by_id = {r["id"]: r for r in edge_rows}
    first, accepted, denied = (by_id[c.id] for c in CLAIMS[:3])
    assert first["knowledge_level"] == "not_provided" and first["agent_type"] == "text_mining_agent"
    assert accepted["knowledge_level"] == "knowledge_assertion"
    assert accepted["agent_type"] == "manual_validation_of_automated_agent"
    assert first["predicate"] == "biolink:causes" and accepted["predicate"] == "biolink:related_to"
    assert accepted["original_predicate"] == "mayTreat" and denied["negated"] == "true"
    assert first["publications"] == "PMID:227508" and first["supporting_text_section_type"] == "RESULTS"


def test_csv_and_neo4j_keep_quotes_whole_and_refer_to_their_nodes(content: Content, tmp_path: Path) -> None:
    (table,) = export(content, tmp_path / "kb.csv")
    rows = list(csv.DictReader(opened(table)))
    assert all(r["quote"] == NASTY for r in rows) and len(rows) == 3
    assert json.loads(rows[0]["qualifiers"])
    nodes, edges = export(content, tmp_path / "neo", "neo4j")
    ids = {r["id:ID"] for r in csv.DictReader(opened(nodes))}
    relations = list(csv.DictReader(opened(edges)))
    assert all(r[":START_ID"] in ids and r[":END_ID"] in ids for r in relations)
    assert {r[":TYPE"] for r in relations} == {"CAUSES", "MAY_TREAT"}


def test_a_formula_in_a_paper_does_not_run_in_a_spreadsheet(tmp_path: Path) -> None:
    formula = Entity.named('=HYPERLINK("http://example.org")', "Drug")
    (table,) = export(Content.of([made(formula, DISEASE)], [formula, DISEASE]), tmp_path / "kb.csv")
    (row,) = csv.DictReader(opened(table))
    assert row["subject_label"] == "'" + formula.label and row["confidence"] == "0.75"


def test_graphml_is_well_formed_whatever_the_quotes_hold(content: Content, tmp_path: Path) -> None:
    (path,) = export(content, tmp_path / "kb.graphml")
    root = ElementTree.parse(path).getroot()
    space = {"g": "http://graphml.graphdrawing.org/xmlns"}
    ids = {n.get("id") for n in root.iterfind(".//g:node", space)}
    edges = list(root.iterfind(".//g:edge", space))
    assert len(edges) == 3 and all(e.get("source") in ids and e.get("target") in ids for e in edges)


def test_an_entity_that_only_a_claim_names_is_still_a_node() -> None:
    alone = Content.of(CLAIMS[:1], [])
    assert {e.id for e in alone.entities} == {CLAIMS[0].subject, CLAIMS[0].object}
    assert alone.papers[0].id == DOCUMENT


def test_unknown_formats_and_unwritable_paths_are_one_clear_line(content: Content, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no export format"):
        export(content, tmp_path / "kb.docx")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="can't be written"):
        export(content, tmp_path / "file" / "kb.csv")


def test_a_decision_in_a_file_is_nobodys_here() -> None:
    from agentkit.curation.kb.exchange import _undecided

    claim = Claim(subject="A:1", predicate="p", object="B:1", document="d", status="accepted")
    assert _undecided(claim).status == "unsupported" and "accepted" in _undecided(claim).reason


def test_a_page_shows_each_claim_with_its_quote_and_runs_nothing(content: Content, tmp_path: Path) -> None:
    [path] = export(content, tmp_path / "claims.html")
    text = path.read_text(encoding="utf-8")
    assert text.count(f"<mark>{html.escape(NASTY)}</mark>") == 3
    assert "A &lt;title&gt;" in text and "<b>famotidine</b> —causes→ <b>delirium</b>" in text
    assert "default-src 'none'" in text
    assert not re.search(r"<script|<img|<link|href=|src=|onerror", text)
