"""How much of a growing playbook stays in the common prefix of consecutive prompts."""

from __future__ import annotations

from benchmarks.playbook_prefix import append_only, entries, grow


def test_ninety_eight_percent_of_a_growing_playbooks_tokens_stay_in_the_common_prefix() -> None:
    grown = grow(append_only, entries(359, None), 2, len)
    assert sum(share * tokens for share, tokens in grown) / sum(tokens for _, tokens in grown) >= 0.98
