from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from typer.testing import CliRunner

import agentkit.models
from agentkit.cli import curate as curate_cli
from agentkit.cli import kb as kb_cli
from agentkit.errors import AgentKitError, ModelError, RunError
from agentkit.testing import ScriptedModel

from .papers import ONTOLOGY, model, reader, write_papers

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


def test_a_model_that_never_answers_is_an_error_and_the_next_command_asks_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(messages: list[Any], tools: list[str]) -> Any:
        raise ModelError("nobody is there", retryable=True)

    monkeypatch.setattr(agentkit.models, "load_model", lambda name, **_: ScriptedModel(silent, name="test/silent"))
    with pytest.raises(RunError, match=r"no question was answered, the last because of .*nobody is there; run "):
        curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x")
    monkeypatch.setattr(agentkit.models, "load_model", lambda name, **_: model())
    assert curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")["supported"] == 6


def test_a_paper_of_200_pages_is_read_by_its_best_sections(folder: Path) -> None:
    long = "Filler about methods. " * 25_000
    text = f"Report\n\n{long}\n\nLithium caused tremor in elderly subjects. Lithium was given at 5 mg daily."
    (folder / "long.txt").write_text(text, encoding="utf-8")
    told = curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x")
    assert "long.txt: 550,085 characters: each question gets the 48,000 that fit it best" in told
    assert "4 papers" in told and "failed" not in told


def test_from_papers_to_a_reviewed_export(folder: Path, tmp_path: Path) -> None:
    curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")
    stats = kb("stats", "x", "--json")
    assert stats["claims"] == {"supported": 6} and stats["relations"] == {"dose": 3, "induces": 3}
    assert kb("verify", "x", "--json")["supported"] == 6
    (claim,) = kb("query", "x", "--subject", "famotidine", "--predicate", "induces", "--json")
    shown = kb("show", claim["id"][:8], "x", "--json")
    assert shown["evidence"][0]["quote"].startswith("Famotidine caused") and shown["likely"] > 0.5
    assert "would accept it with" in kb("show", claim["id"][:8], "x")
    assert "2 decided" in kb("review", "x", "--reviewer", "ada", stdin="a\nn\nnot so\nr\nq\n")
    assert kb("stats", "x", "--json")["claims"] == {"accepted": 1, "rejected": 1, "supported": 4}
    done = kb("export", tmp_path / "x.ttl", "x", "--json")
    assert done["claims"] == 5 and (tmp_path / "x.ttl").read_text(encoding="utf-8").count("Quote") >= 5
    page = tmp_path / "one.html"
    assert kb("export", page, "x", "--claim", claim["id"][:12], "--json")["claims"] == 1
    assert "1 claim of 1 paper" in page.read_text("utf-8") and claim["id"] in page.read_text("utf-8")
    asked = "SELECT (COUNT(*) AS ?n) WHERE { ?s a <http://www.w3.org/1999/02/22-rdf-syntax-ns#Statement> }"
    assert kb("query", "x", "--sparql", asked, "--json")
    version = kb("stats", "x", "--json")["version"]
    assert "undoes 2 decisions of ada" in kb("rollback", "x", "--to", version - 2, code=1, stdin="n\n")
    kb("rollback", "x", "--to", version - 2, "--reviewer", "ada", "--yes")
    assert kb("stats", "x", "--json")["claims"] == {"supported": 6}
    assert len(kb("diff", "x", "--from", version, "--json")["claims"]["changed"]) == 2
    assert "Famotidine — dose → 10 mg: accepted → supported" in kb("diff", "x", "--from", version)
    assert kb("audit", "x", "--json")["broken"] == [] and "induces" in kb("audit", "x")


def test_a_review_file_goes_out_and_comes_back(folder: Path, tmp_path: Path) -> None:
    curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")
    path = tmp_path / "review.csv"
    assert kb("export", path, "x", "--review", "--json")["claims"] == 6
    path.write_text(path.read_text(encoding="utf-8").replace(",,\n", ",accept,\n"), encoding="utf-8")
    assert kb("import", path, "x", "--reviewer", "ada", "--json") == {"decided": 6, "unchanged": 0, "empty": 0}


def test_an_unknown_knowledge_base_names_those_there_are(folder: Path) -> None:
    curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")
    with pytest.raises(AgentKitError, match=r"no knowledge base 'y' \(there are: x\)"):
        kb("stats", "y")


