"""A database as people come to have one: real commands, with a model behind them that follows rules.

An order desk that has to learn its house's rules for prices, and papers about drugs. The model is a server on loopback
that speaks OpenAI's API: it knows a rule only where its prompt holds it.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

from agentkit.cli.main import main
from tests.curation.papers import judge, read
from tests.server.provider import provider

RULES = {
    "chairs": "From ten chairs on the customer gets 10 % off: multiply the total by 0.9.",
    "crates": "Freight has a handling fee: add 25 to the price of the crates.",
    "lamps": "Prices of lamps are net: multiply the total by 1.2 for the tax.",
}
QUESTIONS = {
    "chairs": "Order {id}: {n} chairs at {price} each. What is the total?",
    "crates": "Freight for {n} crates to {town} at {price} a crate: what do we charge?",
    "lamps": "{n} lamps at {price} net each for {town}. What does the customer pay?",
}
TOWNS = ("Oslo", "Turin", "Ghent", "Porto", "Graz", "Lyon")
USELESS = "Read the order twice before you answer."
DRUGS = ("Lithium", "Naloxone", "Famotidine", "Warfarin", "Clonidine", "Aspirin", "Carbamazepine", "Ranitidine")
HARMS = ("tremor", "bradycardia", "delirium", "bleeding", "rash", "headache", "hypertension", "bruising")
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


def task(number: int) -> dict[str, Any]:
    """A question of the order desk with the right answer."""
    rng = random.Random(number)
    kind = ("chairs", "crates", "lamps")[number % 3]
    n, price = rng.randint(4, 40), rng.randint(5, 90)
    text = QUESTIONS[kind].format(id=1000 + number, n=n, price=price, town=rng.choice(TOWNS))
    target = f"{_total(kind, n, price, knows=True):.2f}"
    metadata = {"category": kind}
    return {"id": f"t{number}", "input": text, "target": target, "checker": "numeric", "metadata": metadata}


def _total(kind: str, n: int, price: int, *, knows: bool) -> float:
    total = float(n * price)
    if not knows:
        return total
    return {"chairs": total * (0.9 if n >= 10 else 1), "crates": total + 25, "lamps": total * 1.2}[kind]


def say(request: dict[str, Any]) -> str | tuple[str, dict[str, Any]]:
    """What the model says: as an explorer, a reflector, a curator, an evaluator, or a reader of papers."""
    texts = [str(message.get("content") or "") for message in request["messages"]]
    whole, tools = "\n".join(texts), {tool["function"]["name"]: tool["function"] for tool in request.get("tools") or ()}
    form = tools.get("answer", {}).get("parameters", {}).get("properties", {})
    if "<paper>" in whole:
        found = read(whole)
    elif "judgements" in form and "basis" not in form:
        found = {name: value for name, value in judge(whole).items() if name in form}
    elif "verdict" in form:
        found = {"reason": "The number follows from the tool's result.", "verdict": "accept", "confidence": 0.8}
    elif "lessons" in form or "operations" in form:
        found = _lessons(whole, form)
    else:
        return _solve(request, texts, tools, form)
    return ("answer", found) if form else json.dumps(found)


def _solve(
    request: dict[str, Any], texts: list[str], tools: dict[str, Any], form: dict[str, Any]
) -> str | tuple[str, dict[str, Any]]:
    last = next(text for text in reversed(texts) if re.search(r"\d+ (?:chairs|crates|lamps)", text))
    found = re.findall(r"(\d+) (chairs|crates|lamps).*? at (\d+)", last)[-1]
    n, kind, price = int(found[0]), found[1], int(found[2])
    knows = RULES[kind] in "\n".join(texts) or "\n".join(texts).count(f" {kind} ") > 2
    slips = zlib.crc32(last.encode()) % 10 == 0
    total = _total(kind, n, price, knows=knows) + 10 * slips
    if "calculator" in tools and not any(message["role"] == "tool" for message in request["messages"]):
        more = {"chairs": " * 0.9" if n >= 10 else "", "crates": " + 25", "lamps": " * 1.2"}[kind] if knows else ""
        return "calculator", {"expression": f"{n} * {price}{more}{' + 10' if slips else ''}"}
    if form:
        return "answer", {"reasoning": "the tool's result", "answer": f"{total:.2f}", "used": []} | {
            name: "" for name in form if name not in ("reasoning", "answer", "used")
        }
    return f"{total:.2f}"


def _lessons(whole: str, form: dict[str, Any]) -> dict[str, Any]:
    """Lessons for the kinds that went wrong and have none yet; now and then one that is good for nothing."""
    shown = whole.split("</playbook>")[-1]
    kinds = [kind for kind in RULES if f" {kind} " in shown and RULES[kind] not in whole]
    texts = [RULES[kind] for kind in kinds[:1]] or [USELESS]
    if "operations" in form:
        new = re.findall(r"<lesson>\n(.*)", whole) or texts
        return {"reasoning": "", "operations": [{"op": "add", "texts": new, "ids": []}]}
    if "basis" in form:
        lessons: list[dict[str, Any]] = [{"content": text, "scope": "", "section": "formulas"} for text in texts]
        about = {"error": "the total was wrong", "cause": "a rule of the house", "approach": "follow it"}
        return {**about, "lessons": lessons, "judgements": [], "basis": "record"}
    cause = "a rule of the house was not known"
    return {"lessons": [{"cause": cause, "scope": kinds[0] if kinds else "", "content": text} for text in texts]}


def tokens(seen: list[str], request: dict[str, Any]) -> dict[str, Any]:
    """The tokens of a request; in the cache are those that it begins with like an earlier one."""
    text = json.dumps([message.get("content") for message in request["messages"]])
    cached = max((_alike(text, other) for other in seen[-40:]), default=0)
    seen.append(text)
    size = len(text) // 4
    details = {"cached_tokens": cached // 4}
    return {"prompt_tokens": size, "completion_tokens": 12, "total_tokens": size + 12, "prompt_tokens_details": details}


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)


class Desk:
    """Runs commands in this process, in a folder of their own, before the model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *args: object) -> str:
        """What a command prints; a failing one is an error."""
        out, err = io.StringIO(), io.StringIO()
        with mock.patch.object(sys, "argv", ["agentkit", *map(str, args)]), redirect_stdout(out), redirect_stderr(err):
            try:
                main()
            except SystemExit as ended:
                if ended.code:
                    raise AssertionError(f"{args}: {err.getvalue()}") from ended
        return out.getvalue()

    def tasks(self, name: str, first: int, count: int) -> Path:
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(task(number)) + "\n" for number in range(first, first + count)))
        return path


