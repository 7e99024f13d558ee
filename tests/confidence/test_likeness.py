"""How an input fits the options of a closed answer, and what that is worth where the model itself has no doubt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from agentkit.agent import Agent
from agentkit.calibrating import calibrate
from agentkit.confidence import Calibration, CalibrationStore, Features, Likeness, OptionFit, cross_fitted, fit
from agentkit.embedding import HashEmbedder
from agentkit.models.embedders import load_embedder
from agentkit.settings import Settings
from agentkit.store import Store
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


async def test_another_embedder_s_likeness_is_not_taken_for_it(agent: Callable[..., Agent]) -> None:
    meant = [asked(f"book a flight to city {n}") for n in range(30)]
    others = [asked(f"why is the sky over {n} so blue today", "") for n in range(20)]
    await calibrate(agent(), [*meant, *others])
    same, other = await agent().arun(asked("book it")), await agent("hash-64").arun(asked("book it"))
    assert same.confidence != other.confidence is not None
