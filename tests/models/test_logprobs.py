"""What is kept of a call's log-probabilities."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from agentkit.models.logprobs import WHOLE, Logprobs, summarize


def told(*tokens: tuple[str, float], others: dict[int, dict[str, float]] | None = None) -> list[dict[str, Any]]:
    """Tokens as a provider reports them: each with itself and its rivals as alternatives."""
    rivals = others or {}
    return [
        {
            "token": token,
            "logprob": logprob,
            "top_logprobs": [
                {"token": token, "logprob": logprob},
                *({"token": other, "logprob": value} for other, value in rivals.get(place, {}).items()),
            ],
        }
        for place, (token, logprob) in enumerate(tokens)
    ]


def test_each_field_of_an_answer_is_summed_up_by_itself() -> None:
    text = '{"why": "é so", "answer": {"n": 12, "word": "yes"}}'
    pieces = told(*((letter, -0.5 if letter.isdigit() else -0.1) for letter in text))
    found = summarize(text, pieces)
    assert found is not None
    assert list(found.fields) == ["why", "answer.n", "answer.word"]
    assert found.fields["answer.n"].total == pytest.approx(-1.0)
    assert found.fields["answer.word"].tokens == 4  # the closing quote ends the word, and is part of the decision


def test_a_plain_text_is_one_field_with_the_token_that_ends_it() -> None:
    found = summarize("card_arrival", told(("card", -0.2), ("_arrival", -0.3), ("", -0.4)))
    assert found is not None
    assert found.fields[WHOLE].tokens == 3
    assert found.fields[WHOLE].total == pytest.approx(-0.9)
    assert found.fields[WHOLE].lowest == -0.4


def test_half_a_character_in_a_token_is_joined_by_its_bytes() -> None:
    pieces = [
        {"token": "\ufffd", "bytes": [0xC3], "logprob": -0.1},
        {"token": "\ufffd", "bytes": [0xA9], "logprob": -0.2},
    ]
    found = summarize("é", pieces)
    assert found is not None
    assert found.fields[WHOLE].tokens == 2


def test_tokens_of_another_text_give_nothing() -> None:
    assert summarize("no", told(("yes", -0.1))) is None
    assert summarize("", []) is None


def test_a_token_that_the_grammar_forced_is_counted() -> None:
    found = summarize("no", told(("no", -3.0), others={0: {"yes": -0.1}}))
    assert found is not None
    assert found.fields[WHOLE].forced == 1


def test_choices_share_what_the_alternatives_leave_them() -> None:
    choices = ["card_arrival", "card_lost", "top_up"]
    pieces = told(
        ("card", math.log(0.6)),
        ("_arrival", math.log(0.5)),
        ("", 0.0),
        others={0: {"top": math.log(0.4)}, 1: {"_lost": math.log(0.5)}},
    )
    found = summarize("card_arrival", pieces, choices)
    assert found is not None
    assert found.choices == pytest.approx({"top_up": 0.4, "card_arrival": 0.3, "card_lost": 0.3})


def test_a_choice_that_is_the_beginning_of_another_is_told_from_it() -> None:
    pieces = told(("top_up", math.log(0.9)), ("_by_card", math.log(0.8)), others={1: {"": math.log(0.2)}})
    found = summarize("top_up_by_card", pieces, ["top_up", "top_up_by_card"])
    assert found is not None
    assert found.choices["top_up_by_card"] > 0.7


def test_what_is_kept_comes_back_as_it_was() -> None:
    found = summarize("a", told(("a", -0.25)), ["a", "b"])
    assert found is not None
    kept = Logprobs.from_json(json.loads(json.dumps(found.to_json())))
    assert kept.to_json() == found.to_json()
    assert kept.answer() == kept.fields[WHOLE]


def test_a_choice_that_the_reasoning_names_is_not_the_answer() -> None:
    text = '{"why": "not yes", "answer": "no"}'
    found = summarize(text, told(*((letter, 0.0) for letter in text)), ["yes", "no"])
    assert found is not None
    assert found.choices == {"no": 1.0}
