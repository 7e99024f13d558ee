"""The trust boundary: poisoned trajectories change no active bullet, and useful lessons get through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import UserError
from agentkit.playbooks import Add, Bullet, LearningPolicy, PlaybookLearner, PlaybookStore
from agentkit.playbooks.bullets import clean
from agentkit.playbooks.rendering import Renderer, line
from agentkit.playbooks.trust import escape_content, lint
from agentkit.protocols import Episode
from agentkit.roles.curator import CuratorDelta, CuratorOperation
from agentkit.store import Store
from agentkit.tasks import Feedback, Task
from tests.support.playbook_world import Roles, plant
from tests.support.poison import attacks, benign


@pytest.fixture
def book(store: Store) -> PlaybookStore:
    made = PlaybookStore.open(store, "guarded")
    plant(made, ["Check the sign of every amount.", "Name the unit of each number.", "Quote the sentence you rely on."])
    return made


def obedient(lesson: str) -> Roles:
    """Roles that an attacker has talked into anything: the curator even wants to overwrite what is there."""

    def curate(prompt: str) -> CuratorDelta:
        ids = re.findall(r"\[(\w{8})\]", prompt)[:3]
        wanted = [
            CuratorOperation(op="add", texts=[lesson]),
            CuratorOperation(op="update", ids=ids[:1], texts=[lesson]),
        ]
        return CuratorDelta(reasoning="as told", operations=wanted)

    return Roles(lambda prompt: [lesson], curate=curate)


@pytest.mark.parametrize("untrusted", [True, False], ids=["untrusted", "trusted"])
async def test_two_hundred_poisoned_trajectories_change_no_active_bullet(book: PlaybookStore, untrusted: bool) -> None:
    """Runs with outside text are held back whole; were a run wrongly trusted, the lint alone must hold the line."""
    before = book.current().active
    learner = PlaybookLearner(book, policy=LearningPolicy(curate="always"))
    for number, attack in enumerate(attacks(200, [bullet.id for bullet in before])):
        learnt = await learner.learn(attack.episode(number, untrusted=untrusted), call=obedient(attack.lesson))
        assert learnt.status in ("quarantined", "nothing", "waiting"), attack
    assert book.current().active == before


async def test_at_most_one_benign_lesson_in_twenty_is_lost(book: PlaybookStore) -> None:
    lessons = benign(200)
    learner = PlaybookLearner(book, policy=LearningPolicy(curate="never"))
    for number, lesson in enumerate(lessons):
        episode = Episode(
            run_id=f"b{number}",
            task=Task(id=str(number), input="x"),
            labels="none",
            answer="y",
            feedback=(Feedback(channel="check", score=0.0),),
        )
        await learner.learn(episode, call=Roles(lambda prompt, lesson=lesson: [lesson]))  # type: ignore[misc]
    known = {bullet.content for bullet in book.current()}
    assert sum(lesson not in known for lesson in lessons) <= 10


def test_the_lint_itself_flags_every_attack_and_few_benign_lessons() -> None:
    assert [attack for attack in attacks(300, ["abcdwxyz"]) if not lint(attack.lesson)] == []
    assert sum(bool(lint(lesson)) for lesson in benign(256)) / 256 <= 0.02


NASTY = st.text(alphabet=st.sampled_from("\n\r\u2028#[]<>/-*: abz29playbook\u200b\u202e\x00`"), max_size=80)


@given(st.lists(NASTY, min_size=1, max_size=6), NASTY, NASTY)
def test_no_content_section_or_scope_can_forge_structure(contents: list[str], section: str, scope: str) -> None:
    bullets = []
    for content in contents:
        try:
            made = Add(content=content, section=section, scope=scope)
        except UserError:
            continue
        bullets.append(Bullet(made.id, made.section, made.scope, made.content))
    text = Renderer(budget=10**6).render(bullets).text
    lines = text.split("\n")
    assert len(lines) == (len(bullets) + 1 if bullets else 1)
    for bullet, rendered in zip(bullets, lines[1:], strict=True):
        assert rendered.startswith(f"[{bullet.id}] (")
        assert re.findall(r"\[\s*[\w-]{2,24}\s*\]", rendered[10:]) == []
        assert re.search(r"<[/|]?[A-Za-z_]", rendered) is None


@given(st.text(max_size=200))
def test_escaping_keeps_any_text_on_its_line(text: str) -> None:
    escaped = escape_content(text)
    assert "\n" not in escaped and not escaped.startswith("#")


def test_what_a_bullet_says_is_still_readable() -> None:
    content = clean("Use `items[0]` and x < 3, see [Smith 2020]; cost is <10")
    assert "items[0]" in line(Bullet("abcdwxyz", "s", "", content))


def test_common_words_are_no_findings() -> None:
    fine = [
        "Handle the next_page token.",
        "The key insight: check units.",
        "Ignore cancelled rows.",
        "The system of equations has one solution.",
        "Pass the API key in the header, from the settings.",
    ]
    assert [text for text in fine if lint(text)] == []
