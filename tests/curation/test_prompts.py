from __future__ import annotations

import json

from agentkit.curation.documents import Document
from agentkit.curation.extraction.answers import answer_schema
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.extraction.prompts import Question, explorer_messages
from agentkit.curation.ontology.files import read_short
from agentkit.models.asking import answer_tool
from agentkit.models.union import to_chat, union_of

ONTOLOGY = read_short(
    {
        "name": "safety",
        "concepts": {
            "Chemical": {
                "relations": {"induces": {"to": "Disease", "many": True, "together": True}, "dose": {"to": "string"}}
            },
            "Disease": {},
        },
    }
)
PAPER = "Lithium caused tremor in 12 patients. " * 20


def prompt(element: str, *subjects: str, quotes: tuple[str, ...] = ()) -> str:
    """What a local model reads for a question, answer format included."""
    step = make_plan(ONTOLOGY).by_element[element]
    document = Document(id="d", title="", text=PAPER)
    question = Question(step=step, ontology=ONTOLOGY, document=document, paper=PAPER, subjects=subjects)
    schema = answer_schema(step, subjects=subjects if len(subjects) > 1 else (), quotes=quotes)
    union = union_of({"tools": [answer_tool(schema)], "tool_choice": "answer"})
    return "\n".join(message["content"] for message in to_chat(explorer_messages(question), union))


def test_questions_with_different_answers_share_the_prompt_to_the_end_of_the_paper() -> None:
    first, second = prompt("Chemical"), prompt("Chemical.induces.Disease", "Lithium", "Aspirin")
    end = first.index("</paper>") + len("</paper>")
    assert first[:end] == second[:end] and first[end:] != second[end:]


def test_the_question_comes_last_and_says_what_each_field_holds() -> None:
    asked = prompt("Chemical.induces.Disease", "Lithium", "Aspirin")
    last = asked.rindex(
        "`subject`, which of them it is about; `value`, the Disease by its shortest name in the paper; `quote`"
    )
    assert last > asked.index("Reply with one JSON object") > asked.index("</paper>")


def test_a_reason_is_asked_for_where_the_evaluator_judges_reasons() -> None:
    steps = make_plan(ONTOLOGY).by_element
    fields = [
        set(answer_schema(steps[name]).model_json_schema()["$defs"]["Item"]["properties"])
        for name in ("Chemical.dose.dose", "Chemical")
    ]
    assert fields == [{"quote", "value", "reason"}, {"quote", "value"}]


def test_sentences_to_quote_bind_the_answer_and_add_nothing_to_the_prompt() -> None:
    quotes = ("Lithium caused tremor in 12 patients.", "Aspirin did not.")
    assert prompt("Chemical", quotes=quotes) == prompt("Chemical", quotes=())
    schema = answer_schema(make_plan(ONTOLOGY).by_element["Chemical"], quotes=quotes)
    union = union_of({"tools": [answer_tool(schema)], "tool_choice": "answer"})
    assert union is not None
    arguments, _ = json.JSONDecoder().raw_decode(union.grammar.split("%json ")[1])
    item = arguments["properties"]["items"]["items"]
    assert item["properties"]["quote"] == {"enum": list(quotes), "title": "Quote", "type": "string"}
