"""How well an input fits the options of a closed answer, by the embeddings of their texts.

A model that must choose is sure of something even if nothing fits; a message that resembles no option shows that.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agentkit.embedding import Embedder, VectorCache
from agentkit.errors import AgentKitError
from agentkit.tasks import Task

_APART = re.compile(r"(?<=[a-z])(?=[A-Z])|[_\W]+")


@dataclass(frozen=True, kw_only=True)
class OptionFit:
    """How an input fits the options.

    Attributes:
        likeness: the cosine between the input and the option that is most like it.
        lead: the cosine between the input and the chosen option, less the largest with another one.
    """

    likeness: float
    lead: float


class Likeness:
    """Compares inputs with the options of their answers.

    Args:
        load: gives the embedder; called when it is first needed.
    """

    def __init__(self, load: Callable[[], Embedder]) -> None:
        self._load = load
        self._cache: VectorCache | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The embedder's name with its version; empty if it can't be loaded."""
        cache = self._loaded()
        return "" if cache is None else cache.embedder.name

    def fit(self, task: Task, answer: str | None) -> OptionFit | None:
        """How a task's input fits its options, given the chosen one; None if the answer is not one of at least two
        texts, or if the embedder can't be loaded."""
        form = task.answer_type
        options = [option for option in (form.choices if form is not None else None) or () if isinstance(option, str)]
        if len(options) < 2 or answer not in options or (cache := self._loaded()) is None:
            return None
        texts = [_APART.sub(" ", option).strip() or option for option in options]
        alike = cache.vectors(texts) @ cache.vector(task.input)
        place = options.index(answer)
        lead = alike[place] - np.delete(alike, place).max()
        return OptionFit(likeness=round(float(alike.max()), 6), lead=round(float(lead), 6))

    def _loaded(self) -> VectorCache | None:
        with self._lock:
            if self._cache is None:
                try:
                    self._cache = VectorCache(None, self._load())
                except AgentKitError:  # confidence does without
                    return None
            return self._cache
