"""The nearest cases' answers as a prior, which is multiplied with the model's probabilities of the choices."""

from __future__ import annotations

from agentkit.memory.forms.base import Help, RecallQuestion


class PriorForm:
    """The answers of the nearest cases with their similarities; they are weighed against the model's probability of
    each choice after it has answered. The prompt is that of the task alone, and every choice remains possible. Where
    the input can be compared with the choices too, `OptionsForm` does more."""

    name = "prior"
    sizes = (8,)
    prior = (2.0, 2.0)

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        if asked.resemblance is not None:
            return None
        near = tuple(item for item in asked.near[:k] if asked.comparable and item.answer in asked.choices)
        votes = tuple((item.answer, round(item.likeness, 4)) for item in near if item.likeness > 0)
        return Help(cases=near, votes=votes) if votes else None
