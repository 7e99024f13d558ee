"""Retrieval policies: one small file each; an argument takes a policy or its name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from agentkit.errors import UserError
from agentkit.memory.policies.base import Policy


@cache
def _names() -> dict[str, Callable[..., Policy]]:
    from agentkit.memory.policies.dense import Dense, MaskedDense
    from agentkit.memory.policies.fused import Fused
    from agentkit.memory.policies.kernel import KernelQ
    from agentkit.memory.policies.lexical import Lexical
    from agentkit.memory.policies.mapped import Mapped
    from agentkit.memory.policies.parametric import ParametricQ
    from agentkit.memory.policies.random import Random
    from agentkit.memory.policies.terms import MaskedTerms

    kinds: tuple[Callable[..., Policy], ...] = (
        Dense,
        MaskedDense,
        MaskedTerms,
        Lexical,
        Fused,
        Mapped,
        KernelQ,
        ParametricQ,
        Random,
    )
    return {kind.name: kind for kind in kinds}  # type: ignore[attr-defined]


def policy_names() -> list[str]:
    """The names that `load_policy` knows."""
    return sorted(_names())


def load_policy(policy: str | Policy, **options: Any) -> Policy:
    """A policy by name; one that is a policy already is returned as it is.

    Raises:
        UserError: an unknown name.
    """
    if not isinstance(policy, str):
        return policy
    names = _names()
    if policy not in names:
        raise UserError(f"no retrieval policy {policy!r} (known: {', '.join(sorted(names))})")
    return names[policy](**options)


__all__ = ["Policy", "load_policy", "policy_names"]
