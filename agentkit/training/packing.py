"""Examples as one row of tokens each batch, in which prompts that begin alike are computed once.

Prompts of one agent share their beginning: instructions, a database's schema, a playbook. A batch is one row that holds
the common beginning first and then what is left of each example; no example sees another, by the attention mask, and
each counts its positions as if it stood alone. Loss and gradient are those of the examples one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Tokens:
    """One answer to a prompt, as tokens; the last of the answer ends the turn."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True, kw_only=True)
class Pack:
    """A batch as one row.

    Attributes:
        ids, positions: of every token.
        mask: which token (second) each (first) may see, as a term added to attention.
        asked: where the next token is asked for, which are those of the answers alone.
        wanted: the tokens of the answers.
        owner: whose answer each of these belongs to.
        count: examples.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    asked: torch.Tensor
    wanted: torch.Tensor
    owner: torch.Tensor
    count: int

    @property
    def width(self) -> int:
        """Tokens that are computed."""
        return int(self.ids.shape[1])


def pack(batch: Sequence[Tokens], *, device: str = "cpu", dtype: torch.dtype | None = None) -> Pack:
    """One row of a batch's examples."""
    import torch

    columns = zip(*(item.prompt for item in batch), strict=False)
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    ids, positions, parts = list(batch[0].prompt[:shared]), list(range(shared)), []
    asked, wanted, owner = list[int](), list[int](), list[int]()
    for number, item in enumerate(batch):
        rest = [*item.prompt[shared:], *item.answer[:-1]]
        begin = len(ids)
        ids += rest
        positions += range(shared, shared + len(rest))
        parts.append((begin, len(ids)))
        first = begin + len(item.prompt) - shared - 1 if len(item.prompt) > shared else shared - 1
        asked += [first, *range(begin + len(item.prompt) - shared, begin + len(rest))]
        wanted += item.answer
        owner += [number] * len(item.answer)
    size = len(ids)
    seen = torch.zeros(size, size, dtype=torch.bool)
    seen[:, :shared] = True
    for begin, end in parts:
        seen[begin:end, begin:end] = True
    seen &= torch.ones(size, size, dtype=torch.bool).tril()
    kind = dtype or torch.float32
    mask = torch.zeros(size, size, dtype=kind).masked_fill(~seen, torch.finfo(kind).min)
    return Pack(
        ids=torch.tensor([ids], device=device),
        positions=torch.tensor([positions], device=device),
        mask=mask[None, None].to(device),
        asked=torch.tensor(asked, device=device),
        wanted=torch.tensor(wanted, device=device),
        owner=torch.tensor(owner, device=device),
        count=len(batch),
    )
