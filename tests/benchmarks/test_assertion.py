"""The sentences that tell whether findings are told from what is none."""

from __future__ import annotations

from collections import Counter

from benchmarks.assertion import sentences


def test_the_set_of_sentences_is_large_and_half_of_it_is_held_back() -> None:
    listed = list(sentences())
    held = [sentence for sentence in listed if sentence.half == "held"]
    assert len(held) >= 200 and len(listed) - len(held) >= 500
    assert len({s.category for s in held}) == 12 and {s.relation for s in held} == {"induces", "treats"}
    assert not {s.text for s in held} & {s.text for s in listed if s.half == "seen"}


def test_few_sentences_are_judged_wrongly() -> None:
    wrong, all_ = Counter[tuple[str, bool]](), Counter[tuple[str, bool]]()
    for sentence in sentences():
        kind = (sentence.half, sentence.category == "finding")
        all_[kind] += 1
        wrong[kind] += sentence.supports() != (sentence.category == "finding")
    share = {kind: wrong[kind] / all_[kind] for kind in all_}
    assert share["held", False] <= 0.03 and share["held", True] <= 0.1
    assert share["seen", False] <= 0.03 and share["seen", True] <= 0.03
