"""What is kept of a call's log-probabilities."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from agentkit.answer_type import AnswerType
from agentkit.errors import ModelError
from agentkit.models import Caller
from agentkit.models.journal import SqlJournal
from agentkit.models.logprobs import WHOLE, Logprobs, summarize
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel


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


def test_an_answer_in_words_that_thinks_first_is_judged_by_its_last_line() -> None:
    text = "It is one of two.\nAnswer: 12"
    pieces = told(*((letter, -0.5 if letter.isdigit() else -0.1) for letter in text), ("", -0.25))
    found = summarize(text, pieces)
    assert found is not None
    answer = found.answer()
    assert answer is not None
    assert (answer.tokens, answer.total, answer.lowest) == (3, pytest.approx(-1.25), -0.5)


def test_an_answer_of_several_fields_is_judged_by_all_but_its_thoughts() -> None:
    text = '{"reasoning": "xxxx", "n": 12, "word": "no"}'
    found = summarize(text, told(*((letter, -2.0 if letter == "x" else -0.5) for letter in text)))
    assert found is not None
    answer = found.answer()
    assert answer is not None
    assert (answer.tokens, answer.lowest) == (5, -0.5)


def test_the_answer_within_a_tool_call_is_found_where_the_message_holds_no_text() -> None:
    text = '{"name": "answer", "arguments": {"answer": "yes"}}'
    found = summarize(None, told(*((letter, -0.5) for letter in text)), ["yes", "no"])
    assert found is not None
    answer = found.answer()
    assert answer is not None
    assert answer.tokens == 4


class Telling(ScriptedModel):
    """Says how sure it is, where it is asked to; or refuses to."""

    tells_logprobs: bool = True
    refuses: bool = False
    asked: int = 0
    alternatives: int = 0

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        message = super()._answer(messages, **kwargs)
        if not kwargs.get("logprobs"):
            return message
        self.asked += 1
        self.alternatives = kwargs["top_logprobs"]
        if self.refuses:
            raise ModelError("logprobs are not supported", status=400)
        pieces = told((message.text, -0.25), others={0: {"no": -1.5}})
        message.response_metadata["logprobs"] = {"content": pieces}
        return message


async def test_a_call_keeps_the_summary_and_a_resumed_run_reads_it_back(store: Store) -> None:
    ask, form = [HumanMessage("?")], AnswerType.of_choices(["yes", "no"])
    RunLog(store).start("run", Task(id="t", input="?"), model="m", options={})
    first = await Caller(Telling(["yes"]), journal=SqlJournal(store, "run")).call(ask, schema=form, logprobs=True)
    assert first.logprobs is not None
    assert first.logprobs.choices["yes"] == pytest.approx(math.exp(-0.25) / (math.exp(-0.25) + math.exp(-1.5)))
    silent = Telling([AssertionError("asked again")])
    again = await Caller(silent, journal=SqlJournal(store, "run")).call(ask, schema=form, logprobs=True)
    assert again.replayed
    assert again.logprobs is not None
    assert again.logprobs.answer() == first.logprobs.answer()


async def test_a_server_that_refuses_log_probabilities_is_asked_for_them_once() -> None:
    model = Telling(["yes"], refuses=True, name="test/refuses-logprobs")
    caller = Caller(model)
    replies = [await caller.call([HumanMessage(text)], logprobs=True) for text in "ab"]
    assert [reply.text for reply in replies] == ["yes", "yes"]
    assert [reply.logprobs for reply in replies] == [None, None]
    assert model.asked == 1


@pytest.mark.parametrize(("form", "few"), [(None, 5), (AnswerType.of_choices(["yes", "no"]), 20)])
async def test_fewer_alternatives_are_asked_for_where_there_may_be_many_words(form: Any, few: int) -> None:
    model = Telling(["yes"])
    await Caller(model).call([HumanMessage("?")], schema=form, logprobs=True)
    assert model.alternatives == few


async def test_a_model_that_does_not_say_that_it_tells_them_is_not_asked() -> None:
    model = Telling(["yes"], tells_logprobs=False)
    assert (await Caller(model).call([HumanMessage("?")], logprobs=True)).logprobs is None
    assert model.asked == 0
