"""`agentkit train` and `agentkit adapter`, from a file of tasks to an exported file, and bad input in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Done, agentkit  # noqa: F401
from tests.training.small import CHOICES, tasks

Command = Callable[..., Done]


def file_of(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(f"{task.model_dump_json()}\n" for task in rows), encoding="utf-8")
    return str(path)


def options(tiny: Path) -> list[str]:
    limits = ("n_ctx=512", "n_threads=1", "max_tokens=24")
    return ["--model", f"local/{tiny}", "--tools", ",", *[part for text in limits for part in ("--model-option", text)]]


def test_from_tasks_to_a_file_and_back(tiny: Path, tmp_path: Path, agentkit: Command) -> None:  # noqa: F811
    train, val = file_of(tmp_path / "train.jsonl", tasks(0, 20)), file_of(tmp_path / "val.jsonl", tasks(100, 24))
    job = ["train", train, "--adapter", "a", "--recipe", "edits", "--val", val, *options(tiny)]
    probes = file_of(tmp_path / "probes.jsonl", tasks(300, 2, target="green"))
    lora = ("--rank", "4", "--rate", "0.01", "--epochs", "6")
    done = agentkit(*job, *lora, "--probes", probes, "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["version"] == 1 and report["rounds"][0]["verdict"]["decision"] == "accept"
    assert "tokens/s" in done.err and "min left" in done.err and "loss" in done.err
    (row,) = json.loads(agentkit("adapter", "ls", "--json").out)
    assert (row["name"], row["version"], row["recipe"]) == ("a", 1, "edits")
    form = ["--choices", ",".join(CHOICES)]
    said = agentkit("run", "say 555", *form, "--adapter", "a", *options(tiny), "--json")
    assert json.loads(said.out)["answer"] == "ok"
    scored = agentkit("eval", val, "--adapter", "a", *options(tiny), "--json")
    assert json.loads(scored.out)["accuracy"] == 1
    shown = json.loads(agentkit("adapter", "show", "a", "--json").out)
    assert len(shown["changes"][0]["adapter"]["examples"]) == 20
    out = tmp_path / "out.gguf"
    assert agentkit("adapter", "export", "a", str(out)).code == 0 and out.stat().st_size > 1000
    again = agentkit("adapter", "export", "a", str(out))
    assert again.code == 2 and again.err.strip().endswith("already exists")
    told = json.loads(agentkit("adapter", "diff", "a", "0", "1", "--json").out)
    assert len(told["added"]) == 20 and told["changed"]["rank"] == [None, 4]
    assert "say 0" in agentkit("adapter", "diff", "a", "0", "1").out
    merged = agentkit("adapter", "merge", "a", "a", "--into", "b", "--weights", "1,-1", "--json")
    assert json.loads(merged.out)["status"] == "quarantined"
    gone = agentkit("adapter", "forget", "a", "--source", "label", "--json")
    assert gone.code == 0, gone.err
    assert json.loads(gone.out) == {"source": "label", "examples": 20, "left": 0, "versions": [1], "version": 2}
    assert agentkit("adapter", "show", "b").code == 0, "what was merged from it has a file of its own"
    assert agentkit("adapter", "rollback", "a", "0").code == 0
    said = agentkit("run", "say 555", *form, "--adapter", "a", *options(tiny), "--json")
    assert json.loads(said.out)["answer"] != "ok"


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["adapter", "show", "none"], "there is no adapter 'none'"),
        (["adapter", "rollback", "none", "0"], "there is no adapter 'none'"),
        (["adapter", "diff", "none", "0", "1"], "there is no adapter 'none'"),
        (["adapter", "forget", "none", "--source", "x"], "there is no adapter 'none'"),
        (["adapter", "merge", "none", "more", "--into", "b"], "there is no adapter 'none'"),
        (["adapter", "merge", "none", "more", "--into", "b", "--weights", "1"], "there is no adapter 'none'"),
        (["models", "serve", "{tiny}", "--adapter", "none"], "there is no adapter 'none'"),
        (["models", "serve", "{tiny}", "--adapter", "gone.gguf"], "gone.gguf: no such file"),
        (["train", "--adapter", "a", "--kl", "1"], "name them with  --replay FILE"),
        (["train", "--adapter", "a", "--keep", "3", "--keep-by", "taste"], "there are difficulty, diversity"),
        (["train", "--adapter", "a", "--recipe", "magic"], "there are own, edits, hints, refine, tree, calls"),
        (["train", "--adapter", "a", "--loss", "ppo"], "there are sft, dpo, simpo"),
        (["train", "--adapter", "a", "--control", "sugar"], "there are unfiltered, shuffled, swapped, independent"),
        (
            ["train", "--adapter", "a", "--model", "openai/x", "--api-base", "http://localhost:1"],
            "are for local/ models",
        ),
    ],
)
def test_bad_input_is_one_line(agentkit: Command, tiny: Path, args: list[str], line: str) -> None:  # noqa: F811
    done = agentkit(*(part.format(tiny=tiny) for part in args))
    assert done.code == 2 and line in done.err and len(done.err.strip().splitlines()) == 1
