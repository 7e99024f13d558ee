"""The glossary's terms name what they say, and the words it retires are gone."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^\| (\w[\w -]*) \| (.+) \| `(agentkit[\w.]*)(?::([\w.]+))?` \|$", GLOSSARY, re.MULTILINE)
RETIRED = ("broke off", "breaks off", "gone on with", "dice", "retells", "evolvement")


def test_there_are_at_most_forty_terms_each_once() -> None:
    names = [term for term, *_ in TERMS]
    assert len(names) == len(set(names)) == GLOSSARY.count("\n| ") - 1 <= 40


@pytest.mark.parametrize(("term", "meaning", "module", "name"), TERMS, ids=[term for term, *_ in TERMS])
def test_a_term_is_what_the_code_calls_it(term: str, meaning: str, module: str, name: str) -> None:
    found = importlib.import_module(module)
    for part in filter(None, name.split(".")):
        fields = getattr(found, "model_fields", {})
        found = fields[part] if part in fields else getattr(found, part)
    last = (name or module).rpartition(".")[2].rpartition(":")[2]
    spoken = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", last).lower()
    assert set(term.lower().replace("-", "").split()) & set(spoken.split())


@pytest.mark.parametrize("term", [term for term, *_ in TERMS])
def test_a_term_is_used_in_the_documents(term: str) -> None:
    pages = [path for path in (ROOT / "docs").glob("*.md") if path.name != "glossary.md"]
    text = " ".join(path.read_text(encoding="utf-8") for path in [*pages, ROOT / "README.md"])
    assert re.search(rf"(?i)\b{term.removesuffix('y')}", text)


def test_no_text_of_ours_has_a_word_that_the_glossary_retired() -> None:
    files = [path for folder in ("agentkit", "memory", "playbooks", "cli") for path in (ROOT / folder).rglob("*.py")]
    texts = {path: strings(path) for path in files}
    texts |= {path: path.read_text(encoding="utf-8") for path in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]}
    texts.pop(ROOT / "docs" / "glossary.md")
    wrong = [
        f"{path.relative_to(ROOT)}: {word}"
        for path, text in texts.items()
        for word in RETIRED
        if re.search(rf"(?i)\b{word}\b", text)
    ]
    assert wrong == []


def strings(path: Path) -> str:
    """All texts of a module: docstrings and messages, not names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return "\n".join(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