def test_from_a_correction_to_a_verifier_that_learnt(folder: Path, tmp_path: Path) -> None:
    curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")
    claims = kb("query", "x", "--predicate", "induces", "--json")
    old = claims[0]
    made = kb("correct", old["id"][:12], "x", "--object", "gout", "--note", "it says so", "--json")
    assert made["claim"]["status"] == "accepted" and "'gout' is not in the quote" in made["objection"]
    assert kb("show", old["id"], "x", "--json")["reviews"][0]["decision"] == "corrected"
    told = kb("verifier", "x", "--json")
    assert told["version"] == 1 and told["decisions"] == 1 and "too few" in kb("verifier", "x")
    assert "1 decisions (0 accepted)" in kb("stats", "x")
    paper, quote = old["document"], old["evidence"][0]["quote"]
    ends = ("--subject", "aspirin", "--predicate", "induces", "--object", "gout", "--quote", quote)
    assert "accepted: " in kb("add", "x", "--paper", paper, *ends)
    assert kb("verifier", "x", "--json")["version"] == 2
    kb("verifier", "x", "--rollback", 0)
    assert kb("verifier", "x", "--json")["version"] == 3
    everything = kb("export", tmp_path / "all.jsonl", "x", "--json")["claims"]
    likely = kb("export", tmp_path / "likely.jsonl", "x", "--min-confidence", 0.999, "--json")["claims"]
    assert likely == 2 < everything


def test_review_corrects_by_key_and_puts_the_likeliest_wrong_first(folder: Path) -> None:
    curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")
    listed = kb("review", "x", "--json")
    assert [row["likely"] for row in listed] == sorted(row["likely"] for row in listed)
    assert kb("review", "x", "--by", "disagreement", "--json")[0]["likely"] is None
    with pytest.raises(AgentKitError, match="doubt or disagreement"):
        kb("review", "x", "--by", "age")
    first = listed[0]
    typed = "c\n\n\ngout\n\n\nc\n\n\n\n\n\nq\n"
    said = kb("review", "x", "--reviewer", "ada", stdin=typed)
    assert "1 decided" in said and "changes nothing" in said and "learnt: verifier:x version 1" in said
    assert kb("show", first["id"], "x", "--json")["status"] == "rejected"


def test_what_was_decided_is_recalled_where_it_is_asked_for(folder: Path) -> None:
    schema = folder.parent / "o.yaml"
    assert curate(folder, "--ontology", schema, "--kb", "x", "--json")["reused"] == 0
    claims = kb("query", "x", "--predicate", "induces", "--json")
    kb("review", "x", "--limit", len(claims), stdin="a\n" * len(claims))
    assert curate(folder, "--ontology", schema, "--kb", "x", "--json")["reused"] == 9
    again = curate(folder, "--ontology", schema, "--kb", "x", "--recall", "--json")
    assert again["papers"] == 3 and not again["failed"]


def test_the_same_statement_of_several_papers_is_one_row(folder: Path) -> None:
    (folder / "again.txt").write_text("Once more\n\nFamotidine caused delirium in elderly subjects.", encoding="utf-8")
    curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--json")
    (first, *others) = kb("ls", "x", "--predicate", "induces", "--json")
    assert (first["subject_label"], first["object_label"]) == ("Famotidine", "delirium")
    assert len(first["papers"]) == 2 and first["against"] == [] and "again.txt" in first["sources"]
    assert len(others) == 2 and all(first["belief"] > other["belief"] for other in others)
    assert "Famotidine" in kb("ls", "x", "--end", "delirium") and kb("ls", "x", "--end", "gout", "--json") == []


@pytest.mark.parametrize(
    ("options", "judged"),
    [
        ([], False),
        (["--evaluator-model", "local/m"], True),
        (["--model", "openai/m"], True),
        (["--model", "openai/m", "--evaluator-model", "none"], False),
    ],
)
def test_a_local_model_judges_its_own_answers_only_if_it_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], judged: bool
) -> None:
    asked: list[str] = []

    def answer(messages: list[BaseMessage], tools: list[str]) -> Any:
        asked.append(messages[0].text)
        return reader()(messages, tools)

    monkeypatch.setattr(agentkit.models, "load_model", lambda name, **_: ScriptedModel(answer))
    monkeypatch.setenv("AGENTKIT_MODEL", "local/m")
    curate(folder, "--ontology", folder.parent / "o.yaml", "--kb", "x", "--limit", 1, *options)
    assert any("You check facts" in told for told in asked) is judged
