"""How an input fits the options of a closed answer, and what that is worth where the model itself has no doubt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from agentkit.agent import Agent
from agentkit.calibrating import calibrate
from agentkit.cli.runs import _effort
from agentkit.confidence import Calibration, CalibrationStore, Features, Likeness, OptionFit, cross_fitted, fit
from agentkit.confidence.likeness import TOLD, product, singles_out
from agentkit.embedding import HashEmbedder
from agentkit.errors import ModelFileError
from agentkit.evaluation import evaluate_tasks
from agentkit.models.embedders import load_embedder
from agentkit.models.logprobs import FieldLogprobs, Logprobs
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel

PLACES = ("book_flight", "cancelOrder", "play music")


def asked(text: str, target: str = "book_flight", **more: Any) -> Task:
    return Task(id=text, input=text, target=target, choices=PLACES, **more)


def found(text: str, answer: str | None) -> OptionFit | None:
    return Likeness(lambda: HashEmbedder(512)).fit(asked(text), answer)


def test_an_input_is_like_the_option_whose_words_it_has() -> None:
    right, wrong = found("please cancel my order", "cancelOrder"), found("please cancel my order", "play music")
    assert right is not None and wrong is not None
    assert right.likeness == wrong.likeness > 0.4
    assert right.lead > 0 > wrong.lead
    far = found("why is the sky blue", "play music")
    assert far is not None and far.likeness < 0.2


def test_there_is_nothing_to_compare_without_options() -> None:
    likeness = Likeness(lambda: HashEmbedder(64))
    assert likeness.fit(Task(id="t", input="why"), "because") is None
    assert likeness.fit(asked("why"), None) is None
    assert likeness.fit(asked("why"), "no option") is None
    numbers = Task(id="t", input="how many", answer_schema={"enum": [1, 2, 3]})
    assert likeness.fit(numbers, "1") is None


def test_without_the_embedder_s_files_nothing_is_said() -> None:
    likeness = Likeness(lambda: load_embedder("local/no-such-embedder"))
    assert likeness.name == "" and likeness.fit(asked("book a flight"), "book_flight") is None


def test_what_is_not_known_counts_as_average() -> None:
    known = [Features(total=-1, lowest=-1, entropy=0, free=0, likeness=n / 40, lead=0.1) for n in range(40)]
    scores = [float(n >= 20) for n in range(40)]
    calibration = fit(known, scores, model="m", embedder="e")
    blank = calibration.probability(Features(total=-1, lowest=-1, entropy=0, free=0))
    assert calibration.probability(known[0]) < 0.3 < blank < 0.7 < calibration.probability(known[-1])
    silent = [*known[:-1], Features(total=-1, lowest=-1, entropy=0, free=0)]
    assert 0.3 < cross_fitted(silent, scores)[-1] < 0.9
    assert cross_fitted(silent, scores)[0] < 0.3


def test_a_calibration_from_before_still_counts() -> None:
    older = fit([Features(total=-n / 10, lowest=0, entropy=0, free=0) for n in range(40)], [1, 0] * 20, model="m")
    stored = older.to_json()
    del stored["embedder"], stored["weights"]["likeness"], stored["weights"]["lead"]
    read = Calibration.from_json(stored)
    assert read.probability(Features(total=-1, lowest=0, entropy=0, free=0, likeness=0.9, lead=0.5)) == pytest.approx(
        older.probability(Features(total=-1, lowest=0, entropy=0, free=0))
    )


MANY = ("fly_home", "pay_rent", "buy_milk", *(f"number_{n}" for n in range(17)))


def told_of(**shares: float) -> Logprobs:
    field = FieldLogprobs(tokens=3, total=-1.0, lowest=-0.5, entropy=0.2, forced=1)
    return Logprobs(fields={"answer": field}, choices=shares)


def weighed(text: str, told: Logprobs, choices: tuple[str, ...] = MANY) -> Logprobs | None:
    return Likeness(lambda: HashEmbedder(512)).weigh(Task(id="t", input=text, choices=choices), told)


def test_solved_inputs_outweigh_the_model_sooner_than_names_do() -> None:
    told, alike = told_of(pay_rent=0.9, fly_home=0.1), {"pay_rent": 0.8, "fly_home": 0.815}
    by_names, by_cases = product(told, alike), product(told, alike, temperature=TOLD)
    assert by_names is not None and by_cases is not None
    assert (next(iter(by_names.choices)), next(iter(by_cases.choices))) == ("pay_rent", "fly_home")


def test_among_many_options_the_one_that_the_input_resembles_outweighs_the_model_s() -> None:
    after = weighed("I want to fly home", told_of(pay_rent=0.9, fly_home=0.1))
    assert after is not None and next(iter(after.choices)) == "fly_home"
    answer = after.answer()
    assert answer is not None and answer.total == answer.lowest > -0.01 and answer.forced == 1
    assert sum(after.choices.values()) == pytest.approx(1.0)


def test_where_resemblance_says_nothing_the_model_s_choice_stands() -> None:
    assert weighed("what is the meaning of it all", told_of(pay_rent=0.9, fly_home=0.1)) is None
    assert weighed("I want to fly home", told_of()) is None
    assert weighed("I want to fly home", told_of(pay_rent=0.9, fly_home=0.1), choices=MANY[:10]) is None


def test_an_input_singles_out_few_of_many_or_none() -> None:
    assert singles_out([0.9, 0.85, *[0.5] * 18])
    assert not singles_out([0.9, 0.85, 0.85, 0.85, *[0.5] * 16])
    assert not singles_out([0.6] * 20)


class Certain(ScriptedModel):
    """Always sure of "book_flight"."""

    tells_logprobs: bool = True

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        message = super()._answer(messages, **kwargs)
        message.response_metadata["logprobs"] = {"content": [{"token": "book_flight", "logprob": -0.01}]}
        return message


@pytest.fixture
def agent(store: Store) -> Any:
    opened: list[Agent] = []

    def build(embedder: str = "hash-512", **options: Any) -> Agent:
        settings = Settings(embedder=embedder)
        opened.append(Agent(Certain(["book_flight"]), tools=[], store=store, settings=settings, **options))
        return opened[-1]

    yield build
    for item in opened:
        item.close()


async def test_a_message_that_fits_no_option_is_declined_however_sure_the_model_is(
    agent: Callable[..., Agent], store: Store
) -> None:
    meant = [asked(f"book a flight to city {n}") for n in range(30)]
    others = [asked(f"why is the sky over {n} so blue today", "") for n in range(20)]
    made = await calibrate(agent(), [*meant, *others])
    stored = CalibrationStore(store, "default").current()
    assert made.risk.auroc == 1.0
    assert stored is not None and stored.calibration.embedder == HashEmbedder(512).name
    strict = agent(decline_below=0.5)
    assert (await strict.arun(asked("book me a flight home"))).status == "done"
    assert (await strict.arun(asked("who wrote that old song"))).status == "declined"


class Choosing(ScriptedModel):
    """Chooses "pay_rent", and finds "fly_home" half as likely."""

    tells_logprobs: bool = True

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        message = super()._answer(messages, **kwargs)
        ways = [{"token": "pay_rent", "logprob": -0.4}, {"token": "fly_home", "logprob": -1.1}]
        message.response_metadata["logprobs"] = {"content": [ways[0] | {"top_logprobs": ways}]}
        return message


@pytest.fixture
def chooser(store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("agentkit.memory.opening.load_embedder", lambda name: HashEmbedder(512))
    with ExitStack() as stack:

        def build(settings: Settings | None = None, **options: Any) -> Agent:
            agent = Agent(Choosing(["pay_rent"]), tools=[], store=store, settings=settings or Settings(), **options)
            return stack.enter_context(agent)

        yield build


async def test_an_agent_s_choice_among_many_is_weighed_and_the_run_says_so(
    chooser: Callable[..., Agent], store: Store
) -> None:
    task = Task(id="t", input="I want to fly home", choices=MANY, target="fly_home", checker="exact")
    result = await chooser().arun(task)
    assert result.answer == result.output == "fly_home"
    record = RunLog(store).get(result.run_id).effort
    assert record is not None and (record["weighed"]["by"], record["weighed"]["model"]) == ("likeness", "pay_rent")
    shown = [*_effort(record, result.answer)]
    assert "weighed  the model chose pay_rent; decided by how much the input resembles each option" in shown
    report = await evaluate_tasks(chooser(), [task])
    [scored] = report.results
    assert scored.score == 1.0 and scored.features is not None and scored.features.total > -0.01


@pytest.mark.parametrize("settings", [{"weigh_choices": False}, {"embedder": "hash-512"}])
async def test_weighing_can_be_turned_off_and_is_left_to_embedders_that_were_measured(
    chooser: Callable[..., Agent], settings: dict[str, Any]
) -> None:
    task = Task(id="t", input="I want to fly home", choices=MANY)
    assert (await chooser(Settings(**settings)).arun(task)).answer == "pay_rent"


def test_an_embedder_that_is_not_there_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> Any:
        raise ModelFileError("e is not downloaded yet: run  agentkit models pull e")

    likeness, task = Likeness(load), Task(id="t", input="I want to fly home", choices=MANY)
    assert likeness.weigh(task, told_of(pay_rent=0.9)) is likeness.weigh(task, told_of(pay_rent=0.9)) is None
    assert [record.message for record in caplog.records] == [
        "a choice among 20 options is the model's alone: e is not downloaded yet: run  agentkit models pull e"
    ]


async def test_no_hosted_embedder_is_asked_about_options(chooser: Callable[..., Agent]) -> None:
    task = Task(id="t", input="I want to fly home", choices=MANY)
    agent = chooser(Settings(embedder="openai/text-embedding-3-small"))
    assert agent.likeness.fit(task, "pay_rent") is None and agent.likeness.name == ""


async def test_what_several_samples_agree_on_is_weighed_too(
    chooser: Callable[..., Agent],
) -> None:
    task = Task(id="t", input="I want to fly home", choices=MANY)
    assert (await chooser(samples=3).arun(task)).answer == "fly_home"


async def test_another_embedder_s_likeness_is_not_taken_for_it(agent: Callable[..., Agent]) -> None:
    meant = [asked(f"book a flight to city {n}") for n in range(30)]
    others = [asked(f"why is the sky over {n} so blue today", "") for n in range(20)]
    await calibrate(agent(), [*meant, *others])
    same, other = await agent().arun(asked("book it")), await agent("hash-64").arun(asked("book it"))
    assert same.confidence != other.confidence is not None
