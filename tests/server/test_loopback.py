"""What gives a request away as another machine's or another site's, for the server and for the page alike."""

from __future__ import annotations

from typing import Literal

import pytest
from starlette.datastructures import Headers

from agentkit.server.loopback import foreign

HERE = "127.0.0.1:8000"


@pytest.mark.parametrize("pages", ["loopback", "own"])
@pytest.mark.parametrize(
    "host", ["elsewhere.example", "127.0.0.1.example", "", "[", "10.0.0.1", "localhost.example:80"]
)
def test_a_name_that_is_not_loopback_s_is_refused(host: str, pages: Literal["loopback", "own"]) -> None:
    assert foreign(Headers({"host": host}), pages=pages) == "host"


@pytest.mark.parametrize("host", [HERE, "localhost:8000", "[::1]:8000", "127.0.0.2"])
def test_loopback_s_own_names_are_let_in(host: str) -> None:
    assert foreign(Headers({"host": host}), pages="own") is None


@pytest.mark.parametrize(
    ("headers", "on_loopback", "own"),
    [
        ({}, None, None),
        ({"origin": f"http://{HERE}", "sec-fetch-site": "same-origin"}, None, None),
        ({"origin": "http://localhost:3000", "sec-fetch-site": "cross-site"}, None, "origin"),
        ({"origin": "https://elsewhere.example"}, "origin", "origin"),
        ({"origin": "null"}, "origin", "origin"),
        ({"origin": "http://["}, "origin", "origin"),
        ({"sec-fetch-site": "cross-site"}, "origin", "origin"),
        ({"sec-fetch-site": "same-site"}, None, "origin"),
        ({"sec-fetch-site": "none"}, None, None),
    ],
)
def test_pages_of_other_sites_are_refused(headers: dict[str, str], on_loopback: str | None, own: str | None) -> None:
    sent = Headers({"host": HERE, **headers})
    assert foreign(sent, pages="loopback") == on_loopback
    assert foreign(sent, pages="own") == own
