from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.curation.extraction.plan import make_plan, traversal
from agentkit.curation.ontology.files import load_ontology
from agentkit.curation.ontology.schema import Ontology, changed_elements
from agentkit.errors import DataError

LINKML = """\
id: https://example.org/x
name: x
prefixes: {linkml: https://w3id.org/linkml/, x: https://example.org/}
imports: [linkml:types]
default_prefix: x
default_range: string
classes:
"""

BAD = {
    "a circle of requirements": (
        "concepts:\n  A: {relations: {b: {to: B, required: true}}}\n  B: {relations: {a: {to: A, required: true}}}\n"
        "roots: [A]\n",
        "required relations form a circle (A → B → A)",
    ),
    "an unknown range": (
        "concepts:\n  A: {relations: {b: Bee}}\n  Be: {}\n",
        "unknown range 'Bee' (did you mean 'Be'?)",
    ),
    "no root": ("concepts:\n  A: {relations: {b: B}}\n  B: {relations: {a: A}}\n", "no root"),
    "a duplicate": ("concepts:\n  A: {}\n  A: {}\n", ":3: 'A' is defined twice"),
    "an unknown key": ("concepts:\n  A: {relation: {}}\n", "unknown key 'relation'"),
    "a value twice": ("concepts:\n  A: {relations: {s: {values: [x, X]}}}\n", "occurs twice"),
    "no YAML": ("concepts: [\n", "not valid YAML"),
    "something else": ("tasks: []\n", "not an ontology"),
    "a LinkML circle": (
        LINKML
        + "  A: {attributes: {b: {range: B, required: true}}}\n  B: {attributes: {a: {range: A, required: true}}}\n"
        "  Box: {tree_root: true, attributes: {all: {range: A}}}\n",
        "required relations form a circle",
    ),
    "a LinkML range": (LINKML + "  A: {attributes: {b: {range: Bee}}}\n", "unknown range 'Bee'"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_schema_gets_one_clear_line(what: str, tmp_path: Path) -> None:
    text, message = BAD[what]
    path = tmp_path / "schema.yaml"
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        load_ontology(path)
    assert message in str(raised.value) and str(path) in str(raised.value) and "\n" not in str(raised.value)


def read(tmp_path: Path, text: str):
    path = tmp_path / "o.yaml"
    path.write_text(text)
    return load_ontology(path)


def test_linkml_and_the_short_form_read_the_same_ontology(tmp_path: Path) -> None:
    short = read(
        tmp_path,
        "name: x\nconcepts:\n  Drug: {ids: [MESH], relations: {causes: {to: Harm, many: true}, dose: string}}\n"
        "  Harm: {}\n",
    )
    linkml = read(
        tmp_path,
        LINKML + "  Drug: {id_prefixes: [MESH], attributes: {causes: {range: Harm, multivalued: true}, dose: {}}}\n"
        "  Harm: {}\n",
    )
    assert [(r.element, r.many) for r in short.relations] == [(r.element, r.many) for r in linkml.relations]
    assert short.roots == linkml.roots == ("Drug",)
    assert short.concepts["Drug"].prefixes == linkml.concepts["Drug"].prefixes == ("MESH",)


SHAPE = """\
concepts:
  Paper: {relations: {about: Drug}}
  Other: {relations: {about: Drug}}
  Drug: {relations: {leaf: Leaf, causes: Harm, dose: string}}
  Harm: {relations: {grade: string, site: Leaf}}
  Leaf: {}
"""


def test_the_order_is_breadth_first_by_out_per_in_triples_from_every_root(tmp_path: Path) -> None:
    order = traversal(read(tmp_path, SHAPE))
    # Harm: 2 out per 1 in; Leaf 0 per 2; the literal leaf 0 per 1: ties keep the schema's order
    assert order == ["Paper", "Other", "Drug", "Harm", "Leaf", "Drug.dose", "Harm.grade"]


def test_each_triple_is_asked_once_and_only_when_both_ends_were_reached(tmp_path: Path) -> None:
    ontology = read(tmp_path, SHAPE)
    plan = make_plan(ontology)
    asked = [step.element for step in plan.steps]
    assert sorted(asked) == sorted(ontology.elements) and len(set(asked)) == len(asked)


def test_the_context_is_the_visited_concepts_within_k_hops_nearest_first(tmp_path: Path) -> None:
    plan = make_plan(read(tmp_path, SHAPE), hops=2)
    grade = plan.by_element["Harm.grade.grade"]
    assert grade.context[0] == "Harm" and set(grade.context) == {"Harm", "Drug", "Leaf"}
    assert make_plan(plan.ontology, hops=1).by_element["Harm.grade.grade"].context == ("Harm",)
    assert plan.steps[0].context == ()


def test_a_schema_edit_changes_the_hash_of_the_elements_it_touches_alone(tmp_path: Path) -> None:
    old = read(tmp_path, SHAPE)
    new = read(tmp_path, SHAPE.replace("grade: string", "grade: {to: string, description: 1 to 5}"))
    assert changed_elements(old, new) == {"Harm.grade.grade": "changed"}


def linkml(tmp_path: Path, body: str) -> Ontology:
    (tmp_path / "s.yaml").write_text(f"id: https://example.org/s\nname: s\ndefault_range: string\n{body}")
    return load_ontology(tmp_path / "s.yaml")


def test_a_linkml_construct_that_does_not_fit_costs_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = linkml(
        tmp_path,
        """
imports: [linkml:types, not_there, "https://example.org/far"]
classes:
  Paper: {tree_root: true, attributes: {id: {identifier: true}, label: {}, drugs: {range: Drug}, told: {range: Causes}}}
  Drug:
    attributes:
      name: {slot_uri: rdfs:label}
      site: {range: Tissue}
      target: {any_of: [{range: Gene}, {range: Protein}]}
      spans: {annotations: {prompt.skip: "true"}}
  Gene: {attributes: {tissue: {}}}
  Protein: {attributes: {fold: {}}}
  Causes: {attributes: {subject: {range: Drug}, object: {range: Disease}}}
  Disease: {}
  Unused: {attributes: {x: {range: Nothing}}}
  Nothing: {abstract: true}
enums:
  Tissue: {reachable_from: {source_ontology: "obo:uberon"}}
""",
    )
    assert found.roots == ("Drug",)
    assert {(r.head, r.name, r.tail) for r in found.relations if r.head == "Drug"} == {
        ("Drug", "site", "Drug.site"),
        ("Drug", "target", "Gene"),
        ("Drug", "target", "Protein"),
        ("Drug", "causes", "Disease"),
    }
    assert "Unused" not in found.concepts
    for named in ("id, label", "'Tissue'", "'not_there'", "'https://example.org/far'"):
        assert named in caplog.text


def test_aliases_are_read_in_linear_time_and_never_inside_themselves(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    for text, problem in ((bomb, "stand for more than"), ("concepts: &c\n  A: *c\n", "inside what it names")):
        (tmp_path / "s.yaml").write_text(text)
        with pytest.raises(DataError, match=problem):
            load_ontology(tmp_path / "s.yaml")
