"""How well an input fits the options of a closed answer, by the embeddings of their texts.

A model that must choose is sure of something even if nothing fits; a message that resembles no option shows that. And
among dozens of options, a small model chooses worse than an embedder does by the names alone: where the input resembles
a few of them far more than the others, that is weighed against the model's probabilities, as a product of experts.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agentkit.embedding import Embedder, VectorCache
from agentkit.errors import AgentKitError
from agentkit.models.logprobs import ANSWER, KEPT_CHOICES, FieldLogprobs, Logprobs
from agentkit.tasks import Task

log = logging.getLogger("agentkit.confidence")

TEMPERATURE = 0.01
"""A cosine that is larger by this much makes an option e times as likely; embedders are trained with such temperatures
(C-Pack, arXiv 2309.07597)."""
TOLD = 0.005
"""The same where solved inputs are compared too: they say more than names, and a small model the same as before."""
NEAR = 0.1
"""An option is near if its cosine is at most this much smaller than the largest."""
FEW = 0.15
"""At most this share of the options may be near if the input is to count as singling some out. Where it resembles all
of them alike, as symptoms do the names of diseases, resemblance says nothing."""
MANY = math.ceil(2 / FEW)
"""Fewer options are not weighed: among them, two can't be few."""
REFUTED = 0.05
"""How much less an input resembles an option that was wrong for a similar input."""
_LEAST = 0.01
"""The probability assumed for an option to which the model gave less: a small model is surer than it should be."""
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
        weighs: whether choices among many options are weighed.
    """

    def __init__(self, load: Callable[[], Embedder], *, weighs: bool = True) -> None:
        self._load, self._weighs = load, weighs
        self._cache: VectorCache | None = None
        self._missing, self._said = "", False
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The embedder's name with its version; empty if it can't be loaded."""
        cache = self._loaded()
        return "" if cache is None else cache.embedder.name

    def fit(self, task: Task, answer: str | None) -> OptionFit | None:
        """How a task's input fits its options, given the chosen one; None if the answer is not one of at least two
        texts, or if the embedder can't be loaded."""
        options = _options(task)
        if answer not in options or (alike := self._alike(task, options)) is None:
            return None
        others = max(cosine for option, cosine in alike.items() if option != answer)
        return OptionFit(likeness=round(max(alike.values()), 6), lead=round(alike[answer] - others, 6))

    def weigh(self, task: Task, told: Logprobs) -> Logprobs | None:
        """The probabilities of the options after weighing the model's by the input's resemblance to each.

        Args:
            told: the summary of the model's log-probabilities for its answer.

        Returns:
            the summary for the option that is likeliest now, which is the first of its `choices`; None if the input
            does not single out a few options, the model's probabilities are not known, or choices are not weighed.
        """
        options = _options(task)
        if not self._weighs or not told.choices or len(options) < MANY:
            return None
        alike = self._alike(task, options)
        if alike is None:
            self._say_once(len(options))
            return None
        return product(told, alike) if singles_out(list(alike.values())) else None

    def _alike(self, task: Task, options: list[str]) -> Mapping[str, float] | None:
        """The cosine between the input and each option; None if there are fewer than two, or no embedder."""
        if len(options) < 2 or (cache := self._loaded()) is None:
            return None
        return resemblance(cache, task.input, options)

    def _loaded(self) -> VectorCache | None:
        with self._lock:
            if self._cache is None and not self._missing:
                try:
                    self._cache = VectorCache(None, self._load())
                except AgentKitError as error:  # an answer can do without
                    self._missing = str(error)
            return self._cache

    def _say_once(self, options: int) -> None:
        if self._missing and not self._said:
            self._said = True
            log.warning("a choice among %d options is the model's alone: %s", options, self._missing)


def weighs_options(embedder: str) -> bool:
    """Whether the embedder of this name may weigh options: one from the catalog, for which the thresholds hold."""
    return embedder.startswith("local/")


def resemblance(
    cache: VectorCache,
    text: str,
    options: Sequence[str],
    solved: Sequence[tuple[str, str]] = (),
    refuted: Sequence[tuple[str, str]] = (),
    *,
    further: float = 0.0,
) -> dict[str, float]:
    """How much an input resembles each option: its cosine with the option's name, or with an input to which the option
    was the right answer, less `further`, if that is larger. It is less by `REFUTED` for each similar input to which the
    option was the wrong answer.

    Args:
        solved: inputs with their right answers.
        refuted: inputs with answers that were wrong.
        further: how much more alike two inputs of this kind are than an input and an option's name, typically.
    """
    own = cache.vector(text)
    names = cache.vectors([_APART.sub(" ", option).strip() or option for option in options])
    alike = dict(zip(options, map(float, names @ own), strict=True))

    def told(cases: Sequence[tuple[str, str]]) -> Iterator[tuple[str, float]]:
        cosines = cache.vectors([earlier for earlier, _ in cases]) @ own
        for (_, answer), cosine in zip(cases, map(float, cosines), strict=True):
            if answer in alike:
                yield answer, cosine - further

    for answer, cosine in told(solved):
        alike[answer] = max(alike[answer], cosine)
    for answer, cosine in told(refuted):
        if cosine > alike[answer]:
            alike[answer] -= REFUTED
    return alike


def product(told: Logprobs, alike: Mapping[str, float], *, temperature: float = TEMPERATURE) -> Logprobs | None:
    """The product of a model's probabilities of the options and the input's resemblance to each, as the summary for the
    likeliest option, which is the first of its `choices`; None if the model's probabilities are not known.

    Args:
        temperature: by how much a cosine must be larger to make an option e times as likely.
    """
    answer = told.answer()
    if not told.choices or answer is None:
        return None
    nats = {
        option: math.log(max(_LEAST, told.choices.get(option, 0.0))) + cosine / temperature
        for option, cosine in alike.items()
    }
    most = max(nats.values())
    weights = {option: math.exp(value - most) for option, value in nats.items()}
    whole = sum(weights.values())
    shares = {option: weights[option] / whole for option in sorted(weights, key=weights.__getitem__, reverse=True)}
    first = math.log(next(iter(shares.values())))
    entropy = -sum(share * math.log(share) for share in shares.values() if share > 0)
    field = FieldLogprobs(tokens=answer.tokens, total=first, lowest=first, entropy=entropy, forced=answer.forced)
    return Logprobs(fields={ANSWER: field}, choices=dict(list(shares.items())[:KEPT_CHOICES]))


def singles_out(cosines: Sequence[float]) -> bool:
    """Whether an input resembles a few options far more than the others, given its cosine with each."""
    nearest = max(cosines)
    return sum(cosine >= nearest - NEAR for cosine in cosines) <= FEW * len(cosines)


def _options(task: Task) -> list[str]:
    """The options of a closed answer that are texts."""
    form = task.answer_type
    return [option for option in (form.choices if form is not None else None) or () if isinstance(option, str)]
