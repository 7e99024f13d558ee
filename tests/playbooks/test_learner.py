"""Learning from runs: what is called, what is learnt, what is held back, and that it happens once."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agentkit.errors import InvalidOutput
from agentkit.evolution.protocols import OpenGate
from agentkit.ledger import Change, Verdict
from agentkit.playbooks import LearningPolicy, PlaybookLearner, PlaybookRecaller, PlaybookStore
from agentkit.protocols import Block
from agentkit.roles.curator import CuratorDelta, CuratorOperation
from agentkit.roles.reflector import BulletJudgement
from agentkit.store import Store
from agentkit.tasks import Feedback
from tests.support.playbook_world import PlantedWorld, Roles, plant, run_and_learn, truthful


@pytest.fixture
def book(store: Store) -> PlaybookStore:
    return PlaybookStore.open(store, "planted")


class Rejecting:
    async def decide(self, changes: list[Change], *, key: str) -> dict[str, Verdict]:
        return {change.id: Verdict(decision="reject", reason="worse") for change in changes}


async def test_online_learning_reaches_every_planted_rule(book: PlaybookStore) -> None:
    world, recaller, learner = PlantedWorld(12), PlaybookRecaller(book), PlaybookLearner(book)
    roles = truthful(world)
    scores = [(await run_and_learn(world, recaller, learner, roles, n))[0] for n in range(72)]
    assert sum(scores[:12]) == 0
    assert sum(scores[12:]) / 60 >= 0.95
    assert len(book.current()) == 12
    assert roles.count("reflector") <= 13 and roles.count("curator") <= 12


async def test_a_failed_run_costs_at_most_two_calls_a_round_and_two_more(book: PlaybookStore) -> None:
    world, rounds = PlantedWorld(1), 3
    variants = iter(range(100))
    roles = Roles(lambda prompt: [f"Try number {next(variants)} with the closing code."])
    policy = LearningPolicy(rounds=rounds, curate="always")
    await run_and_learn(world, PlaybookRecaller(book), PlaybookLearner(book, policy=policy), roles, 0)
    assert roles.count("reflector") == rounds
    assert len(roles.prompts) <= 2 * rounds + 2


async def test_reflection_stops_when_it_stands(book: PlaybookStore) -> None:
    world, roles = PlantedWorld(1), Roles(lambda prompt: ["Use the closing code of the register."])
    learner = PlaybookLearner(book, policy=LearningPolicy(rounds=5))
    await run_and_learn(world, PlaybookRecaller(book), learner, roles, 0)
    assert roles.count("reflector") == 2


async def test_a_success_costs_no_call_and_votes_for_what_it_cited(book: PlaybookStore) -> None:
    world = PlantedWorld(1)
    plant(book, [world.helpful("amber")])
    roles = truthful(world)
    score, learnt = await run_and_learn(world, PlaybookRecaller(book), PlaybookLearner(book), roles, 0)
    assert score == 1 and roles.prompts == []
    assert list(book.votes().values()) == [(1, 0)]
    assert learnt.status == "applied" and learnt.details["votes"] == 1


async def test_learning_again_from_the_same_run_changes_nothing_and_calls_nobody(book: PlaybookStore) -> None:
    world, roles = PlantedWorld(1), truthful(PlantedWorld(1))
    episode = world.episode(world.task(0), None)
    first = await PlaybookLearner(book).learn(episode, call=roles)
    calls, version = len(roles.prompts), book.version()
    again = await PlaybookLearner(PlaybookStore.open(book.store, "planted")).learn(episode, call=roles)
    assert again == first and len(roles.prompts) == calls and book.version() == version == 1


@pytest.mark.parametrize("labels", ["none", "check"])
async def test_without_labels_noise_in_the_target_leaves_every_prompt_the_same(store: Store, labels: str) -> None:
    prompts = []
    for number, target in enumerate(("the right answer 123", "noise 987")):
        book = PlaybookStore.open(store, f"book{number}")
        roles = Roles(lambda prompt: ["Look the closing code up in the register."])
        world = PlantedWorld(1)
        task = world.task(0).model_copy(update={"target": target, "checker": {"name": "exact", "target": target}})
        feedback = (
            Feedback(channel="label", score=0.0, text=f"expected {target}"),
            Feedback(channel="check", score=0.0, text="the form is wrong"),
        )
        episode = world.episode(task, None, labels=labels, feedback=feedback)
        await PlaybookLearner(book, policy=LearningPolicy(rounds=2, curate="always")).learn(episode, call=roles)
        prompts.append(roles.prompts)
    assert prompts[0] == prompts[1] and len(prompts[0]) == 3
    assert "expected" not in str(prompts)


@pytest.mark.parametrize(
    "feedback",
    [
        (),
        (Feedback(channel="judge", score=0.6),),
        (Feedback(channel="check", score=None),),
        (Feedback(channel="label", score=0.0),),
    ],
)
async def test_weak_evidence_teaches_nothing(book: PlaybookStore, feedback: tuple[Feedback, ...]) -> None:
    world, roles = PlantedWorld(1), Roles(lambda prompt: ["anything"])
    episode = world.episode(world.task(0), None, labels="none", feedback=feedback)
    learnt = await PlaybookLearner(book).learn(episode, call=roles)
    assert learnt.status == "nothing" and "weak" in learnt.note
    assert roles.prompts == [] and book.version() == 0


@pytest.mark.parametrize(("labels", "learns"), [("none", False), ("check", False), ("gold", True)])
async def test_a_reflector_that_guesses_teaches_nothing_unless_it_saw_the_right_answer(
    book: PlaybookStore, labels: str, learns: bool
) -> None:
    world = PlantedWorld(1)

    async def unsure(role: str, messages: Any, *, schema: Any = None) -> Any:
        reply = await Roles(lambda prompt: ["A guess."])(role, messages)
        return type(reply)(reply.parsed.model_copy(update={"basis": "guess"}))

    learnt = await PlaybookLearner(book).learn(world.episode(world.task(0), None, labels=labels), call=unsure)
    assert (book.version() == 1) is learns
    assert learns or (learnt.status == "nothing" and "not sure" in learnt.note)


async def test_lessons_of_untrusted_runs_wait_in_quarantine_until_the_gate_has_spoken(book: PlaybookStore) -> None:
    world, roles = PlantedWorld(1), truthful(PlantedWorld(1))
    episode = world.episode(world.task(0), None, untrusted=True, source="https://x.example")
    learnt = await PlaybookLearner(book).learn(episode, call=roles)
    assert learnt.status == "quarantined" and len(book.current()) == 0
    change = book.ledger.get(learnt.changes[0])
    assert change.source == "https://x.example"
    book.release(change.id, Verdict(decision="accept", reason="a person looked"))
    assert len(book.current()) == 1


async def test_with_a_gate_its_verdict_decides(book: PlaybookStore, store: Store) -> None:
    world, roles = PlantedWorld(1), truthful(PlantedWorld(1))
    episode = world.episode(world.task(0), None, untrusted=True)
    assert (await PlaybookLearner(book, gate=OpenGate()).learn(episode, call=roles)).status == "applied"
    other = PlaybookStore.open(store, "other")
    assert (await PlaybookLearner(other, gate=Rejecting()).learn(episode, call=roles)).status == "rejected"
    assert len(other.current()) == 0


async def test_lessons_wait_until_a_batch_is_full_and_are_curated_in_one_call(book: PlaybookStore) -> None:
    world, roles = PlantedWorld(6), truthful(PlantedWorld(6))
    roles.curation = lambda prompt: CuratorDelta(
        reasoning="all new",
        operations=[
            CuratorOperation(op="add", texts=[text]) for text in re.findall(r"To close \w+ orders.*?\.", prompt)
        ],
    )
    learner = PlaybookLearner(book, policy=LearningPolicy(batch=3, curate="always"))
    sizes = []
    for number in range(6):
        await learner.learn(world.episode(world.task(number), None), call=roles)
        sizes.append(len(book.current()))
    assert sizes == [0, 0, 3, 3, 3, 6]
    assert roles.count("curator") == 2


async def test_a_curator_can_update_merge_split_and_retire(book: PlaybookStore) -> None:
    world = PlantedWorld(1)
    plant(
        book,
        [
            "Use dollars in the totals of reports",
            "Use dollar amounts in the totals of reports",
            "Check the sign. Also check the unit of amounts",
            "Totals of reports are in euros",
            "Old rule about totals of reports",
        ],
    )
    a, b, both, refuted, old = [bullet.id for bullet in book.current()]
    wanted = [
        CuratorOperation(op="merge", ids=[a, b], texts=["Use dollars in all totals of reports"]),
        CuratorOperation(op="split", ids=[both], texts=["Check the sign", "Check the unit of amounts"]),
        CuratorOperation(op="retire", ids=[refuted]),
        CuratorOperation(op="update", ids=[old], texts=["New rule about totals of reports"]),
        CuratorOperation(op="update", ids=["nosuchid"], texts=["lost"]),
        CuratorOperation(op="add", texts=[""]),
    ]
    roles = Roles(
        lambda prompt: ["Totals of reports need a currency"],
        curate=lambda prompt: CuratorDelta(reasoning="tidy", operations=wanted),
    )
    learner = PlaybookLearner(book, gate=OpenGate(), policy=LearningPolicy(curate="always"))
    learnt = await learner.learn(world.episode(world.task(0), None), call=roles)
    assert learnt.status == "applied" and len(learnt.details["dropped"]) == 2
    assert {bullet.content for bullet in book.current()} == {
        "Use dollars in all totals of reports",
        "Check the sign",
        "Check the unit of amounts",
        "New rule about totals of reports",
    }


async def test_what_is_known_already_is_not_added_again(book: PlaybookStore) -> None:
    world = PlantedWorld(1)
    plant(book, ["Always convert the amounts to dollars before you add them."])
    roles = Roles(lambda prompt: ["Always convert amounts to dollars before you add them"])
    learnt = await PlaybookLearner(book).learn(world.episode(world.task(0), None), call=roles)
    assert learnt.status == "nothing" and "said already" in learnt.note and roles.count("curator") == 0


async def test_a_contradiction_is_held_back_and_named(book: PlaybookStore) -> None:
    world = PlantedWorld(1)
    plant(book, ["Always round the final result to two decimals"])
    roles = Roles(
        lambda prompt: ["Never round the final result to two decimals"],
        curate=lambda prompt: CuratorDelta(
            reasoning="",
            operations=[CuratorOperation(op="add", texts=["Never round the final result to two decimals"])],
        ),
    )
    learnt = await PlaybookLearner(book).learn(world.episode(world.task(0), None), call=roles)
    assert learnt.status == "quarantined" and len(book.current()) == 1
    assert "contradicts" in str(book.ledger.events(learnt.changes[0])[-1].verdict)


async def test_a_reflector_votes_once_a_run_and_only_for_what_was_shown(book: PlaybookStore) -> None:
    world = PlantedWorld(2)
    plant(book, [world.harmful("amber"), world.neutral("birch")])
    bad, other = book.current().active
    judged = [
        BulletJudgement(id=bad.id, verdict="harmful"),
        BulletJudgement(id=f"[{bad.id}]", verdict="harmful"),
        BulletJudgement(id="zzzzzzzz", verdict="helpful"),
    ]
    roles = Roles(lambda prompt: [], judge=lambda prompt: judged)
    recaller, learner = PlaybookRecaller(book), PlaybookLearner(book, policy=LearningPolicy(rounds=3))
    await run_and_learn(world, recaller, learner, roles, 0)
    assert book.votes() == {bad.id: (0, 1), other.id: (0, 0)}


async def test_unreadable_output_is_recorded_as_such_and_raises_an_alarm(book: PlaybookStore) -> None:
    world, learner = PlantedWorld(1), PlaybookLearner(book, policy=LearningPolicy(window=5))

    async def broken(role: str, messages: Any, *, schema: Any = None) -> Any:
        raise InvalidOutput("no JSON")

    for number in range(5):
        learnt = await learner.learn(world.episode(world.task(number), None, run_id=f"r{number}"), call=broken)
        assert learnt.status == "nothing" and "could not be read" in learnt.note
    assert any("could be read" in alarm for alarm in learner.alarms())


async def test_reflections_that_change_nothing_raise_an_alarm(book: PlaybookStore) -> None:
    world, learner = PlantedWorld(1), PlaybookLearner(book, policy=LearningPolicy(window=4))
    for number in range(4):
        episode = world.episode(world.task(number), None, run_id=f"r{number}")
        await learner.learn(episode, call=Roles(lambda prompt: []))
    assert {alarm.split(" in the last")[0] for alarm in learner.alarms()} == {
        "reflections, but not one operation,",
        "no bullet was voted for",
    }


async def test_the_same_run_is_given_the_same_block_whatever_is_learnt_meanwhile(book: PlaybookStore) -> None:
    world, recaller = PlantedWorld(2), PlaybookRecaller(book)
    plant(book, [world.helpful("amber")])
    before: Block | None = await recaller.recall(world.task(0), run_id="r")
    plant(book, [world.helpful("birch")], key="later")
    assert await recaller.recall(world.task(0), run_id="r") == before
    after = await recaller.recall(world.task(0), run_id="r2")
    assert before is not None and after is not None and after.version == before.version + 1
    assert after.text.startswith(before.text)


async def test_secrets_in_lessons_are_not_written_down(book: PlaybookStore) -> None:
    world, secret = PlantedWorld(1), "sk-live-4f9a8b7c6d5e4f3a2b1c"
    roles = Roles(lambda prompt: [f"Log in with the key {secret} first."])
    learnt = await PlaybookLearner(book).learn(world.episode(world.task(0), None), call=roles)
    assert learnt.status == "nothing" and "API key" in learnt.note
    with book.store.read() as connection:
        dump = "\n".join(connection.connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
    assert secret not in dump


async def test_a_lesson_that_tells_its_task_again_is_not_written_down(book: PlaybookStore) -> None:
    world = PlantedWorld(1)
    task = world.task(0).model_copy(update={"input": "Profits rose from 60,000 to 100,000."})
    roles = Roles(lambda prompt: ["From 60,000 to 100,000 it is a rise."])
    learnt = await PlaybookLearner(book).learn(world.episode(task, None), call=roles)
    assert learnt.status == "nothing" and "leaks its task" in learnt.note and book.version() == 0


class Crash(BaseException):
    """As sudden as a kill, but in this process."""


@pytest.mark.parametrize("nth", range(1, 7))
async def test_learning_that_crashes_anywhere_is_finished_when_it_is_repeated(
    store: Store, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """The points reached: around the votes' commit, after the lessons, around the edits' commit, before the end."""
    world = PlantedWorld(2)
    reached: list[str] = []

    def point(name: str) -> None:
        reached.append(name)
        if len(reached) == nth:
            raise Crash

    async def learn(name: str) -> PlaybookStore:
        book = PlaybookStore.open(store, name)
        bad = book.current().active[0].id
        roles = truthful(world)
        roles.judge = lambda prompt: [BulletJudgement(id=bad, verdict="harmful")]
        block = PlaybookRecaller(book).recall_now(world.task(0).input, run_id="r")
        episode = world.episode(world.task(0), block, run_id="r")
        for _ in range(2):
            try:
                await PlaybookLearner(PlaybookStore.open(store, name)).learn(episode, call=roles)
            except Crash:
                continue
        return PlaybookStore.open(store, name)

    for name in ("whole", "cut"):
        plant(PlaybookStore.open(store, name), [world.harmful("amber")], key=name)
    whole = await learn("whole")
    monkeypatch.setattr("agentkit.faults.point", point)
    cut = await learn("cut")
    assert len(reached) > nth
    assert cut.current().digest == whole.current().digest and len(cut.current()) == 2
    assert cut.votes() == whole.votes() and cut.verify() == whole.verify() == 3
    assert len(cut.ledger.history(cut.target)) == 3
