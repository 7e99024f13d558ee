"""A model's one-word verdicts on pairs: asked once, kept with the claim, weighed by the verifier."""

from __future__ import annotations

import math
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from agentkit.curation.extraction.verdicts import PairJudge
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.learning.decisions import probabilities
from agentkit.curation.ontology.files import read_short
from agentkit.curation.ontology.schema import Ontology
from agentkit.curation.pairing import PairCuration
from agentkit.errors import ModelError
from agentkit.models import Budget, Retry
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.testing import ScriptedModel

from .test_pairs import SHORT, names, paper

CAUSED = "Lithium caused tremor in most patients."
BESIDE = "Calcium and hemorrhage were associated in some patients."
LEFT_OPEN = "Whether lithium causes rash is unknown."


@pytest.fixture
def ontology() -> Ontology:
    return read_short(SHORT)


def yes_where_caused(messages: list[BaseMessage], tools: list[str]) -> str:
    return _reply("yes" if "caused" in messages[-1].text else "no")


def _reply(word: str) -> str:
    return f'{{"answer": "{word}"}}'


class Graded(ScriptedModel):
    """Says yes with the probability of the first text that the sentence contains."""

    tells_logprobs: bool = True

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        share = next(value for text, value in self.replies.items() if text in messages[-1].text)
        said = "yes" if share >= 0.5 else "no"
        both = [{"token": word, "logprob": math.log(p)} for word, p in (("yes", share), ("no", 1 - share))]
        middle = {"token": said, "logprob": math.log(max(share, 1 - share)), "top_logprobs": both}
        before, after = ({"token": text, "logprob": 0.0, "top_logprobs": []} for text in ('{"answer": "', '"}'))
        return AIMessage(_reply(said), response_metadata={"logprobs": {"content": [before, middle, after]}})


def curate(store: Store, ontology: Ontology, model: Any, *texts: str, budget: Budget | None = None) -> PairCuration:
    judge = PairJudge(model, meter=(budget or Budget()).start(), retry=Retry(attempts=1))
    run = PairCuration(KnowledgeBase(store, "drugs"), ontology, grounders=names(), judge=judge)
    run.run([paper(text, number=number) for number, text in enumerate(texts, 1)])
    return run


def confidences(store: Store) -> dict[tuple[str, str], float | None]:
    return {(c.subject, c.object): c.confidence for c in KnowledgeBase(store, "drugs").claims()}


def test_only_pairs_with_a_quote_that_supports_them_are_asked_about(store: Store, ontology: Ontology) -> None:
    model = ScriptedModel(yes_where_caused, name="test/judge")
    report = curate(store, ontology, model, f"{CAUSED} {LEFT_OPEN}").report
    assert report.calls == 2, "the sentence that says nothing, and the pair with a quote"
    by_object = {claim.object: claim for claim in KnowledgeBase(store, "drugs").claims()}
    assert by_object["MESH:D014202"].model == "pairs/test/judge" and by_object["MESH:D014202"].confidence == 0.8
    assert by_object["MESH:D005076"].model == "pairs" and by_object["MESH:D005076"].status == "unsupported"


def test_a_leaning_of_the_model_is_taken_off(store: Store, ontology: Ontology) -> None:
    model = Graded({"were mentioned": 0.9, "caused": 0.99, "associated": 0.7}, name="test/yes-man")
    curate(store, ontology, model, CAUSED, BESIDE)
    found = confidences(store)
    assert found["MESH:D008094", "MESH:D014202"] == pytest.approx(0.9167, abs=1e-3)
    assert found["MESH:D002118", "MESH:D006470"] == pytest.approx(0.2059, abs=1e-3)


def test_the_verdict_moves_the_probability(store: Store, ontology: Ontology) -> None:
    kb = KnowledgeBase(store, "drugs")
    told = {}
    for said in ("yes", "no"):
        curate(store, ontology, ScriptedModel([_reply(said)], name=f"test/{said}"), CAUSED)
        told[said] = next(iter(probabilities(kb).values()))
    assert told["yes"] > told["no"] + 0.1


def test_the_papers_are_runs_whose_calls_can_be_shown_and_are_made_once(store: Store, ontology: Ontology) -> None:
    model = ScriptedModel(yes_where_caused, name="test/judge")
    curate(store, ontology, model, CAUSED, BESIDE)
    asked = model.calls
    again = curate(store, ontology, model, CAUSED, BESIDE).report
    assert (again.reused, again.calls, model.calls) == (2, 0, asked)
    claim = next(KnowledgeBase(store, "drugs").claims())
    run = RunLog(store).get(claim.run_id)
    assert run.status == "done" and len(RunLog(store).steps(run.id).model_calls) >= 1


def test_a_paper_that_the_model_failed_on_is_asked_about_again(store: Store, ontology: Ontology) -> None:
    broken = ScriptedModel([ModelError("nobody is there")], name="test/judge")
    failed = curate(store, ontology, broken, CAUSED)
    assert failed.report.failed == [("000000000000", "nobody is there")] and failed.report.answered == 0
    assert next(iter(RunLog(store).runs())).status == "failed" and confidences(store) == {}
    assert curate(store, ontology, ScriptedModel(yes_where_caused, name="test/judge"), CAUSED).report.supported == 1


def test_a_budget_stops_the_run_and_a_larger_one_continues_it(store: Store, ontology: Ontology) -> None:
    model = ScriptedModel(yes_where_caused, name="test/judge")
    stopped = curate(store, ontology, model, CAUSED, BESIDE, budget=Budget(calls=2)).report
    assert stopped.stopped and (stopped.papers, stopped.supported) == (1, 1)
    assert sorted(run.status for run in RunLog(store).runs()) == ["done", "interrupted"]
    done = curate(store, ontology, model, CAUSED, BESIDE).report
    assert not done.stopped and (done.papers, done.reused) == (2, 1)
    assert model.calls == 4, "what was answered is not asked again"
