"""Checkers: they decide whether an answer is right, where something other than a model's opinion can."""

from agentkit.checkers.base import Checker, final_answer
from agentkit.checkers.registry import CHECKERS, CheckerParts, Spec, get_checker

__all__ = ["CHECKERS", "Checker", "CheckerParts", "Spec", "final_answer", "get_checker"]
