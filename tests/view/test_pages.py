"""What the pages show, and what they can do."""

from __future__ import annotations

import re

import pytest

from agentkit.curation.kb.knowledge_base import open_kb
from agentkit.ledger import Ledger
from agentkit.playbooks import PlaybookStore
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.tasks import Task
from agentkit.view.pages.knowledge import stretches
from agentkit.view.pages.learnt import words_apart
from tests.view.conftest import Open


def test_runs_are_listed_newest_first_and_filtered(browser: Open) -> None:
    page = browser()
    everything = page.get("/runs").text
    assert everything.index("run-3") < everything.index("run-1") < everything.index("run-0")
    assert "3 done" in everything
    assert page.get("/runs", params={"status": "failed"}).text.count("/runs/run-") == 1
    found = page.get("/runs", params={"q": "Question 1"}).text
    assert "/runs/run-1" in found and "/runs/run-2" not in found
    older = page.get("/runs", params={"before": "2026-01-01T00:00:01+00:00"}).text
    assert "/runs/run-0" in older and "/runs/run-1" not in older


def test_a_run_is_a_timeline_with_what_was_recalled_asked_called_and_said(browser: Open) -> None:
    text = browser().get("/runs/run-0").text
    for part in (
        "Question 0?",
        "a lesson",
        "withheld at random",
        "calculator",
        "Let me see",
        "so so",
        "answer 0",
        "because",
        "100 tokens in (40 cached)",
        "playbook:main",
    ):
        assert part in text, part
    assert '<span class="cached">Use a tool' in text


def test_two_runs_stand_side_by_side(browser: Open) -> None:
    text = browser().get("/compare?a=run-0&b=run-1").text
    assert "answer 0" in text and "answer 1" in text


def test_a_running_run_is_marked_as_live(browser: Open, store: Store) -> None:
    page = browser()
    assert "data-live" not in page.get("/runs/run-0").text

    RunLog(store).start("r9", Task(id="t", input="x"), model="m", options={"in_code": []})
    assert "data-live" in page.get("/runs/r9").text


def test_a_playbook_shows_effects_versions_and_what_waits(browser: Open) -> None:
    page = browser()
    text = page.get("/playbooks/main").text
    assert "<svg" in text and "n=" in text
    assert "What waits: c." in text and "it reads like an order" in text
    apart = page.get("/playbooks/main/diff?from=1&to=2").text
    assert "about <del>this</del><ins>something</ins>" in apart
    bullet = re.findall(r"/playbooks/main/bullets/(\w+)", text)[0]
    assert "a page" in page.get(f"/playbooks/main/bullets/{bullet}").text


def test_texts_are_compared_word_by_word() -> None:
    pieces = [(piece.kind, piece.text) for piece in words_apart("add the tax", "add no tax")]
    assert pieces == [("same", "add "), ("gone", "the"), ("new", "no"), ("same", " tax")]


def test_a_memory_shows_cases_with_their_effects(browser: Open) -> None:
    page = browser()
    text = page.get("/memories/main").text
    assert "Case 0" in text and "<svg" in text
    assert "Case 0" not in page.get("/memories/main?status=quarantined").text


def test_an_evolution_shows_its_curve_and_the_gate_s_evidence(browser: Open) -> None:
    text = browser().get("/evolutions/evolution-1").text
    assert text.count("<svg") == 3
    assert 'class="border"' in text and "9/2 of 20" in text and "converged" in text


def test_a_paper_stands_beside_its_claims_with_the_quotes_marked(browser: Open, store: Store) -> None:
    page = browser()
    text = page.get("/kbs/main/papers/doc-00000").text
    claim = next(open_kb(store, "main").claims(document="doc-00000"))
    assert f'<a href="#claim-{claim.id}"><mark' in text
    assert f'id="claim-{claim.id}"' in text
    assert f"<mark>{claim.evidence[0].quote}</mark>" in page.get(f"/kbs/main/claims/{claim.id}").text
    assert "lowers" in page.get("/kbs/main").text


def test_overlapping_quotes_cut_a_text_into_stretches(browser: Open, store: Store) -> None:
    browser()
    records = list(open_kb(store, "main").records(document="doc-00000"))
    text = open_kb(store, "main").document("doc-00000")
    assert text is not None
    found = stretches(text.text, [*records, records[0]])
    assert "".join(stretch.text for stretch in found) == text.text
    assert {id for stretch in found for id in stretch.claims} == {record.claim.id for record in records}


def test_the_queue_is_decided_claim_by_claim(browser: Open, store: Store) -> None:
    page, kb = browser(edit=True), open_kb(store, "main")
    decided = 0
    while "data-key" in (text := page.get("/kbs/main/review").text):
        [action] = re.findall(r'action="(/kbs/main/claims/[^"]+/review)"', text)
        assert {"a", "r", "n"} <= set(re.findall(r'data-key="(\w)"', text))
        done = page.post(action, data={"decision": "accept", "start": "0", "note": f"read {decided}"})
        assert done.status_code == 200
        decided += 1
    assert decided == 5
    assert len(list(kb.claims(status="accepted"))) == 6
    assert kb.reviews()[-1]["reviewer"] == "ada"


def test_feedback_teaches(browser: Open, store: Store) -> None:
    page = browser(edit=True)
    page.post("/runs/run-1/feedback", data={"thumb": "down", "answer": "the right one", "text": "the sum is wrong"})
    assert "the right one" in page.get("/runs/run-1").text
    assert Ledger(store).targets("credit") == ["credit:main"]


def test_what_waits_can_be_accepted_rejected_and_rolled_back(browser: Open, store: Store) -> None:
    page, book = browser(edit=True), PlaybookStore.open(store, "main")
    waits = re.findall(r'action="/changes/(\w+)/decide"', page.get("/playbooks/main").text)
    page.post(f"/changes/{waits[0]}/decide", data={"decision": "accept"})
    page.post(f"/changes/{waits[1]}/decide", data={"decision": "reject"})
    assert (book.version(), len(book.current())) == (3, 5)
    assert [book.ledger.get(id).status for id in waits] == ["applied", "rejected"]
    page.post("/targets/playbook%3Amain/rollback", data={"version": "2"})
    assert (book.version(), len(book.current())) == (4, 4)


def test_a_case_in_quarantine_can_be_vouched_for(browser: Open) -> None:
    page = browser(edit=True)
    before = page.get("/memories/main?status=quarantined").text
    [first, *_] = re.findall(r'action="(/memories/main/cases/\w+/release)"', before)
    page.post(first, data={"namespace": "default"})
    assert first not in page.get("/memories/main?status=quarantined").text


@pytest.mark.parametrize(
    "path",
    [
        "/runs/none",
        "/playbooks/none",
        "/memories/none",
        "/evolutions/none",
        "/kbs/none",
        "/kbs/main/claims/none",
        "/kbs/main/papers/none",
        "/playbooks/main/bullets/none",
        "/assets/none",
        "/assets/..%2Fapp.py",
        "/nothing",
    ],
)
def test_what_is_not_there_is_said(path: str, browser: Open) -> None:
    assert browser().get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/runs?before=x", "/playbooks/main?version=x", "/playbooks/main?version=99", "/kbs/main?start=x"]
)
def test_odd_addresses_are_one_clear_line(path: str, browser: Open) -> None:
    assert browser().get(path).status_code == 400
