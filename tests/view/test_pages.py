"""What the pages show, and what they can do."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from agentkit.curation.kb.knowledge_base import Author, Write, open_kb
from agentkit.curation.kb.records import Record
from agentkit.curation.kb.review import queue_order
from agentkit.evolution.streams import StreamPlan, stream_report
from agentkit.evolution.streams.comparing import ArmRun, StreamAnswer
from agentkit.evolution.streams.watching import StreamWatch
from agentkit.ledger import Ledger
from agentkit.playbooks import PlaybookStore
from agentkit.store import Store
from agentkit.store.evolution import EvolutionRow
from agentkit.store.run_log import RunLog
from agentkit.tasks import Task
from agentkit.view.pages.knowledge import labels_of, stretches
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
    assert text.count('class="span ') == 2


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


def test_a_map_shows_cases_that_lead_to_their_pages(browser: Open) -> None:
    page = browser()
    for by in ("reward", "kind", "status"):
        drawn = page.get(f"/memories/main/map?by={by}").text
        assert len(re.findall(r'<a href="/memories/main/cases/[^"]+"><circle', drawn)) == 3
    assert "success (3)" in page.get("/memories/main/map").text
    [first, *_] = re.findall(r'<a href="(/memories/main/cases/[^"]+)"><circle', drawn)
    case = page.get(first).text
    assert "Plan" in case and "Nearest tasks" in case and case.count("/memories/main/cases/") == 2
    assert "too few for a map" in page.get("/memories/main/map?status=merged").text


def test_an_evolution_shows_its_curve_and_the_gate_s_evidence(browser: Open) -> None:
    text = browser().get("/evolutions/evolution-1").text
    assert text.count("<svg") == 3
    assert 'class="border"' in text and "9/2 of 20" in text and "converged" in text


def test_arms_are_shown_with_their_intervals(browser: Open, store: Store) -> None:
    page = browser()
    estimate = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 12}
    result = {"status": "done", "arms": [{"name": "learned", "label": "after learning", "accuracy": estimate}]}
    result["stream"] = {"block": 6, "success": {"blocks": [estimate | {"n": 6}]}, "retention": {"curve": []}}
    with store.write() as connection:
        connection.execute(update(EvolutionRow).values(result={**result, "scored_on": "test"}))
    text = page.get("/evolutions/evolution-1").text
    assert "after learning" in text and "0.500 n=12" in text and "The same test tasks" in text
    assert "tasks 1 to 6" in text


def test_arms_along_a_stream_are_shown_while_it_runs_and_after(browser: Open, tmp_path: Path) -> None:
    page = browser()
    plan = StreamPlan(
        tasks=[Task(id=str(n), input="x", target="x") for n in range(10)], folder=tmp_path / "streams" / "k"
    )
    watch = StreamWatch(plan, model="m", name="a stream")
    answers = [StreamAnswer(task_id=str(n), score=float(n > 4)) for n in range(10)]
    for place, answer in enumerate(answers):
        watch.answered("stateless", 0, place, answer)
    assert "a stream" in page.get("/evolutions").text
    running = page.get("/streams/k").text
    assert "data-live" in running and "0.500 n=10" in running and "<polyline" in running
    watch.done(stream_report([ArmRun(arm="stateless", order=0, stream=answers, holdout=answers[:2], again=[])]))
    done = page.get("/streams/k").text
    assert "data-live" not in done and "Last quarter" in done and "Hold-out" in done
    assert page.get("/streams/none").status_code == 404


def test_a_graph_shows_what_is_said_between_things_and_leads_on(browser: Open, store: Store) -> None:
    page = browser()
    text = page.get("/kbs/main/graph").text
    assert 'class="edge ' in text and "lowers" in text
    [around, *_] = re.findall(r'<a href="(/kbs/main/graph\?around=[^"]+)"><circle', text)
    assert 'class="node now"' in page.get(around).text
    [listed, *_] = re.findall(r'<a href="(/kbs/main/claims\?[^"]+)"><line', text)
    assert page.get(listed.replace("&amp;", "&")).text.count('<div class="claim">') == 1
    assert "no claims that are" in page.get("/kbs/main/graph?around=nothing").text


def test_claims_that_contradict_each_other_are_shown_in_red_and_in_the_queue(browser: Open, store: Store) -> None:
    page, kb = browser(edit=True), open_kb(store, "main")
    record = next(kb.records(status="supported"))
    other = replace(record.claim, qualifiers={**record.claim.qualifiers, "direction": "increased"}, id="")
    kb.write(Write(records=[Record(claim=other)]), key="clash", author=Author())
    assert 'class="edge bad"' in page.get("/kbs/main/graph").text
    assert "contradicts it:" in page.get(f"/kbs/main/review?claim={record.claim.id}").text
    assert list(kb.heads(told_apart=True)) == [head for head in kb.heads() if head.id in (record.claim.id, other.id)]
    assert queue_order(kb, first=3) == queue_order(kb)[:3]
    assert {id for id, disputed in queue_order(kb)[:2] if disputed > 0.3} <= {record.claim.id, other.id}


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
        [action] = set(re.findall(r'action="(/kbs/main/claims/[^"]+/review)"', text))
        assert {"a", "r", "n"} <= set(re.findall(r'data-key="(\w)"', text))
        done = page.post(action, data={"decision": "accept", "start": "0", "note": f"read {decided}"})
        assert done.status_code == 200
        decided += 1
        if decided == 1:
            again = page.get(action.replace("/claims/", "/review?claim=").removesuffix("/review")).text
            assert "accept" in again and "read 0" in again and "decided ·" in again
    assert decided == 5
    assert len(list(kb.claims(status="accepted"))) == 6
    assert kb.reviews()[-1]["reviewer"] == "ada"


def test_a_claim_is_put_right_and_the_correction_teaches(browser: Open, store: Store) -> None:
    page, kb = browser(edit=True), open_kb(store, "main")
    text = page.get("/kbs/main/review").text
    cells = {name: html.unescape(value) for name, value in re.findall(r'<input name="(\w+)" value="([^"]*)">', text)}
    [action] = set(re.findall(r'action="(/kbs/main/claims/[^"]+/review)"', text))
    cells |= {"decision": "correct", "start": "0"}
    assert page.post(action, data=cells).status_code == 400  # nothing is changed
    page.post(action, data={**cells, "object": "another pressure", "qualifiers": "", "note": "as it says"})
    old, new = kb.find(action.split("/")[4]), next(record for record in kb.records() if record.by_hand)
    assert old.claim.status == "rejected" and old.claim.reason.startswith("corrected: ")
    assert (new.claim.status, dict(new.claim.qualifiers)) == ("accepted", {})
    assert labels_of(kb, [new.claim.object]) == {new.claim.object: "another pressure"}
    [change, *_] = Ledger(store).history(kb.target, limit=1)
    assert (change.source, change.note, change.role) == ("ada", "as it says", "person")
    assert "as it says" in page.get("/kbs/main").text
    assert Ledger(store).version("verifier:main") == 0
    page.__exit__(None, None, None)  # what is left to learn is learnt when the page is closed
    page.__enter__()
    assert Ledger(store).version("verifier:main") == 1
    assert "What reviewers taught" in page.get("/kbs/main").text


def test_a_knowledge_base_is_rolled_back(browser: Open, store: Store) -> None:
    page, kb = browser(edit=True), open_kb(store, "main")
    [back, *_] = re.findall(r'action="(/targets/[^"]+)"><button name="version" value="2">', page.get("/kbs/main").text)
    page.post(back, data={"version": "2"})
    assert not list(kb.claims(status="accepted"))


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
        "/memories/none/map",
        "/memories/main/cases/none",
        "/kbs/none/graph",
        "/kbs/main/review?claim=none",
        "/assets/none",
        "/assets/..%2Fapp.py",
        "/nothing",
    ],
)
def test_what_is_not_there_is_said(path: str, browser: Open) -> None:
    assert browser().get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/runs?before=x",
        "/playbooks/main?version=x",
        "/playbooks/main?version=99",
        "/kbs/main?start=x",
        "/memories/main/map?by=x",
    ],
)
def test_odd_addresses_are_one_clear_line(path: str, browser: Open) -> None:
    assert browser().get(path).status_code == 400
