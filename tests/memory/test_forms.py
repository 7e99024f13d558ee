"""Forms of recall: what each gives, where it abstains, and how the one that helps is found."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from agentkit.confidence.likeness import resemblance
from agentkit.embedding import HashEmbedder, VectorCache
from agentkit.files import File
from agentkit.memory import Case, CaseMemory, Filters, FormRecaller, FormSettings
from agentkit.memory.agreement import Agreement
from agentkit.memory.choosing import FLOOR, Belief, RecallArm, Seen, beliefs, choose_arm
from agentkit.memory.forms import (
    Demonstrations,
    Form,
    OptionsForm,
    PlanForm,
    PriorForm,
    RecallQuestion,
    ShortlistForm,
    VoteForm,
)
from agentkit.memory.forms.vote import MIN_PAIRS, elected, threshold_of
from agentkit.memory.kinds import kind_of
from agentkit.memory.neighbours import Neighbour, nearest
from agentkit.memory.policy_store import PolicyStore
from agentkit.memory.query import Query
from agentkit.protocols import Block
from agentkit.store import Store
from agentkit.tasks import Task

TASK = Task(id="t", input="how many people live in utah")


def case(state: str, answer: str, *, reward: float | None = 1.0, correction: str | None = None, id: str = "") -> Case:
    given = Case(state=state, plan=f"Answer: {answer}", answer=answer, reward=reward, correction=correction)
    return replace(given, id=id) if id else given


def near(*answers: str, likeness: float = 0.9) -> list[Neighbour]:
    return [
        Neighbour(case=case(f"task {place}", answer), likeness=likeness - 0.01 * place)
        for place, answer in enumerate(answers)
    ]


def found(memory: CaseMemory, text: str, k: int = 3) -> list[str]:
    return [item.answer for item in nearest(Query(text, memory.vectors), memory.bank(Filters()), "", k)]


def test_only_answers_that_are_known_to_be_right_are_neighbours(memory: CaseMemory) -> None:
    memory.add(case("people in utah", "wrong", reward=0.0))
    memory.add(case("people in utah today", "unknown", reward=None))
    memory.add(case("people in ohio", "munich", correction="corrected"))
    memory.add(case("rivers in ohio", "right"))
    assert found(memory, "people in utah") == ["corrected", "right"]


def test_what_right_answers_quote_is_a_name_and_is_masked(memory: CaseMemory) -> None:
    memory.add(case("which rivers run through new york", "SELECT r FROM river WHERE s = 'new york'"))
    memory.add(case("which rivers run through texas", "SELECT r FROM river WHERE s = 'texas'"))
    memory.add(case("what is the largest city of new york", "SELECT c FROM city WHERE s = 'new york'"))
    memory.add(case("what is the largest city of ohio", "SELECT c FROM city WHERE s = 'ohio'"))
    assert all("river" in answer for answer in found(memory, "which rivers run through ohio", 2))


def test_cases_of_another_kind_of_task_are_no_neighbours(memory: CaseMemory) -> None:
    memory.add(replace(case(TASK.input, "gens"), instructions="of translations"))
    memory.add(case("people in ohio", "12"))
    assert found(memory, TASK.input) == ["12"]
    assert kind_of(TASK) == ""


def test_demonstrations_are_turns_with_the_most_alike_last(memory: CaseMemory) -> None:
    given = Demonstrations().help(RecallQuestion(task=TASK, near=near("1", "2", "3")), 2)
    assert given is not None and given.turns == (("task 1", "2"), ("task 0", "1"))
    assert Demonstrations(room=9).help(RecallQuestion(task=TASK, near=near("1", "2")), 2) is not None
    assert Demonstrations(room=3).help(RecallQuestion(task=TASK, near=near("1", "2")), 2) is None


def test_what_the_model_did_not_know_goes_before_what_it_got_right_alone() -> None:
    told = Neighbour(case=case("told", "x", correction="y"), likeness=0.82)
    given = Demonstrations().help(RecallQuestion(task=TASK, near=[*near("1", "2"), told]), 2)
    assert given is not None and given.turns == (("told", "y"), ("task 0", "1"))
    far = replace(told, likeness=0.7)
    given = Demonstrations().help(RecallQuestion(task=TASK, near=[*near("1", "2"), far]), 2)
    assert given is not None and given.turns == (("task 1", "2"), ("task 0", "1"))


def test_of_answers_that_differ_in_their_values_alone_two_are_shown() -> None:
    queries = [f"SELECT a FROM t WHERE b = '{name}'" for name in ("x", "y", "z")]
    asked = RecallQuestion(task=TASK, near=near(*queries, "SELECT COUNT(*) FROM t", "5"))
    given = Demonstrations().help(asked, 3)
    assert given is not None
    assert [answer for _, answer in given.turns] == ["SELECT COUNT(*) FROM t", queries[1], queries[0]]
    every = Demonstrations(repeats=None).help(asked, 3)
    assert every is not None and [answer for _, answer in every.turns] == queries[::-1]
    labels = Demonstrations().help(RecallQuestion(task=TASK, near=near("a", "a", "a 2")), 3)
    assert labels is not None and len(labels.turns) == 3


def test_a_plan_is_shown_where_there_is_a_way_to_follow() -> None:
    way = Case(state="s", plan="1. look it up\nAnswer: 5", answer="5", reward=1.0)
    given = PlanForm().help(RecallQuestion(task=TASK, near=[Neighbour(case=way, likeness=0.9)]), 3)
    assert given is not None and "look it up" in given.text
    assert PlanForm().help(RecallQuestion(task=TASK, near=near("5")), 3) is None


def test_a_vote_abstains_below_the_threshold_without_one_and_without_agreement() -> None:
    agreed = near("a", "a", "b", "a", "a")
    assert VoteForm().help(RecallQuestion(task=TASK, near=agreed), 5) is None
    assert VoteForm().help(RecallQuestion(task=TASK, near=agreed, threshold=0.95), 5) is None
    assert VoteForm().help(RecallQuestion(task=TASK, near=near("a", "b", "c", "d", "e"), threshold=0.5), 5) is None
    assert VoteForm().help(RecallQuestion(task=TASK, near=agreed, threshold=0.5, choices=("b",)), 5) is None
    given = VoteForm().help(RecallQuestion(task=TASK, near=agreed, threshold=0.5), 5)
    assert given is not None and given.answer == "a"
    assert elected(near("a", "b", "b"))[0] == "b"


def test_a_shortlist_holds_the_answers_of_the_nearest_in_the_order_of_the_choices() -> None:
    asked = {"task": TASK, "near": near("c", "a", "c", "z", "a", "a"), "choices": ("a", "b", "c", "d")}
    given = ShortlistForm().help(RecallQuestion(**asked, covered=0.5), 8)
    assert given is not None and given.choices == ("a", "c")
    assert given.turns == (("task 4", "a"), ("task 2", "c"), ("task 1", "a"), ("task 0", "c"))
    assert ShortlistForm().help(RecallQuestion(**asked), 8) is None
    assert ShortlistForm().help(RecallQuestion(**asked, covered=0.95), 8) is None
    alone = {**asked, "near": near("c", "c", "c")}
    assert ShortlistForm().help(RecallQuestion(**alone, covered=0.5), 8) is None


def test_a_shortlist_is_relied_on_where_the_right_answer_stood_among_the_nearest(memory: CaseMemory) -> None:
    """Each pair of questions has two answers: the nearest alone is right half the time, the two nearest always."""
    things = ("apples", "pears", "plums", "figs")
    for number in range(40):
        for half in ("dear", "cheap"):
            memory.add(case(f"the price of {things[number % 4]}", f"{things[number % 4]} {half}"))
    known = Agreement(memory, "default")
    assert known.threshold("") is None
    assert known.covered("", 1) is None
    assert known.covered("", 8) is not None


def test_a_prior_is_the_answers_of_the_nearest_among_the_choices_with_their_likeness() -> None:
    asked = {"task": TASK, "choices": ("a", "b", "c")}
    given = PriorForm().help(RecallQuestion(**asked, near=near("c", "z", "a")), 8)
    assert given is not None and given.votes == (("c", 0.9), ("a", 0.88))
    assert (given.text, given.turns, given.choices, given.answer) == ("", (), (), None)
    assert PriorForm().help(RecallQuestion(**asked, near=near("z")), 8) is None
    assert PriorForm().help(RecallQuestion(task=TASK, near=near("a")), 8) is None


class LocalWords(HashEmbedder):
    """Counted among the embedders that run here, by its name."""

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.name = "local/words@1"


KEYS = ("house key", "car key", "map", *(f"thing {n}" for n in range(17)))


def test_a_case_makes_inputs_like_its_own_resemble_its_answer_and_takes_nothing_from_the_other_choices() -> None:
    cache = VectorCache(None, LocalWords(512))
    compared = partial(resemblance, cache, "where did I park", KEYS, further=0.1)
    asked = RecallQuestion(task=TASK, choices=KEYS, resemblance=compared)
    nearest = [Neighbour(case=case("where did I park it", "car key"), likeness=0.9), *near("nothing of these")]
    given = OptionsForm().help(replace(asked, near=nearest), 16)
    assert given is not None and [item.case.state for item in given.cases] == ["where did I park it"]
    assert Demonstrations().help(replace(asked, near=nearest), 2) is None
    names = resemblance(cache, "where did I park", KEYS)
    (first, cosine), *others = given.alike
    assert first == "car key" and cosine > 0.5 > names["car key"]
    assert all(value == round(names[choice], 4) for choice, value in others)
    wrong = Neighbour(case=case("where did I park", "map", reward=0.0), likeness=0.9)
    given = OptionsForm().help(replace(asked, near=nearest, refuting=[wrong]), 16)
    assert given is not None and len(given.cases) == 2
    assert dict(given.alike)["map"] == round(names["map"] - 0.05, 4)
    assert (given.text, given.turns, given.votes, given.choices) == ("", (), (), ())


def test_choices_are_compared_with_the_input_where_there_are_many_and_the_embedder_is_a_local_one(
    store: Store, tmp_path: Path
) -> None:
    task = Task(id="t", input="where did I park", choices=KEYS)
    few = task.model_copy(update={"choices": KEYS[:3]})
    ways = [
        (LocalWords(512), task, True, "options"),
        (LocalWords(512), task, False, "prior"),
        (HashEmbedder(512), task, True, "prior"),
        (LocalWords(512), few, True, "prior"),
    ]
    for number, (embedder, asked, weighs, form) in enumerate(ways):
        memory = CaseMemory.open(store, f"m{number}", embedder=embedder, home=tmp_path)
        memory.add(replace(case("where did I park it", "car key"), instructions=kind_of(asked)))
        recaller = FormRecaller(memory, settings=FormSettings(forms=(PriorForm(), OptionsForm()), weighs=weighs))
        block = recaller.recall_now(asked, run_id="r")
        assert block is not None and bool(block.alike) == (form == "options") == (not block.votes)
        assert Block.from_json(json.loads(json.dumps(block.to_json()))) == block
        assert recaller.recall_now(asked, run_id="r") == block


def test_a_case_counts_as_much_as_it_is_nearer_than_cases_of_its_kind_usually_are(store: Store, tmp_path: Path) -> None:
    task = Task(id="t", input="the same words in every question about map", choices=KEYS)
    memory = CaseMemory.open(store, "m", embedder=LocalWords(512), home=tmp_path)
    recaller = FormRecaller(memory, settings=FormSettings(forms=(OptionsForm(),)))

    def told(*cases: Case) -> dict[str, float]:
        for item in cases:
            memory.add(replace(item, instructions=kind_of(task)))
        block = recaller.recall_now(task, run_id=f"r{memory.count()}")
        assert block is not None
        return dict(block.alike)

    usual = [case(f"the same words in every question about {word}", "car key") for word in ("a", "b", "c", "d", "e")]
    assert max(told(*usual[:2]), key=lambda choice: told()[choice]) == "car key"
    found = told(*usual[2:])
    assert max(found, key=lambda choice: found[choice]) == "map"


def test_what_was_answered_about_another_file_is_no_answer_about_this_one() -> None:
    task = TASK.model_copy(update={"files": (File.of(b"a bill", "bill.txt"),)})
    asked = RecallQuestion(task=task, near=near("a", "a", "b", "a"), choices=("a", "b"), threshold=0.0, covered=0.0)
    assert [form.help(asked, 8) for form in (VoteForm(), ShortlistForm(), PriorForm())] == [None] * 3
    assert Demonstrations().help(asked, 2) is not None


def test_the_threshold_is_the_least_likeness_that_has_been_right_often_enough() -> None:
    good = [(0.9 - place / 100, True) for place in range(MIN_PAIRS + 8)]
    bad = [(0.5 - place / 100, False) for place in range(20)]
    threshold = threshold_of([*bad, *good])
    assert threshold is not None and 0.45 <= threshold < 0.75
    assert threshold_of(bad * 3) is None
    assert threshold_of(good[: MIN_PAIRS - 1]) is None
    assert threshold_of([(1.0, number < 12) for number in range(24)]) is None


def stream(value: dict[str, float], *, tasks: int = 200, seed: int = 0) -> list[RecallArm]:
    """Arms that were taken along a stream whose arms are right with these probabilities."""
    rng = np.random.default_rng(seed)
    priors = {
        RecallArm("none", 0): (2.0, 2.0),
        RecallArm("demonstrations", 4): (3.0, 2.0),
        RecallArm("plan", 3): (2.0, 2.0),
    }
    seen: list[Seen] = []
    for _ in range(tasks):
        arm, chance = choose_arm(beliefs(priors, seen), {RecallArm("demonstrations", 4): 0.5}, rng)
        assert 0 < chance <= 1
        seen.append(Seen(arm=arm, outcome=float(rng.random() < value[arm.form])))
    return [item.arm for item in seen]


@pytest.mark.parametrize("seed", range(5))
def test_the_form_that_helps_is_found_and_the_one_that_harms_is_left(seed: int) -> None:
    helps = stream({"none": 0.2, "demonstrations": 0.8, "plan": 0.3}, seed=seed)[100:]
    harms = stream({"none": 0.7, "demonstrations": 0.35, "plan": 0.4}, seed=seed)[100:]
    assert sum(arm.form == "demonstrations" for arm in helps) > 80
    assert sum(arm.form == "none" for arm in harms) > 70


def test_what_helps_with_what_is_alike_is_not_taken_for_what_is_not() -> None:
    none, shown = RecallArm("none", 0), RecallArm("demonstrations", 4)
    priors = {none: (2.0, 2.0), shown: (3.0, 2.0)}
    seen = [
        Seen(arm=arm, outcome=outcome, likeness=likeness)
        for _ in range(30)
        for arm, outcome, likeness in ((none, 0.0, 0.9), (none, 1.0, 0.3), (shown, 1.0, 0.9), (shown, 0.0, 0.3))
    ]
    for likeness, best in ((0.85, shown), (0.35, none)):
        known = beliefs(priors, seen, likeness)
        assert max(known, key=lambda arm: known[arm].mean) == best
    old = [replace(item, likeness=None) for item in seen]
    assert beliefs(priors, old, 0.85) == beliefs(priors, old, 0.35)
    assert known[none] == Belief(right=32.0, wrong=32.0) and known[shown].wrong < 30


def test_no_recall_keeps_a_least_chance_and_tokens_weigh_between_equals() -> None:
    known = {
        RecallArm("none", 0): Belief(right=1, wrong=400),
        RecallArm("demonstrations", 2): Belief(right=400, wrong=1),
    }
    taken = [choose_arm(known, {}, np.random.default_rng(seed)) for seed in range(300)]
    shares = {chance for arm, chance in taken if arm.form == "none"}
    assert [*shares] == [pytest.approx(FLOOR)]
    equal = {RecallArm("demonstrations", k): Belief(right=4000, wrong=1000) for k in (2, 8)}
    cheap = [
        choose_arm(equal, {RecallArm("demonstrations", 8): 3.0}, np.random.default_rng(seed))[0] for seed in range(50)
    ]
    assert {arm.k for arm in cheap} == {2}


def filled(memory: CaseMemory) -> CaseMemory:
    for number, name in enumerate(("ohio", "texas", "maine")):
        memory.add(case(f"how many people live in {name}", f"{number}", id=name))
    return memory


def recaller(memory: CaseMemory, *forms: Form) -> FormRecaller:
    return FormRecaller(memory, settings=FormSettings(forms=forms)) if forms else FormRecaller(memory)


def test_the_same_run_gets_the_same_and_what_was_chosen_is_logged_with_its_probability(memory: CaseMemory) -> None:
    first = recaller(filled(memory), Demonstrations()).recall_now(TASK, run_id="r")
    memory.add(case("how many people live in utah today", "9", id="new"))
    again = recaller(memory).recall_now(TASK, run_id="r")
    assert first is not None and first == again and len(first.turns) in (2, 3)
    logged = PolicyStore(memory.store, memory.name).log.find("r", "default")
    assert logged is not None
    kind, form, k, chance, likeness = logged.policy.split("/")
    assert 0.5 < float(likeness) <= 1
    assert (kind, form) == ("", "demonstrations") and k in ("2", "3") and 0 < float(chance) <= 1
    assert {offer.probability for offer in first.offers} == {float(chance)}


def test_a_case_put_into_quarantine_since_is_left_out(memory: CaseMemory) -> None:
    first = recaller(filled(memory), Demonstrations()).recall_now(TASK, run_id="r")
    assert first is not None
    shown = [offer.id for offer in first.offers if offer.shown]
    gone = [memory.get(id) for id in shown[:1]]
    with memory.store.write() as connection:
        memory.rows.update(connection, gone, status="quarantined")
    again = recaller(memory, Demonstrations()).recall_now(TASK, run_id="r")
    assert again is not None and len(again.turns) == len(first.turns) - 1


def test_an_empty_memory_asks_the_model_alone(memory: CaseMemory) -> None:
    assert recaller(memory).recall_now(TASK, run_id="r") is None


def test_outcomes_teach_which_form_to_take(memory: CaseMemory) -> None:
    taught, policies = recaller(filled(memory)), PolicyStore(memory.store, memory.name)
    forms = []
    for number in range(60):
        taught.recall_now(TASK, run_id=f"r{number}")
        logged = policies.log.find(f"r{number}", "default")
        assert logged is not None
        forms.append(logged.policy.split("/")[1])
        policies.learn(f"r{number}", "default", float(forms[-1] == "none"))
    assert forms[-20:].count("none") >= 15 and "demonstrations" in forms
