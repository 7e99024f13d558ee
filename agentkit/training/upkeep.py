"""Maintaining trained adapters: compare two versions, merge two adapters, forget a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.adapters import Adapter, AdapterStore, hash_of, of_change
from agentkit.aio import run_sync
from agentkit.errors import UserError
from agentkit.json_types import JsonObject, digest
from agentkit.ledger import Change, Verdict
from agentkit.models.lora_files import read_adapter, write_adapter
from agentkit.store.run_log import RunLog
from agentkit.training.examples import Example, read_examples, write_examples
from agentkit.training.lora import LEAST, LoraSettings
from agentkit.training.making import Maker, OnTraining, delete_training, make_folder, silent

if TYPE_CHECKING:
    from agentkit.agent import Agent

MERGED = "merge of"
"""The start of the recipe of a merged adapter."""


def compare(adapters: AdapterStore, one: int, other: int) -> JsonObject:
    """How two versions of an adapter differ: in their examples and settings.

    Raises:
        UserError: there is no such version.
    """
    before, after = adapters.at(one), adapters.at(other)
    old, new = ({} if item is None else _plain(item) for item in (before, after))
    changed = {name: [old.get(name), new.get(name)] for name in sorted(old.keys() | new.keys())}
    mine, theirs = (() if item is None else item.examples for item in (before, after))
    known = {example.hash: example for item in (before, after) if item for example in known_examples(adapters, item)}
    removed, added = ([name for name in a if name not in set(b)] for a, b in ((mine, theirs), (theirs, mine)))
    return {
        "adapter": adapters.name,
        "versions": [one, other],
        "changed": {name: pair for name, pair in changed.items() if pair[0] != pair[1]},
        "shared": len(set(mine) & set(theirs)),
        "removed": [_shown(name, known) for name in removed],
        "added": [_shown(name, known) for name in added],
    }


def _plain(adapter: Adapter) -> JsonObject:
    told = {name: getattr(adapter, name) for name in ("sha256", "base", "model", "recipe", "training")}
    return {**told, "examples": len(adapter.examples), **adapter.settings}


def known_examples(adapters: AdapterStore, adapter: Adapter) -> list[Example]:
    """The examples that an adapter was trained on; none if their file is gone."""
    path = examples_of(adapters, adapter)
    return read_examples(path) if path.is_file() else []


def _shown(name: str, known: Mapping[str, Example]) -> JsonObject:
    """An example as shown to people; only its hash if the example itself is gone."""
    found = known.get(name)
    if found is None:
        return {"hash": name}
    told = {field: getattr(found, field) for field in ("answer", "rejected", "run_id", "source", "trust")}
    return {"hash": name, "asked": found.chat[-1][1], **told}


def examples_of(adapters: AdapterStore, adapter: Adapter) -> Path:
    """The file with the examples that an adapter was trained on."""
    return adapters.folder / adapters.name / adapter.training / "examples.jsonl"


def waiting_of(adapters: AdapterStore) -> Path:
    """The file in which an evolution keeps examples until there are enough to train on."""
    return adapters.folder / adapters.name / "waiting.jsonl"


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """The outcome of `forget`.

    Attributes:
        examples: the number that came from the source, in the version that was in force.
        left: the number that the new version was trained on; 0 if too few were left, and the bare model is in force.
        versions: earlier versions that had learned from the source and whose files were deleted.
        version: the version in force now.
    """

    source: str
    examples: int
    left: int
    versions: tuple[int, ...]
    version: int

    def to_json(self) -> JsonObject:
        return asdict(self) | {"versions": list(self.versions)}


def forget(agent: Agent, name: str, source: str, *, on_event: OnTraining = silent) -> Forgotten:
    """Retrain an adapter without the examples from a source, put that in force, and delete what learned from it.

    More training does not undo training, so the bare model is trained again on the recorded examples that remain. If
    too few remain, the bare model is put in force.

    Args:
        agent: an agent with the model that the adapter was trained for.
        source: a run, a task, a person who gave feedback, or a channel of feedback (label, check, user).

    Raises:
        UserError: nothing came from the source, the examples are gone, the agent has another model, or the adapter is
            a merged one.
    """
    adapters = AdapterStore.open(agent.store, name, settings=agent.settings)
    current = _in_force(adapters, ", which has learned nothing")
    if current.recipe.startswith(MERGED):
        raise UserError(f"{adapters.target} is a {current.recipe}: make those forget it, then merge them again")
    maker = Maker(agent, adapters, LoraSettings(**current.settings), on_event)
    if hash_of(maker.base) != current.base:
        raise UserError(f"{adapters.target} was trained on {current.model}, not on {agent.model_name}")
    path = examples_of(adapters, current)
    if not path.is_file():
        raise UserError(f"{adapters.target}: {path} is gone, so what it was trained on is no longer known")
    examples, log = read_examples(path), RunLog(agent.store)
    gone = {example.hash for example in examples if _is_from(example, source, log)}
    if not gone:
        raise UserError(f"{adapters.target} learned nothing from {source!r}; see  agentkit adapter diff {name} 0")
    left = [example for example in examples if example.hash not in gone]
    if (waiting := waiting_of(adapters)).is_file():
        write_examples([item for item in read_examples(waiting) if not _is_from(item, source, log)], waiting)
    _replace(adapters, maker, left, current.recipe, reason=f"forgets {len(gone)} examples from {source}")
    return Forgotten(
        source=source,
        examples=len(gone),
        left=len(left) if len(left) >= LEAST else 0,
        versions=_delete(adapters, gone),
        version=adapters.version(),
    )


def _in_force(adapters: AdapterStore, lack: str) -> Adapter:
    """The adapter in force; if that is version 0, the bare model, raise UserError, whose message ends with `lack`."""
    adapter = adapters.at(adapters.version())
    if adapter is None:
        raise UserError(f"{adapters.target} is at version 0{lack}")
    return adapter


def _is_from(example: Example, source: str, log: RunLog) -> bool:
    if source in (example.run_id, example.source, example.by):
        return True
    try:
        return log.get(example.run_id).task.id == source
    except UserError:  # the run was pruned
        return False


def _replace(adapters: AdapterStore, maker: Maker, left: Sequence[Example], recipe: str, *, reason: str) -> None:
    """Put in force an adapter trained on the remaining examples, or the bare model if they are too few."""
    if len(left) < LEAST:
        adapters.rollback(0, reason=f"{reason}; {len(left)} are too few to train on")
        return
    change, _ = run_sync(maker.make(left, recipe=recipe))
    if change.status == "proposed":
        adapters.apply(change, Verdict(decision="accept", reason=reason))
    elif change.version is not None:
        adapters.rollback(change.version, reason=reason)


def _delete(adapters: AdapterStore, gone: set[str]) -> tuple[int, ...]:
    """Delete the files of all versions and candidates that learned from these examples; return the versions."""
    versions = []
    for change in adapters.ledger.history(adapters.target):
        adapter = of_change(change)
        if adapter is not None and gone & set(adapter.examples):
            delete_training(adapters, adapter)
            versions += [] if change.version is None else [change.version]
    return tuple(sorted(versions))


def merge(
    one: AdapterStore, other: AdapterStore, into: AdapterStore, *, weights: tuple[float, float] = (1.0, 1.0)
) -> Change:
    """The weighted sum of two adapters of one model, proposed as a candidate of a third.

    The sum is exact: the matrices of both are concatenated, so its rank is the sum of their ranks.

    Raises:
        UserError: they were trained on different models, or one of them is at version 0.
    """
    parts = [(store, _in_force(store, ": there is nothing to merge")) for store in (one, other)]
    (_, first), (_, second) = parts
    if first.base != second.base:
        raise UserError(f"{one.target} was trained on {first.model}, and {other.target} on another model")
    told = " and ".join(
        f"{store.name}@{store.version()} × {weight:g}" for (store, _), weight in zip(parts, weights, strict=True)
    )
    training = digest([first.sha256, second.sha256, list(weights)])[:16]
    folder = into.folder / into.name / training
    make_folder(folder)
    add_up([store.path(adapter) for store, adapter in parts], weights, folder / "adapter.gguf")
    examples = {example.hash: example for store, adapter in parts for example in known_examples(store, adapter)}
    write_examples(list(examples.values()), folder / "examples.jsonl")
    merged = Adapter(
        sha256=into.keep(folder / "adapter.gguf"),
        base=first.base,
        model=first.model,
        recipe=f"{MERGED} {told}",
        training=training,
        examples=tuple(dict.fromkeys([*first.examples, *second.examples])),
        settings={"merged": [first.sha256, second.sha256], "weights": list(weights)},
    )
    change = into.propose(merged)
    if change.status != "proposed":
        return change
    reason = "a candidate: measure what it is worth, then  agentkit changes decide CHANGE --accept"
    return into.ledger.decide(change.id, Verdict(decision="quarantine", reason=reason))


def add_up(files: Sequence[Path], weights: Sequence[float], out: Path) -> None:
    """Write the weighted sum of adapter files; an adapter without some matrix adds nothing to it."""
    import numpy as np

    read = [read_adapter(file) for file in files]
    halves: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for item, weight in zip(read, weights, strict=True):
        for name, (down, up) in item.matrices.items():
            halves.setdefault(name, []).append((down, up * (weight * item.alpha / down.shape[0])))
    ranks = {name: sum(down.shape[0] for down, _ in parts) for name, parts in halves.items()}
    largest = max(ranks.values())
    summed = {}
    for name, parts in halves.items():
        down = np.concatenate([down for down, _ in parts], axis=0)
        # llama.cpp multiplies by alpha / rank of the matrix itself
        up = np.concatenate([up for _, up in parts], axis=1) * (ranks[name] / largest)
        summed[name] = (down.astype(np.float32), np.ascontiguousarray(up, dtype=np.float32))
    write_adapter(out, read[0].kind, float(largest), summed)
