"""A page over a small database that holds everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2", reason="the server extra is not installed")

from starlette.testclient import TestClient

from agentkit.settings import load_settings
from agentkit.store import Store
from agentkit.view import ViewOptions, create_view
from tests.support.view_world import Sizes, Text, fill

TOKEN = "a token of these tests"
ADDRESS = "http://127.0.0.1:8700"
Open = Callable[..., TestClient]


@pytest.fixture
def browser(store: Store, tmp_path: Path) -> Iterator[Open]:
    """Open the page; without `token` as somebody who has only found the port."""
    opened: list[Any] = []

    def make(*, edit: bool = False, token: bool = True, text: Text = lambda plain: plain) -> TestClient:
        fill(store, Sizes(), text)
        options = ViewOptions(edit=edit, token=TOKEN, reviewer="ada")
        client = TestClient(create_view(store, load_settings(home=tmp_path), options), base_url=ADDRESS)
        client.__enter__()
        opened.append(client)
        if token:
            assert client.get(f"/?token={TOKEN}").status_code == 200
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)
