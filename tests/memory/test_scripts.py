"""Cases in every script: found by their words, and alike only where words say so."""

from __future__ import annotations

import pytest

from agentkit.embedding import HashEmbedder
from agentkit.memory import Case, CaseMemory
from agentkit.memory.upkeep import consolidate

STATES = {
    "chinese": "怎样更换厨房水龙头的垫圈",
    "chinese tax": "小企业如何申报年度所得税",
    "japanese": "古い自転車のチェーンを外す方法",
    "thai": "วิธีปลูกมะเขือเทศบนระเบียง",
    "russian": "Как почистить медный чайник?",
    "hindi": "पुराने सिक्के कैसे साफ करें",
    "greek": "Πώς φτιάχνεται το ψωμί;",
    "arabic": "كيف أصلح باب الخزانة",
}
QUERIES = {
    "chinese": "水龙头漏水要换垫圈吗",
    "chinese tax": "年度所得税什么时候申报",
    "japanese": "自転車のチェーン",
    "thai": "มะเขือเทศ",
    "russian": "чайник почистить содой",
    "hindi": "सिक्के साफ",
    "greek": "φτιάχνεται ψωμί",
    "arabic": "باب الخزانة",
}


@pytest.mark.parametrize("policy", ["lexical", "dense"])
@pytest.mark.parametrize("script", QUERIES)
def test_a_case_is_found_by_words_of_its_script(any_memory: CaseMemory, script: str, policy: str) -> None:
    any_memory.add_many(
        Case(state=state, plan="p", reward=1.0, id=name.replace(" ", "-")) for name, state in STATES.items()
    )
    [hit] = any_memory.search(QUERIES[script], 1, policy=policy)
    assert hit.case.state == STATES[script]


def test_long_texts_and_long_words_are_found_too(any_memory: CaseMemory) -> None:
    any_memory.add_many(
        [
            Case(state="x" * 5000 + " needle", plan="p", id="word"),
            Case(state=" ".join(f"w{n}" for n in range(60_000)) + " haystack", plan="p", id="text"),
        ]
    )
    assert [hit.case.id for hit in any_memory.search("needle", policy="lexical")] == ["word"]
    assert [hit.case.id for hit in any_memory.search("w7", policy="lexical")] == ["text"]


def test_quotation_marks_and_operators_in_a_query_are_no_syntax(any_memory: CaseMemory) -> None:
    any_memory.add(Case(state="plain words", plan="p"))
    for query in ('it\'s "plain" & (words | !x) <-> :*', "OR AND NOT NEAR(plain)", "'; --", "\\", "水'龙\\头"):
        any_memory.search(query, policy="lexical")


def test_texts_without_words_are_alike_only_where_they_are_the_same(memory: CaseMemory) -> None:
    for state in ("???", "!!!", "🙂", "🙃"):
        memory.add(Case(state=state, plan="p", reward=1.0))
    for state in STATES.values():
        memory.add(Case(state=state, plan="p", reward=1.0))
    assert consolidate(memory) == []
    first, second = HashEmbedder().embed_documents(["???", "???"])
    assert first == second
