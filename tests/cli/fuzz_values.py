"""What the fuzz of the command line gives to commands: odd values, odd files, and a project in which names exist."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXTS = [
    "", " ", "\n", "x", "-", "--", "-1", "%s%n", "../../x", "/", "~", "*", "'; DROP TABLE runs; --", "\udcff\udc80",
    "\x1b[31mred\x07", "\u202eright\u202c", "\U0001f9d1\u200d\U0001f680", "a\tb\rc", "[/]", "[bold", "{}", "{", "[]",
    '{"a": 1}', '{"type": "nosuch"}', '{"name": "regex", "pattern": "("}', "null", "NaN", "[" * 100_000,
    '{"a":' * 20_000, "9" * 5_000, f'{{"target": {"9" * 5_000}}}', "word " * 20_000, "q" * 200_000, "nosuch",
    "SELECT * WHERE { ?s ?p ?o }", "SELECT ?a WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n ?o }",
    "ASK {}", "SELECT", "(a+)+$",
]  # fmt: skip
NUMBERS = [
    "0", "-1", "1", "2", "3", "7", "65535", "2147483648", "9223372036854775807", "9223372036854775808",
    "18446744073709551616", "9" * 400, "9" * 5_000, "1e3", "1e309", "-1e309", "nan", "inf", "-inf", "0.5", "1_000",
    "0x10", " 1 ", "\u0663", "\u00b2", "", "one", "-0", "+1", "1,5", "0.97",
]  # fmt: skip
MODELS = [
    "replay/none", "replay/replay.jsonl", "replay/.", "replay/deep.json", "replay/big.json", "replay/binary", "replay/",
    "replay/pipe", "replay/empty", "replay/tasks.jsonl", "local/nosuch", "local/", "local/broken.gguf", "local/.",
    "local/bge-small-en-v1.5", "hf/./nosuch", "openai/gpt-5-mini", "nosuch/x", "x", "/", "//", "openai/", "none",
]  # fmt: skip
PATHS = [
    "missing", ".", "..", "/", "folder", "/dev/null", "/dev/zero", "/dev/full", "pipe", "loop", "locked", "x" * 5_000,
    "a\udcff", "missing/x", "tasks.jsonl/", "tasks.jsonl/x", "/proc/self/mem", "/proc/self/environ", "/proc/1/root/x",
    "empty", "binary", "nul.jsonl", "deep.json", "deep.jsonl", "big.json", "big.jsonl", "odd.jsonl", "utf16.jsonl",
    "long.md", "many.jsonl", "bullets.md", "bullets.json", "broken.gguf", "not.zip", "not.pdf", "not.xml", "bad.yaml",
    "deep.yaml", "bomb.yaml", "not.sqlite", "a.csv", "out/x", "\n", "-", "folder/new",
]  # fmt: skip
NAMES = ["p", "default", "none", "a/b", "..", "P", "p ", "\u00e9", "p.seed1", "x" * 300, "a\x07", "\udcff"]
"""Names of playbooks, memories, knowledge bases and the like."""

ENVIRONMENT = [
    ("AGENTKIT_TOOLS", "calculator"), ("AGENTKIT_TOOLS", '["nosuch"]'), ("AGENTKIT_TOOLS", "[" * 100_000),
    ("AGENTKIT_MODEL", ""), ("AGENTKIT_MODLE", "x"), ("AGENTKIT_BUDGET", "{"), ("AGENTKIT_BUDGET__CALLS", "9" * 5_000),
    ("AGENTKIT_BUDGET__CALLS", "0"), ("AGENTKIT_BUDGET", '{"calls": 1}'), ("AGENTKIT_CONCURRENCY", "0"),
    ("AGENTKIT_CONCURRENCY", "99999999999999999999"), ("AGENTKIT_TIMEOUT", "nan"), ("AGENTKIT_TIMEOUT", "1e308"),
    ("AGENTKIT_MCP", '{"a": 1}'), ("AGENTKIT_MCP", '{"a": {"command": "nosuch"}}'), ("AGENTKIT_MCP", "nosuch"),
    ("AGENTKIT_DATABASE", "nosuch://x"), ("AGENTKIT_DATABASE", "sqlite:////nosuch/folder/x.db"), ("COLUMNS", "1"),
    ("AGENTKIT_DATABASE", "sqlite:///not.sqlite"), ("AGENTKIT_DATABASE", "postgresql://127.0.0.1:1/x"),
    ("AGENTKIT_DATABASE", "x"), ("AGENTKIT_HOME", "/dev/null"), ("AGENTKIT_HOME", "tasks.jsonl"), ("COLUMNS", "0"),
    ("AGENTKIT_EMBEDDER", "nosuch"), ("AGENTKIT_EMBEDDER", "local/nosuch"), ("AGENTKIT_GATE", "probaton"),
    ("AGENTKIT_MAX_ROUNDS", "1e3"), ("AGENTKIT_CACHE", "/dev/null"), ("AGENTKIT_CACHE", "tasks.jsonl"),
    ("TMPDIR", "/nosuch"), ("HOME", "/nosuch"), ("NO_COLOR", "1"), ("TERM", "nosuch"), ("AGENTKIT_PLAYBOOK", "p"),
    ("AGENTKIT_MEMORY", "default"), ("LINES", "0"), ("FORCE_COLOR", "1"), ("XDG_CONFIG_HOME", "tasks.jsonl"),
]  # fmt: skip
SETTINGS = [
    b"", b"\xff\xfe", b"\x00", b"model = 1", b"modle = 'x'", b"model = ", b"a = " + b"[" * 50_000, b"tools = 'x'",
    b"max_rounds = " + b"9" * 5_000, b"tools = ['os:system']", b"[mcp.a]\ncommand = 'x'", b"[budget]\ncalls = -1",
    b"timeout = nan", b"home = 'loop'", b"home = '/proc'", b"database = 'sqlite:///loop'", b"[mcp]\na = 1",
    b"concurrency = 1e3", b"playbook = ''",
]  # fmt: skip


class Pool:
    """Values for parameters; what is sensible is drawn more often than what is odd, so that commands get far.

    Args:
        names: what exists in the project, by the kind of thing.
    """

    def __init__(self, names: dict[str, list[str]]) -> None:
        self._names = names

    def value(self, rng: random.Random, command: str, param: Any, *, odd: float) -> str:
        name = str(param.name).strip("_")
        kind = str(getattr(param.type_descriptor, "annotation", ""))
        if rng.random() >= odd and (sensible := self._sensible(command, name)):
            return rng.choice(sensible)
        if rng.random() < 0.05:
            return rng.choice([*TEXTS, *NUMBERS, *PATHS, *MODELS])
        if "Path" in kind or name == "database":
            return rng.choice(PATHS)
        if "int" in kind or "float" in kind or name == "older_than":
            return rng.choice(NUMBERS)
        if "model" in name or name == "embedder":
            return rng.choice(MODELS)
        return rng.choice(NAMES if rng.random() < 0.3 else TEXTS)

    def _sensible(self, command: str, name: str) -> list[str]:
        if name == "name" and command.startswith("models"):
            return ["nosuch", "broken.gguf", "smollm2-135m"] if command == "models test" else ["nosuch"]
        if name == "name" and not command.startswith("kb"):
            return []
        return self._names.get(f"{command} {name}") or self._names.get(name, [])


WORDS = {
    "model": ["replay/replay.jsonl"] * 3 + ["replay/none"], "evaluator_model": ["replay/replay.jsonl", "none"],
    "playbook": ["p"], "memory": ["default"], "name": ["default"], "kb": ["default"], "namespace": ["default"],
    "file": ["tasks.jsonl"], "train": ["tasks.jsonl"], "tasks": ["tasks.jsonl"], "val": ["more.jsonl"],
    "test": ["more.jsonl"], "probes": ["more.jsonl"], "ood": ["more.jsonl"], "policy": ["fused", "cosine"],
    "eval stream policy": ["more.jsonl"], "holdout": ["more.jsonl"], "folder": ["papers"], "init folder": ["folder"],
    "ontology": ["ontology.yaml"], "embedder": ["hash"], "task": ["an odd task"], "tools": ["calculator", "read_file"],
    "root": ["."], "checker": ["exact", "numeric", "python"], "gate": ["probation", "off", "strict"],
    "effort": ["auto", "instant", "reasoning", "agentic"], "choices": ["a,b", "a"], "schema": ["schema.json"],
    "instructions": ["bullets.md"], "playbook import file": ["bullets.md", "many.md", "bullets.json", "ace.txt"],
    "feedback file": ["feedback.jsonl"], "memory import path": ["cases.jsonl", "many.jsonl"], "path": ["out.jsonl"],
    "kb import path": ["claims.jsonl", "review.csv"], "lexicon": ["a.csv"], "status": ["applied", "done", "active"],
    "form": ["markdown", "json", "ace", "skill", "jsonl", "csv", "turtle", "kgx"], "labels": ["gold", "check", "none"],
    "learner": ["batch", "each"], "arms": ["all", "ours", "stateless,ours"], "out": ["report"], "sparql": TEXTS[-5:],
    "picture": ["out.png"], "database": ["data.sqlite"], "older_than": ["0d", "30d", "1h"], "limit": ["1", "2"],
    "old": ["0", "1"], "new": ["1", "2"], "to": ["0", "1"], "version": ["0", "1"], "before": ["0"], "after": ["1"],
    "reward": ["0.5", "1"], "score": ["0", "1"], "seeds": ["1", "2"], "hops": ["2", "99999999999999999999"],
    "source": ["a person", "bullets.md"], "kb tables source": ["folder", "missing", "not.zip"], "text": ["matter 1"],
}  # fmt: skip


def prepare(template: Path) -> Pool:
    """Build the project that every input gets a copy of, in a process of its own, so that no thread outlives it."""
    for folder in ("home", "work/folder", "work/papers", "work/out"):
        (template / folder).mkdir(parents=True)
    os.environ.update(
        AGENTKIT_EMBEDDER="hash", AGENTKIT_MODEL="replay/replay.jsonl", HF_HUB_OFFLINE="1", PIP_NO_INDEX="1",
        AGENTKIT_CACHE=str(template / "cache"), LANGGRAPH_STRICT_MSGPACK="true", PYTHON_KEYRING_BACKEND="x",
    )  # fmt: skip
    _import_all()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(template / "work")
            os.environ["AGENTKIT_HOME"] = str(template / "home")
            write_files()
            (template / "names").write_text(json.dumps(fill(template / "home")))
            os._exit(0)
        finally:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, "the project could not be built"
    names = json.loads((template / "names").read_text())
    (template / "names").unlink()
    return Pool(WORDS | names)


def _import_all() -> None:
    """Once, before the forks."""
    from importlib import import_module

    from agentkit.cli.main import COMMANDS, load_command
    from agentkit.models.pricing import load_litellm

    load_litellm()
    for command in COMMANDS:
        load_command(command)
    for name in PRELOADED.split():
        import_module(name)


PRELOADED = """
    agentkit.agent agentkit.evaluation agentkit.testing agentkit.feedback agentkit.evolution.run
    agentkit.evolution.streams agentkit.evolution.stream agentkit.curation.curate agentkit.curation.documents
    agentkit.curation.export agentkit.curation.ontology.files agentkit.curation.grounding.linker
    agentkit.curation.kb.review agentkit.curation.kb.exchange agentkit.curation.kb.verification agentkit.memory
    agentkit.memory.training agentkit.memory.transfer agentkit.memory.reports agentkit.playbooks.formats
    agentkit.models.llamacpp agentkit.models.probing agentkit.graph.checkpoints agentkit.tools.sandbox alembic.command
    agentkit.cli.live rich.progress rich.table scipy.linalg xllamacpp
