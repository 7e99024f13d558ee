"""Retrieval policies: one small file each; arguments accept a policy or its name."""

from __future__ import annotations

from collections.abc import Callable

from agentkit.memory.policies.base import Policy
from agentkit.registry import Registry

_HERE = "agentkit.memory.policies"

POLICIES: Registry[Callable[..., Policy]] = Registry(
    "retrieval policy",
    {
        "dense": f"{_HERE}.dense:Dense",
        "masked-dense": f"{_HERE}.dense:MaskedDense",
        "masked-terms": f"{_HERE}.terms:MaskedTerms",
        "lexical": f"{_HERE}.lexical:Lexical",
        "fused": f"{_HERE}.fused:Fused",
        "mapped": f"{_HERE}.mapped:Mapped",
        "kernel": f"{_HERE}.kernel:KernelQ",
        "parametric": f"{_HERE}.parametric:ParametricQ",
        "random": f"{_HERE}.random:Random",
    },
)
"""Every retrieval policy with a name; `POLICIES.register("name")` adds one."""


def policy_names() -> list[str]:
    """The names that `load_policy` accepts."""
    return sorted(POLICIES)


def load_policy(policy: str | Policy) -> Policy:
    """A policy by name; an object is returned as it is.

    Raises:
        UserError: an unknown name.
    """
    return POLICIES.get(policy)() if isinstance(policy, str) else policy


__all__ = ["POLICIES", "Policy", "load_policy", "policy_names"]
