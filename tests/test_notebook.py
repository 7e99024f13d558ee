"""What notebooks show of results, playbooks and claims: a table, every text in it escaped."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from agentkit import Agent, Feedback, Result, Store
from agentkit.curation import Claim, Evidence
from agentkit.notebook import LONGEST, table
from agentkit.playbooks import Add, Delta, Playbook, PlaybookStore
from agentkit.playbooks.bullets import Bullet
from agentkit.testing import ScriptedModel
from tests.view.test_markup import PAYLOADS

TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td"}


class Elements(HTMLParser):
    """Notes what a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(attrs)


def shown(value: Any) -> str:
    """The text of a representation, as a reader sees it."""
    return unescape(re.sub(r"<[^>]*>", " ", value._repr_html_()))


def result(text: str) -> Result:
    call = {"type": "model", "role": text, "text": text, "tool_calls": [{"name": text, "args": {"x": text}}]}
    tool = {"type": "tool", "tool": text, "arguments": {"x": text}, "result": text}
    return Result(
        run_id=text,
        task_id="t",
        status="done",
        answer=text,
        confidence=0.5,
        feedback=(Feedback(channel="judge", score=0.5, text=text),),
        trace=(call, tool),
        sources=(text,),
    )


def playbook(text: str) -> Playbook:
    bullet = Bullet(id=text, section=text, scope=text, content=text)
    return Playbook(target=f"playbook:{text}", bullets={text: bullet})


def claim(text: str) -> Claim:
    quote = Evidence(document=text, start=0, end=4, quote=text, section=text)
    return Claim(
        subject=text,
        predicate=text,
        object=text,
        document=text,
        qualifiers={text: text},
        reason=text,
        evidence=(quote,),
    )


@pytest.mark.parametrize("make", [result, playbook, claim])
def test_no_text_is_anything_but_text(make: Any) -> None:
    for payload in PAYLOADS:
        page = make(payload)._repr_html_()
        found = Elements(page)
        assert found.tags <= TAGS
        assert {name for name, _ in found.attributes} <= {"style"}
        assert payload in unescape(page)


def test_a_run_is_shown_with_its_answer_its_steps_and_what_it_used(store: Store) -> None:
    def double(x: int) -> int:
        """Twice a number."""
        return 2 * x

    replies = [{"tool": "double", "arguments": {"x": 28}}, {"answer": "56"}]
    with Agent(ScriptedModel(replies), tools=[double], store=store) as agent:
        text = shown(agent.run("Say the double of x, which is 28."))
    assert all(part in text for part in ("56", "done", "2 model calls", "double", "{'x': 28} → 56", "tool:double"))


def test_a_playbook_is_shown_with_its_lessons_in_use(store: Store) -> None:
    book = PlaybookStore.open(store, "finance")
    book.apply(Delta(key="k", base=0, operations=(Add(content="Round to two places."),), role="person"))
    assert "playbook finance, version 1, 1 in use" in shown(book.current())
    assert "Round to two places." in shown(book.current())


def test_a_claim_is_shown_with_its_quote_and_what_became_of_it() -> None:
    quote = Evidence(document="d", start=0, end=23, quote="Lithium caused tremor.", section="RESULTS")
    made = Claim(subject="Lithium", predicate="induces", object="tremor", document="d", evidence=(quote,))
    text = shown(made.with_status("rejected", "of animals"))
    assert "Lithium — induces → tremor" in text
    assert "Lithium caused tremor." in text
    assert "rejected: of animals" in text


def test_long_texts_end_in_an_ellipsis() -> None:
    cell = re.findall(r"<td[^>]*>(.*?)</td>", table("t", [("a", "y" * 2 * LONGEST)]))[0]
    assert cell == "y" * LONGEST + "…"
