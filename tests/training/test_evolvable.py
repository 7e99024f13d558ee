"""Adapters as changes: one is tried at a time, each replaces the last, and only the last can be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentkit.adapters import Adapter, AdapterStore
from agentkit.errors import Conflict, UserError
from agentkit.ledger import Change, Verdict
from agentkit.protocols import Block, Recaller
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.training.evolvable import AdapterEvolvable

YES = Verdict(decision="accept", reason="better")


@pytest.fixture
def evolvable(store: Store, tmp_path: Path) -> AdapterEvolvable:
    return AdapterEvolvable(AdapterStore(store, "a", folder=tmp_path / "adapters"))


def proposed(evolvable: AdapterEvolvable, name: str) -> Change:
    """An adapter whose file holds its name."""
    adapters = evolvable.adapters
    file = adapters.folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(name, encoding="utf-8")
    adapter = Adapter(
        sha256=adapters.keep(file),
        base="b" * 64,
        model="local/x",
        recipe="own",
        training=name,
        examples=("e",),
        settings={},
    )
    return adapters.propose(adapter)


async def given(recaller: Recaller) -> str | None:
    """The content of the adapter's file that a run would answer with; None for the bare model."""
    block = await recaller.recall(Task(id="t", input="t"), run_id="r")
    return None if block is None else content(block)


def content(block: Block) -> str:
    assert block.adapter is not None and block.text == ""
    return Path(block.adapter).read_text(encoding="utf-8")


async def test_a_candidate_is_given_to_runs_before_it_is_a_version(evolvable: AdapterEvolvable) -> None:
    first, second = proposed(evolvable, "first"), proposed(evolvable, "second")
    assert evolvable.apply(first, YES).version == evolvable.version() == 1
    assert await given(evolvable.at(0)) is None
    assert await given(evolvable.at(1)) == "first"
    assert await given(evolvable.with_changes([second])) == "second"
    assert evolvable.version() == 1
    for wrong in ([], [first, second]):
        with pytest.raises(Conflict, match="tried one at a time"):
            evolvable.with_changes(wrong)


async def test_only_the_adapter_in_force_can_be_taken_back(evolvable: AdapterEvolvable) -> None:
    first, second = (evolvable.apply(proposed(evolvable, name), YES) for name in ("first", "second"))
    assert await given(evolvable.without(second)) == "first"
    with pytest.raises(Conflict, match=f"a later version has replaced {first.id}"):
        evolvable.without(first)
    assert evolvable.withdraw(second, reason="worse").version == 3
    ledger = evolvable.adapters.ledger
    assert (ledger.get(second.id).status, ledger.get(first.id).status) == ("withdrawn", "applied")
    assert await given(evolvable.at(3)) == "first"
    back = evolvable.rollback(0, key="bare", reason="a test")
    assert await given(evolvable.with_changes([back])) is None


def test_a_replaced_adapter_is_withdrawn_without_a_change(evolvable: AdapterEvolvable) -> None:
    first = evolvable.apply(proposed(evolvable, "first"), YES)
    evolvable.apply(proposed(evolvable, "second"), YES)
    evolvable.withdraw(first, reason="late")
    assert evolvable.version() == 2
    assert evolvable.adapters.ledger.get(first.id).status == "withdrawn"


def test_an_adapter_whose_file_is_gone_is_not_put_in_force(evolvable: AdapterEvolvable) -> None:
    change = proposed(evolvable, "first")
    for file in (evolvable.adapters.folder / "files").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="is gone; train it again"):
        evolvable.apply(change, YES)
    assert evolvable.version() == 0
