"""Small papers and a scripted model that reads them, for tests and for processes that are killed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage

from agentkit.models.requests import request_hash
from agentkit.testing import ScriptedModel

DRUGS = ["Famotidine", "Ranitidine", "Lithium", "Aspirin", "Carbamazepine", "Naloxone", "Warfarin", "Clonidine"]
HARMS = ["delirium", "headache", "tremor", "bleeding", "rash", "hypertension", "bruising", "bradycardia"]

ONTOLOGY = """\
name: safety
concepts:
  Chemical:
    description: a drug
    relations:
      induces: {to: Disease, many: true, description: the drug causes the disease}
      dose: {to: string, description: the dose that was given}
  Disease: {description: a disease}
"""


def paper(number: int) -> str:
    """A paper in which one drug, at some dose, causes one harm."""
    drug, harm = DRUGS[number % 8], HARMS[(number // 8 + number) % 8]
    return (
        f"Report {number}\n\n{drug} caused {harm} in elderly subjects. {drug} was given at {10 + number} mg daily. "
        f"The {number} patients recovered."
    )


def write_papers(folder: Path, count: int, *, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        (folder / f"paper{number:04d}.txt").write_text(paper(number), encoding="utf-8")
    return folder


def reader(log: Path | None = None, *, revise: bool = False) -> Any:
    """Answers questions about such papers by rule; a log gets the hash of each request when it is answered."""

    def answer(messages: list[BaseMessage], tools: list[str]) -> dict[str, Any]:
        if log is not None:
            with log.open("a", encoding="utf-8") as stream:
                stream.write(request_hash("", messages) + "\n")
        text = "\n".join(message.text for message in messages)
        return judge(text) if "You check facts" in messages[0].text else read(text)

    return answer


def judge(text: str) -> dict[str, Any]:
    items = len(re.findall(r"<item>", text))
    judged = [{"item": n + 1, "reason": "it says so", "holds": True, "sure": 90} for n in range(items)]
    return {"judgements": judged, "missing": []}


def read(text: str) -> dict[str, Any]:
    body = text.split("<paper>")[1].split("</paper>")[0]
    asked = text.split("</paper>")[-1]
    drug = next((name for name in DRUGS if name in body), None)
    if drug is None:
        return {"items": []}
    harm = next(name for name in HARMS if name in body)
    stated = f"{drug} caused {harm} in elderly subjects."
    if "Which Chemical" in asked:
        return {"items": [{"quote": stated, "value": drug, "reason": "named"}]}
    dose = re.search(rf"{drug} was given at (\d+ mg) daily\.", body)
    if "dose" in asked.split("Subject")[-1][-200:] and dose:
        return {"items": [{"quote": dose[0], "value": dose[1], "reason": "the dose"}]}
    return {"items": [{"quote": stated, "value": harm, "reason": "caused"}]}


def model(log: Path | None = None, **options: Any) -> ScriptedModel:
    return ScriptedModel(reader(log), name="test/reader", **options)
