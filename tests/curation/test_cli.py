from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import agentkit.models
from agentkit.cli import curate as curate_cli
from agentkit.cli import kb as kb_cli
from agentkit.errors import AgentKitError

from .papers import ONTOLOGY, model, write_papers

RUNNER = CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Papers, an ontology beside them, and a model that reads them."""
    monkeypatch.setattr(agentkit.models, "load_model", lambda name, **_: model())
    (tmp_path / "o.yaml").write_text(ONTOLOGY, encoding="utf-8")
    return write_papers(tmp_path / "papers", 3)


def curate(*args: Any, code: int = 0) -> Any:
    return call(curate_cli.app, *args, code=code)


def kb(*args: Any, code: int = 0, stdin: str | None = None) -> Any:
    return call(kb_cli.app, *args, code=code, stdin=stdin)


def call(app: Any, *args: Any, code: int = 0, stdin: str | None = None) -> Any:
    done = RUNNER.invoke(app, [str(arg) for arg in args], input=stdin)
    if isinstance(done.exception, AgentKitError):
        raise done.exception
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if "--json" in args else done.output


def test_the_plan_shows_order_prompts_and_tokens_without_a_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agentkit.models, "load_model", None)
    plan = curate(folder, "--ontology", folder.parent / "o.yaml", "--plan", "--json")
    assert [step["element"] for step in plan["steps"]] == ["Chemical", "Chemical.induces.Disease", "Chemical.dose.dose"]
    assert "{#Chemical}" in plan["steps"][1]["prompt"] and "{paper}" in plan["steps"][1]["prompt"]
    assert len(plan["papers"]) == 3 and plan["papers"][0]["calls"] == 3
    assert "3 papers: at least 9 calls" in curate(folder, "--ontology", folder.parent / "o.yaml", "--plan")


def test_bad_papers_get_a_line_each_and_the_rest_goes_on(folder: Path) -> None:
    (folder / "cut.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Cat")
    (folder / "bad.xml").write_text("<article><p>open</article>", encoding="utf-8")
    (folder / "bomb.xml").write_text('<!DOCTYPE a [<!ENTITY b "bbb">]><article>&b;</article>', encoding="utf-8")
    (folder / "empty.txt").write_bytes(b"")
    report = curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")
    unread = {row["source"].split(":")[0]: row["reason"] for row in report["unread"]}
    assert set(unread) == {"cut.pdf", "bad.xml", "bomb.xml", "empty.txt"}
    assert report["papers"] == 3 and report["supported"] == 6
    assert all(reason and "\n" not in reason for reason in unread.values())


def test_a_paper_of_200_pages_is_read_by_its_best_sections(folder: Path) -> None:
    long = "Filler about methods. " * 25_000
    text = f"Report\n\n{long}\n\nLithium caused tremor in elderly subjects. Lithium was given at 5 mg daily."
    (folder / "long.txt").write_text(text, encoding="utf-8")
    told = curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x")
    assert "long.txt: 550,085 characters: each question gets the 48,000 that fit it best" in told
    assert "4 papers" in told and "failed" not in told


def test_from_papers_to_a_reviewed_export(folder: Path, tmp_path: Path) -> None:
    curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")
    stats = kb("stats", "--kb", "x", "--json")
    assert stats["claims"] == {"supported": 6} and stats["relations"] == {"dose": 3, "induces": 3}
    assert kb("verify", "--kb", "x", "--json")["supported"] == 6
    (claim,) = kb("query", "--kb", "x", "--subject", "famotidine", "--predicate", "induces", "--json")
    assert kb("show", claim["id"][:8], "--kb", "x", "--json")["evidence"][0]["quote"].startswith("Famotidine caused")
    assert "2 decided" in kb("review", "--kb", "x", "--reviewer", "ada", stdin="a\nn\nnot so\nr\nq\n")
    assert kb("stats", "--kb", "x", "--json")["claims"] == {"accepted": 1, "rejected": 1, "supported": 4}
    done = kb("export", tmp_path / "x.ttl", "--kb", "x", "--json")
    assert done["claims"] == 5 and (tmp_path / "x.ttl").read_text(encoding="utf-8").count("Quote") >= 5
    asked = "SELECT (COUNT(*) AS ?n) WHERE { ?s a <http://www.w3.org/1999/02/22-rdf-syntax-ns#Statement> }"
    assert kb("query", "--kb", "x", "--sparql", asked, "--json")
    version = kb("stats", "--kb", "x", "--json")["version"]
    kb("rollback", "--kb", "x", "--to", version - 2, "--reviewer", "ada")
    assert kb("stats", "--kb", "x", "--json")["claims"] == {"supported": 6}
    assert len(kb("diff", "--kb", "x", "--from", version, "--json")["claims"]["changed"]) == 2


def test_a_review_file_goes_out_and_comes_back(folder: Path, tmp_path: Path) -> None:
    curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")
    path = tmp_path / "review.csv"
    assert kb("export", path, "--kb", "x", "--review", "--json")["claims"] == 6
    path.write_text(path.read_text(encoding="utf-8").replace(",,\n", ",accept,\n"), encoding="utf-8")
    assert kb("import", path, "--kb", "x", "--reviewer", "ada", "--json") == {"decided": 6, "unchanged": 0, "empty": 0}


def test_an_unknown_knowledge_base_names_those_there_are(folder: Path) -> None:
    curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")
    with pytest.raises(AgentKitError, match=r"no knowledge base 'y' \(there are: x\)"):
        kb("stats", "--kb", "y")
