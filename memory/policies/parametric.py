"""Parametric Q (AgentFly §3.2, eq. 15): a two-layer head on frozen embeddings, cross-entropy on the reward."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agentkit.embedding import Vectors
from agentkit.errors import MissingExtra, UserError
from agentkit.memory.bank import Bank, Ranking, Scores
from agentkit.memory.policies.base import pool, ranked
from agentkit.memory.policy_store import PolicyStore
from agentkit.memory.query import Query

Head = dict[str, NDArray[np.float32]]


class ParametricQ:
    """Q(s, c; θ) = p(r = 1 | s, c). Without training it falls back to cosine similarity.

    Args:
        head: trained weights; None uses those that `agentkit memory train` stored in the memory being searched.
        temperature: α of the soft-Q policy μ(c | s) ∝ exp(Q / α); 0 takes the best (as the paper does).
    """

    name = "parametric"

    def __init__(self, head: Head | None = None, *, temperature: float = 0.0) -> None:
        self.head, self.temperature = head, temperature

    def rank(self, query: Query, bank: Bank, k: int) -> Ranking:
        head = self.head or _trained(bank)
        if head is None or not bank.size:
            return bank.nearest("state", query.state, k)
        positions = pool(query, bank)
        q = values(head, query.state, bank.vectors("state", positions), bank.rewards(positions))
        if self.temperature <= 0:
            return ranked(positions, q, k)
        seed = np.frombuffer(query.seed.encode(), dtype=np.uint8)
        noise = np.random.default_rng(seed).gumbel(size=len(q))
        return ranked(positions, q / self.temperature + noise, k)

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **(self.head or {}))  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, *, temperature: float = 0.0) -> ParametricQ:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            return cls({name: found[name] for name in found.files}, temperature=temperature)


def _trained(bank: Bank) -> Head | None:
    """The head that was last trained for the memory, loaded once per version."""
    store = PolicyStore(bank.store, bank.rows.memory)
    version = store.heavy_version()
    known: tuple[int, Head] | None = bank.mirror.fits.get("head")
    if version is not None and (known is None or known[0] != version):
        head = ParametricQ.from_bytes(store.heavy() or b"").head
        known = bank.mirror.fits["head"] = (version, head or {})
    return None if version is None or known is None else known[1]


def values(head: Head, state: Vectors, cases: Vectors, rewards: NDArray[np.floating]) -> Scores:
    """Q for each case, shape (n,). Unlike the published scorer, it is told whether the case succeeded."""
    x = inputs(np.broadcast_to(state, cases.shape), cases, rewards)
    hidden = np.maximum(x @ head["w1"] + head["b1"], 0)
    found: Scores = 1 / (1 + np.exp(-(hidden @ head["w2"] + head["b2"])))
    return found


def inputs(states: Vectors, cases: Vectors, rewards: Sequence[float] | NDArray[np.floating]) -> Vectors:
    """The head's input: state, case, their product, the case's own reward, and whether that is known."""
    own = np.asarray(rewards, dtype=np.float32)
    known = (~np.isnan(own)).astype(np.float32)
    joined: Vectors = np.concatenate(
        [states, cases, states * cases, np.nan_to_num(own)[:, None], known[:, None]], axis=1
    )
    return joined.astype(np.float32)


def train(
    states: Vectors,
    cases: Vectors,
    rewards: NDArray[np.floating],
    outcomes: NDArray[np.floating],
    *,
    hidden: int = 64,
    epochs: int = 30,
    seed: int = 0,
) -> ParametricQ:
    """Fit the head with AdamW on rows of (state, case shown, case's own reward, outcome).

    Raises:
        MissingExtra: torch is not installed.
        UserError: fewer than 8 rows.
    """
    if len(outcomes) < 8:
        raise UserError(f"{len(outcomes)} outcomes are too few to train on; 8 are the least")
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingExtra("hf", "torch") from None
    x, y = torch.from_numpy(inputs(states, cases, rewards)), torch.from_numpy(outcomes.astype(np.float32))
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(x.shape[1], hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x), 64):
            batch = order[start : start + 64]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x[batch]).squeeze(1), y[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    w1, b1, w2, b2 = (np.array(value.detach().numpy()) for value in model.parameters())
    return ParametricQ({"w1": w1.T, "b1": b1, "w2": w2[0], "b2": b2[0]})
