from __future__ import annotations

import pytest

from agentkit.playbooks.leakage import leaks
from agentkit.tasks import Task

GROWTH = Task(
    id="a",
    input="Profits rose from $60,000 to $100,000 within 365 days. What is the growth in percent of 100?",
    target="66.67",
)
FALL = Task(
    id="b", input="Sales fell from 80 to 50 within 365 days. What is the growth in percent of 100?", target="-37.5"
)
DRUG = Task(id="c", input="Find every claim.", target="lithium — induces → tremor\naspirin — induces → bleeding")


@pytest.mark.parametrize(
    ("lesson", "tasks", "told"),
    [
        ("Growth from 60,000 to 100,000 is high.", [GROWTH, FALL], True),
        ("Divide by the first amount, 80, and not by 50.", [GROWTH, FALL], True),
        ("With 60,000 at first the growth is 66.67.", [GROWTH], True),
        ("Multiply by 100 and divide by 365.", [GROWTH, FALL], False),
        ("Divide by the first amount, never by 2 or 3.", [GROWTH], False),
        ("The right answer is Lithium —  induces → tremor.", [DRUG], True),
        ("Lithium may induce a disease that the title names.", [DRUG], False),
        ("Answer `reject` where no rule fits.", [Task(id="d", input="Decide.", target="reject")], False),
        ("A stated rate is InterestRateStated.", [Task(id="e", input="Tag it.", target="InterestRateStated")], False),
        ("Growth from 60,000 is high.", [], False),
    ],
)
def test_what_tells_one_task_again_is_known_from_a_rule(lesson: str, tasks: list[Task], told: bool) -> None:
    assert leaks(lesson, tasks) is told
