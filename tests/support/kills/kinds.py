"""The kinds of work that are killed, by name."""

from __future__ import annotations

from tests.support.kills import curation, evolution, memory, playbook, runs

KINDS = {work.name: work for work in (runs.WORK, evolution.WORK, memory.WORK, playbook.WORK, curation.WORK)}
