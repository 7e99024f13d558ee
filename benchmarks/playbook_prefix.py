"""How much of a growing playbook stays in the common prefix of consecutive prompts, compared with ACE's two layouts.

    python -m benchmarks.playbook_prefix [--playbook ACE.txt] [--model local/qwen2.5-coder-0.5b --calls 12]

359 bullets, 2 per delta, and 10 % of the deltas also mark two earlier bullets, as ACE's reflector does. With a model,
the model reads the same growing playbook, and its own count of cached tokens is reported.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentkit.playbooks import Bullet, Renderer
from agentkit.playbooks.bullets import bullet_id
from agentkit.playbooks.formats import read_file
from agentkit.playbooks.rendering import shared_prefix
from agentkit.playbooks.tokens import Counter, estimate
from benchmarks._results import Results, arguments, mean
from tests.support.playbook_world import lesson

SECTIONS = ("strategies", "apis", "code", "mistakes", "heuristics", "verification", "troubleshooting", "others")


@dataclass
class Entry:
    """A bullet with ACE's counters."""

    bullet: Bullet
    helpful: int = 0
    harmful: int = 0


def entries(count: int, path: Path | None) -> list[Entry]:
    """Bullets in the order in which they were learnt: from an ACE file (by its numbers), or generated."""
    rng = random.Random(0)
    rows = (
        read_file(path).bullets[:count] if path else [(rng.choice(SECTIONS), "", lesson(rng, n)) for n in range(count)]
    )
    return [Entry(Bullet(bullet_id(*row), *row, revised=n)) for n, row in enumerate(rows)]


def append_only(known: Sequence[Entry]) -> str:
    return Renderer(budget=10**7).render([entry.bullet for entry in known]).text


def by_section(known: Sequence[Entry]) -> str:
    """ACE's AppWorld layout: sections with bullets, no counters."""
    return _sections(known, lambda number, entry: f"[x-{number:05d}] {entry.bullet.content}")


def with_counters(known: Sequence[Entry]) -> str:
    """ACE's finance layout: counters inside the lines."""
    return _sections(known, lambda n, e: f"[x-{n:05d}] helpful={e.helpful} harmful={e.harmful} :: {e.bullet.content}")


def _sections(known: Sequence[Entry], line: Callable[[int, Entry], str]) -> str:
    text = []
    for section in SECTIONS:
        text.append(f"## {section.upper()}")
        text += [line(n, entry) for n, entry in enumerate(known) if entry.bullet.section == section]
    return "\n".join(text)


LAYOUTS = {
    "append-only (ours)": append_only,
    "by section (ACE, AppWorld)": by_section,
    "by section, counters (ACE, finance)": with_counters,
}


def grow(
    render: Callable[[Sequence[Entry]], str], every: list[Entry], step: int, count: Counter = estimate
) -> list[tuple[float, int]]:
    """Each prompt's share in common with the one before, and its tokens. Counters change as votes come in."""
    rng, shares, before = random.Random(1), [], ""
    for entry in every:
        entry.helpful = entry.harmful = 0
    for size in range(step, len(every) + 1, step):
        for entry in rng.sample(every[:size], min(2, size)):
            entry.helpful += 1
        text = render(every[:size])
        if before:
            shares.append((shared_prefix(before, text, count), count(text)))
        before = text
    return shares


async def measure(model: str, every: list[Entry], calls: int, step: int, start: int) -> list[tuple[str, float, int]]:
    """(layout, cached share, prompt tokens) of each call after the first, by the model's own count."""
    from langchain_core.messages import HumanMessage, SystemMessage

    from agentkit.models import Caller, load_model

    loaded, rows = load_model(model), []
    for name, render in LAYOUTS.items():
        caller = Caller(loaded)
        for call in range(calls):
            rng = random.Random(call)
            known = every[: start + call * step]
            for entry in rng.sample(known, 2):
                entry.helpful += 1
            messages = [SystemMessage(render(known)), HumanMessage(f"Answer with the number {call} alone.")]
            reply = await caller.call(messages, stop=["\n"], scope=f"{name}/{call}", role="explorer")
            if call:
                usage = reply.usage
                rows.append((name, usage.cached_tokens / max(1, usage.input_tokens), usage.input_tokens))
    return rows


def main() -> None:
    parser = arguments("playbook_prefix", __doc__ or "")
    parser.add_argument("--bullets", type=int, default=359)
    parser.add_argument("--step", type=int, default=2, help="bullets a delta")
    parser.add_argument("--playbook", type=Path, help="an ACE file to take the bullets from")
    parser.add_argument("--model", help="also count cached tokens on this model")
    parser.add_argument("--calls", type=int, default=8, help="calls of the model a layout")
    parser.add_argument("--start", type=int, default=16, help="bullets in the first of them")
    args = parser.parse_args()
    results = Results("playbook_prefix", settings=vars(args), label=args.label)
    every = entries(args.bullets, args.playbook)
    for name, render in LAYOUTS.items():
        target = "≥ 0.98" if name.startswith("append") else ""
        grown = grow(render, every, args.step)
        shared, total = sum(share * tokens for share, tokens in grown), sum(tokens for _, tokens in grown)
        metric = "share of all playbook tokens sent that were in the common prefix"
        results.add(arm=name, metric=metric, value=shared / total, n=len(grown), target=target, tokens=total)
        results.add(arm=name, metric="mean over prompts", **mean([share for share, _ in grown]))
    if args.model:
        rows = asyncio.run(measure(args.model, every, args.calls, args.step, args.start))
        for name in LAYOUTS:
            cached = [share for layout, share, _ in rows if layout == name]
            results.add(arm=name, metric=f"cached share of prompt tokens, {args.model}", **mean(cached))
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
