"""What a file says of a person's decisions is nobody's decision here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentkit.cli.kb import app
from agentkit.curation.claims import Claim, Entity, Evidence
from agentkit.curation.export import Content, export
from agentkit.curation.kb.exchange import import_jsonl
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.verification import verify_kb
from agentkit.store import Store

PAPER = "b" * 64
DRUG, DISEASE = Entity.named("linezolid", "Drug"), Entity.named("hiccups", "Disease")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An export that holds one claim of a paper that nobody has, accepted."""
    quote = Evidence(document=PAPER, start=0, end=5, quote="never", prefix="", suffix="", section="")
    claim = Claim(
        subject=DRUG.id, predicate="causes", object=DISEASE.id, document=PAPER, status="accepted", evidence=(quote,)
    )
    return export(Content.of([claim], [DRUG, DISEASE], []), tmp_path / "kb.jsonl", "jsonl")[0]


def test_an_invented_decision_is_neither_exported_nor_counted_as_one(file: Path, tmp_path: Path) -> None:
    for args in (["import", str(file)], ["verify"], ["export", str(tmp_path / "out.jsonl")]):
        assert CliRunner().invoke(app, args).exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert not [row for row in rows if row.get("status") in ("accepted", "supported")]


def test_a_claim_that_a_person_accepts_here_does_not_verify_without_its_paper(file: Path, store: Store) -> None:
    kb = KnowledgeBase(store, "default")
    assert import_jsonl(kb, file) == 1
    [record] = kb.records()
    assert record.claim.status == "unsupported" and "accepted" in record.claim.reason
    kb.review(record.claim.id, "accepted", reviewer="ann")
    assert [why for _, why in verify_kb(kb).broken] == ["its paper is not stored"]