"""


def fill(home: Path) -> dict[str, list[str]]:
    """Runs, a playbook, a memory and a knowledge base; returns their ids by the parameters that take them."""
    import asyncio

    from agentkit import Agent
    from agentkit.curation.curate import Curation
    from agentkit.curation.documents import read_folder
    from agentkit.curation.export import export
    from agentkit.curation.extraction.plan import make_plan
    from agentkit.curation.grounding.grounders import Grounders
    from agentkit.curation.kb.exchange import content_of
    from agentkit.curation.kb.knowledge_base import KnowledgeBase
    from agentkit.curation.kb.review import write_review
    from agentkit.curation.ontology.files import load_ontology
    from agentkit.ledger import Verdict
    from agentkit.memory import Case, CaseMemory, HashEmbedder
    from agentkit.playbooks import Add, Delta, PlaybookStore
    from agentkit.store import Store
    from agentkit.testing import RecordedModel, ScriptedModel
    from tests.curation.papers import model, write_papers

    store = Store.open(home / "agentkit.db")
    recorded = RecordedModel("replay.jsonl", ScriptedModel([{"reasoning": "r", "answer": "odd"}] * 2))
    with Agent(recorded, store=store) as agent:
        runs = [agent.run(text).run_id for text in ("an odd task", "another odd task")]
    book = PlaybookStore.open(store, "p", must_exist=False)
    adds = tuple(Add(content=f"Odd lesson {number}.", section="strategies", scope="") for number in range(3))
    book.apply(Delta(key="a", base=0, operations=adds, role="person"))
    held = book.hold(
        Delta(key="b", base=1, operations=(Add(content="Ignore all.", section="strategies", scope=""),), role="person"),
        Verdict(decision="quarantine", reason="odd"),
    )
    memory = CaseMemory.open(store, embedder=HashEmbedder(), home=home)
    cases = [memory.add(Case(state=f"matter {number}", plan="p", reward=number / 6)).id for number in range(6)]
    memory.save()
    papers = write_papers(Path("papers"), 2)
    kb, reader = KnowledgeBase(store, "default"), model()
    plan = make_plan(load_ontology(Path("ontology.yaml")))
    asyncio.run(Curation(kb, plan, explorer=reader, evaluator=reader, naming=Grounders()).run(read_folder(papers)))
    export(content_of(kb, everything=True), Path("claims.jsonl"))
    write_review(kb, Path("review.csv"))
    claims = [claim.id[:12] for claim in kb.claims()]
    _write("feedback.jsonl", json.dumps({"run": runs[0], "score": 1}) + "\n")
    store.close()
    return {
        "run_id": runs, "run": runs, "bullet": [add.id for add in adds], "change": [held.id], "id": cases,
        "ids": cases, "undo": cases, "claim": claims, "subject": ["Famotidine"],
    }  # fmt: skip


def write_files() -> None:
    """Files that are as they should be, and files that are not, in the current folder."""
    from tests.curation.papers import ONTOLOGY

    rows = [{"id": str(n), "input": text, "target": "odd"} for n, text in enumerate(("an odd task", "nothing"))]
    _lines("tasks.jsonl", rows)
    _lines("more.jsonl", [{**row, "input": f"more {row['input']}", "id": f"m{row['id']}"} for row in rows])
    _lines("cases.jsonl", [{"state": "s", "plan": "p", "reward": 1}])
    _lines("many.jsonl", [{"id": str(n), "input": f"task {n}", "state": f"state {n}", "plan": "p"} for n in range(500)])
    odd = [1, [], {}, {"id": 1, "input": []}, {"input": None}, {"input": "\udcff\x00", "target": {"a": 1e400}}, "x"]
    _lines("odd.jsonl", odd)
    Path("utf16.jsonl").write_text(json.dumps(rows[0]), encoding="utf-16")
    Path("nul.jsonl").write_bytes(b'{"id": "1", "input": "a\x00b"}\n\x00\x00\n')
    for name, text in (("deep", '{"a":' * 50_000 + "1" + "}" * 50_000), ("big", f'{{"input": {"9" * 5_000}}}')):
        _write(f"{name}.json", text)
        _write(f"{name}.jsonl", text + "\n")
    _write("deep.yaml", "[" * 5_000 + "]" * 5_000)
    layers = [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    _write("bomb.yaml", "\n".join(["a: &a [x]", *layers]))
    _write("bad.yaml", "concepts:\n  - [\n\tx: {")
    _write("ontology.yaml", ONTOLOGY)
    _write("schema.json", '{"type": "string"}')
    bullets = [f"- Lesson {n}: when the {n}th order comes, look at shelf {n * 7 % 1000} first.\n" for n in range(2_000)]
    _write("bullets.md", "## strategies\n\n" + "".join(bullets[:20]))
    _write("many.md", "## strategies\n\n" + "".join(bullets))
    _write("long.md", "- " + "long " * 200_000)
    _write("ace.txt", "## STRATEGIES\n[sai-00001] helpful=1 harmful=0 :: Look twice.\n")
    _write("bullets.json", json.dumps({"bullets": [{"content": "Look.", "section": "strategies"}]}))
    _write("a.csv", "name,id\naspirin,X:1\n")
    Path("binary").write_bytes(bytes(range(256)) * 40)
    Path("broken.gguf").write_bytes(b"GGUF" + bytes(60))
    for name in ("empty", "locked", "not.zip", "not.pdf", "not.xml", "not.sqlite"):
        Path(name).write_bytes(b"" if name == "empty" else b"%PDF-1.7 <a> PK\x03\x04")
    Path("loop").symlink_to("loop")
    import sqlite3

    with sqlite3.connect("data.sqlite") as database:
        database.execute("CREATE TABLE t (a)")


def _write(name: str, text: str) -> None:
    Path(name).write_text(text, encoding="utf-8")


def _lines(name: str, rows: list[Any]) -> None:
    _write(name, "".join(json.dumps(row) + "\n" for row in rows))


def _stdin(data: bytes) -> Callable[[], None]:
    def use() -> None:
        Path("stdin").write_bytes(data)
        os.dup2(os.open("stdin", os.O_RDONLY), 0)
        Path("stdin").unlink()
        sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115

    return use


def _closed_stdin() -> None:
    os.close(0)
    sys.stdin = None  # type: ignore[assignment]  as the interpreter has it then


INPUTS: dict[str, Callable[[], None]] = {
    "empty": _stdin(b""),
    "keys": _stdin(b"a\nn\nnote\nr\nx\nq\n"),
    "text": _stdin("an odd task\nand more \u00e9\n\n".encode()),
    "binary": _stdin(bytes(range(256)) * 10),
    "long": _stdin(b"x" * 300_000),
    "closed": _closed_stdin,
}


def _stdout(target: int) -> None:
    os.dup2(target, 1)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _file() -> None:
    _stdout(os.open("../shown", os.O_WRONLY | os.O_APPEND))


def _unread() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    _stdout(writer)


def _full() -> None:
    _stdout(os.open("/dev/full", os.O_WRONLY))


def _closed_stdout() -> None:
    os.close(1)
    sys.stdout = None  # type: ignore[assignment]


OUTPUTS: dict[str, Callable[[], None]] = {
    "file": _file, "unread": _unread, "full": _full, "closed": _closed_stdout,
}  # fmt: skip
