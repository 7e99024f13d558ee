"""docs/curation.md, its ten minutes: every command is run as it stands, with a model whose answers are written down."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import agentkit.models
from agentkit.cli.main import load_command
from agentkit.curation.documents import read_folder
from agentkit.curation.documents.document import Document
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.settings import load_settings
from agentkit.store import Store
from agentkit.testing import ScriptedModel

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "curation.md").read_text(encoding="utf-8")

FOUND = {
    "tiotropium": ("weekly use of rescue medication", "Rescue medication usage was significantly reduced"),
    "Heme Iron Polypeptide": ("serum ferritin", "but the serum ferritin was significantly higher"),
    "etodolac": ("risk of tooth sensitivity", "The preemptive administration of etodolac did not affect the risk"),
    "salbutamol": ("days alive and free of ALI", "The high dose salbutamol group had significantly more days"),
    "adenosine": ("forced expiratory spirogram", "Similarly, adenosine injection caused no significant changes"),
}
"""By intervention: an outcome, and how the sentence with its result begins."""


def answer(messages: Any, tools: Any) -> Any:
    """A small model's habits: every effect is a decrease, unless the prompt has the lesson."""
    if "You check facts" in messages[0].text:
        items = len(re.findall("<item>", messages[-1].text))
        judged = [{"item": n + 1, "reason": "stated", "holds": True, "sure": 80} for n in range(items)]
        return {"judgements": judged, "missing": []}
    paper, asked = messages[1].text, messages[2].text
    drug = next(name for name in FOUND if name in paper)
    outcome, begins = FOUND[drug]
    sentence = next(line for line in re.split(r"(?<=[.;]) |\n", paper) if begins in line)
    if "Which Intervention" in asked:
        return {"items": [{"quote": sentence, "value": drug, "reason": "tested"}]}
    unchanged = "no significant' or 'did not affect'" in asked and (
        "no significant" in sentence or "not affect" in sentence
    )
    direction = "no difference" if unchanged else "decreased"
    return {"items": [{"quote": sentence, "value": outcome, "comparator": "placebo", "direction": direction}]}


def commands() -> list[str]:
    part = GUIDE.split("## Ten minutes, five abstracts")[1].split("\n## ")[0]
    blocks = re.findall(r"```bash\n(.*?)```", part, re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def run(line: str) -> Result:
    _, name, *words = shlex.split(line)
    done = CliRunner().invoke(load_command(name), words)
    assert done.exit_code == 0, f"{line}: {done.output} {done.exception!r}"
    return done


def claim_about(kb: KnowledgeBase, drug: str) -> str:
    labels = {entity.id: entity.label for entity in kb.entities()}
    return next(claim.id for claim in kb.claims() if labels[claim.subject] == drug and claim.model != "person")


def test_the_ten_minutes_end_with_a_second_run_that_is_better_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(agentkit.models, "load_model", lambda name, **_: ScriptedModel(answer, name="test/small"))
    store, corrected, said = Store.open(load_settings().database_url), False, dict[str, str]()
    kb = KnowledgeBase(store, "trials")
    for line in commands():
        if "CLAIM" in line:
            line = line.replace("CLAIM", claim_about(kb, "adenosine" if corrected else "etodolac")[:12])
        output = run(line).output
        said[line.split("CLAIM")[0]] = output
        corrected = corrected or " correct " in line
        if " kb show " in line and corrected:
            assert "recalled playbook playbook:trials.affects version 1" in output and "recalled cases" in output
    directions = {claim.qualifiers["direction"] for claim in kb.claims() if claim.id == claim_about(kb, "adenosine")}
    assert directions == {"no difference"} and claim_about(kb, "salbutamol")
    assert len(commands()) == 11 and "before anything was recalled: 0.00 of 1" in output
    store.close()


def test_the_abstracts_are_five_papers_whose_authors_and_licences_are_told() -> None:
    papers = [paper for paper in read_folder(ROOT / "examples" / "abstracts") if isinstance(paper, Document)]
    told = (ROOT / "examples" / "abstracts.md").read_text(encoding="utf-8")
    assert len(papers) == 5 and all(Path(paper.source).name in told for paper in papers)
    assert told.count("doi:10.") == told.count("CC BY") == 5