@contextmanager
def order_desk(folder: Path) -> Iterator[Desk]:
    """The desk, with its model."""
    seen: list[str] = []
    home = {"HOME": str(folder), "AGENTKIT_HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder)}
    names = {"AGENTKIT_EMBEDDER": "hash-256", "AGENTKIT_MODEL": "openai/clerk"}
    with provider(say) as model, mock.patch.dict(os.environ, {**home, **names, **model.environment}):
        model.usage = lambda request: tokens(seen, request)
        yield Desk(folder)


def live_a_little(desk: Desk) -> None:
    """What a few days leave behind: runs, feedback, lessons on trial, an evolution, a stream, and papers read."""
    parts = ("--playbook", "orders", "--memory", "orders")
    held_out = ("--val", desk.tasks("val", 200, 60), "--test", desk.tasks("test", 300, 18))
    desk("evolve", desk.tasks("train", 20, 24), *held_out, "--playbook", "orders", "--batch", 6, "--gate", "strict")
    for number in (3, 4, 5, 6):
        done = json.loads(desk("run", task(number)["input"], "--tools", "calculator", "--evaluator", *parts, "--json"))
        right = abs(float(done["answer"]) - float(task(number)["target"])) < 0.01
        desk("feedback", done["run_id"], "--by", "ada", *(["--up"] if right else ["--answer", task(number)["target"]]))
    online = ("--block", 15, "--no-evaluate", "--rounds", 1, "--probes", desk.tasks("probes", 600, 6))
    desk("eval", "stream", desk.tasks("stream", 400, 45), *parts, *online)
    arms = ("--arms", "stateless,random,ours", "--holdout", desk.tasks("kept", 800, 9))
    desk("eval", "stream", desk.tasks("arms", 700, 42), *arms)
    papers = desk.folder / "papers"
    papers.mkdir(exist_ok=True)
    for number in range(24):
        (papers / f"report-{number:02}.txt").write_text(paper(number))
    (desk.folder / "safety.yaml").write_text(ONTOLOGY)
    desk("curate", papers, "--ontology", desk.folder / "safety.yaml", "--kb", "safety")


def paper(number: int) -> str:
    """A short report on one drug and one harm."""
    rng = random.Random(number)
    drug, harm = DRUGS[number % 8], HARMS[(number + number // 8) % 8]
    verb = "may have caused" if number % 5 == 4 else "caused"
    return (
        f"{drug} and {harm}: report {number}\n\nBACKGROUND. {drug} is widely used, and its harms in old age are seldom "
        f"counted. We followed {40 + number} patients for {rng.randint(4, 20)} weeks.\n\n"
        f"METHODS. {drug} was given at {rng.randint(2, 20) * 5} mg daily. Nurses wrote down each complaint.\n\n"
        f"RESULTS. {drug} {verb} {harm} in elderly subjects. It began after {rng.randint(2, 9)} days and ended when "
        f"the drug was stopped.\n\nDISCUSSION. Smaller doses may be safer; this was not tested."
    )
