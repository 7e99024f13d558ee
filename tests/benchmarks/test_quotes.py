"""True quotes are accepted and false ones refused, on gold annotations."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import quotes


@pytest.mark.data
def test_gold_quotes_are_found_and_altered_ones_are_not(data_dir: Path) -> None:
    gold = quotes.evidence_inference(data_dir / "evidence_inference")
    assert all(quotes.found_quotes(gold)["gold quote found in the text"])
    altered = [hit for hits in quotes.altered_quotes(gold).values() for hit in hits]
    assert len(altered) > 2000 and sum(altered) <= len(altered) // 100
    claims = quotes.claims_of_trials(gold)
    false = [hit for kind, hits in claims.items() if kind.startswith("claim:") for hit in hits]
    assert sum(false) <= len(false) // 100
