"""The command line run in this process."""

from __future__ import annotations

from tests.cli.conftest import agentkit  # noqa: F401 - a fixture
