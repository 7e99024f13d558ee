"""Packing a batch of examples into one row of tokens, in which a common prefix of prompts is computed once.

The prompts of an agent share a prefix: instructions, a database's schema, a playbook. The row of a batch holds the
common prefix first, then the rest of each example. The attention mask keeps examples from seeing each other, and each
has the positions that it would have by itself. Loss and gradient equal those of the examples one by one.
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
    """A prompt and one answer to it, as tokens; the last token of the answer ends the turn."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True, kw_only=True)
class Pack:
    """A batch as one row.

    Attributes:
        ids, positions: one per token.
        mask: which tokens (second axis) each token (first axis) may attend to, as a term added to the scores.
        asked: the positions that predict the next token of an answer.
        wanted: the tokens of the answers, one per position in `asked`.
        owner: the number of the answer that each of these tokens belongs to.
        count: the number of answers.
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
        """The number of tokens computed."""
        return int(self.ids.shape[1])


def pack(batch: Sequence[Tokens], *, device: str = "cpu", dtype: torch.dtype | None = None) -> Pack:
    """Pack a batch into one row."""
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
