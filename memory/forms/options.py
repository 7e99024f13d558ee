"""The nearest cases as further texts of their answers, which are compared with the input like the choices' names."""

from __future__ import annotations

from agentkit.memory.forms.base import Help, RecallQuestion

KEPT = 24
"""How many choices are weighed: the others resemble the input too little to be chosen."""


class OptionsForm:
    """What resembles the input most: a choice's name, or a solved input with that answer. It is weighed against the
    model's probability of each choice after it has answered. The prompt is that of the task alone, and a single case
    already says something about its answer and nothing against the others. Answers that were wrong for similar inputs
    become less likely."""

    name = "options"
    sizes = (16,)
    prior = (12.0, 4.0)

    def help(self, asked: RecallQuestion, k: int) -> Help | None:
        near = tuple(item for item in asked.near[:k] if asked.comparable and item.answer in asked.choices)
        wrong = tuple(item for item in asked.refuting[:k] if asked.comparable and item.case.answer in asked.choices)
        if asked.resemblance is None or not (near or wrong):
            return None
        alike = asked.resemblance(
            [(item.case.state, item.answer) for item in near],
            [(item.case.state, item.case.answer or "") for item in wrong],
        )
        nearest = sorted(alike.items(), key=lambda item: -item[1])[:KEPT]
        return Help(cases=(*near, *wrong), alike=tuple((choice, round(cosine, 4)) for choice, cosine in nearest))
