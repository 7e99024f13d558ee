"""Losses, all of them on the tokens of answers only: prompts are not learned.

`sft` raises the probability of the wanted answer. Given a rejected answer too, `dpo` (Rafailov et al., arXiv
2305.18290) learns to prefer the wanted one, relative to the bare model, with an added `sft` term that keeps the wanted
answer likely (as in SPaR, arXiv 2412.11605); `simpo` (Meng et al., arXiv 2405.14734) needs no bare model and compares
the mean log-probabilities per token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from agentkit.errors import UserError
from agentkit.training.packing import Pack

if TYPE_CHECKING:
    import torch

Loss = Literal["sft", "dpo", "simpo"]

DPO_BETA, DPO_SFT = 0.1, 0.2
SIMPO_BETA, SIMPO_MARGIN = 2.0, 1.0


def known_loss(name: str) -> Loss:
    """The loss of that name; raise UserError if there is none."""
    if name not in get_args(Loss):
        raise UserError(f"no loss {name!r}: there are {', '.join(get_args(Loss))}")
    return name  # type: ignore[return-value]


def answer_logprobs(logits: torch.Tensor, pack: Pack) -> tuple[torch.Tensor, torch.Tensor]:
    """The log-probability of each answer of a pack, and its number of tokens.

    Args:
        logits: those at the pack's `asked` positions.
    """
    import torch

    chosen = torch.log_softmax(logits.float(), dim=-1).gather(1, pack.wanted[:, None])[:, 0]
    sums = torch.zeros(pack.count, device=chosen.device).index_add(0, pack.owner, chosen)
    return sums, torch.bincount(pack.owner, minlength=pack.count)


def sft(sums: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """The mean loss per token of each answer, so that long answers count no more than short ones."""
    return -(sums / sizes).mean()


def dpo(sums: torch.Tensor, sizes: torch.Tensor, bare: torch.Tensor) -> torch.Tensor:
    """The DPO loss of adjacent pairs, the wanted answer first.

    Args:
        bare: the same log-probabilities under the model without its adapter.
    """
    import torch

    better, worse = (sums - bare)[0::2], (sums - bare)[1::2]
    preference = -torch.nn.functional.logsigmoid(DPO_BETA * (better - worse)).mean()
    return preference + DPO_SFT * sft(sums[0::2], sizes[0::2])


def simpo(sums: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """The SimPO loss of adjacent pairs, the wanted answer first."""
    import torch

    mean = sums / sizes
    gap = SIMPO_BETA * (mean[0::2] - mean[1::2]) - SIMPO_MARGIN
    return -torch.nn.functional.logsigmoid(gap).mean()


def divergence(bare: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """The mean Kullback-Leibler divergence per token of the model as it is now from the bare model.

    Args:
        bare, now: logits at the same positions.
    """
    import torch

    before, after = (torch.log_softmax(logits.float(), dim=-1) for logits in (bare, now))
    return (before.exp() * (before - after)).sum(-1).mean()
