"""The page in a real browser: Debian's Chromium, driven by Playwright's Python client."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agentkit.curation.kb.knowledge_base import open_kb
from agentkit.ledger import Ledger
from agentkit.settings import load_settings
from agentkit.store import Store
from agentkit.store.run_log import RunLog, ToolCall
from agentkit.tasks import Task
from tests.conftest import ROOT
from tests.support.view_world import Sizes, Text, fill
from tests.view.test_markup import PAYLOADS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATHS = (
    "/runs",
    "/runs/run-0",
    "/compare?a=run-0&b=run-1",
    "/playbooks/main",
    "/playbooks/main/diff?from=0&to=2",
    "/memories/main",
    "/memories/main/map",
    "/evolutions/evolution-1",
    "/kbs/main",
    "/kbs/main/graph",
    "/kbs/main/claims",
    "/kbs/main/papers/doc-00000",
    "/kbs/main/review",
)

ASK = "url => fetch(url, {credentials: 'include'}).then(answer => answer.text(), () => 'refused')"
"""A script's request with whatever cookies the browser holds; what it may read of the answer."""

if CHROMIUM is None:
    pytest.skip("Chromium is not installed (Debian: apt-get install chromium)", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")


@pytest.fixture
def tab() -> Iterator[Any]:
    """A tab of a browser; what it shows as a dialog or asks of other hosts is in `tab.dialogs` and `tab.foreign`."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.dialogs, page.foreign, page.refused = [], [], []
        page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.foreign.append(request.url) if "127.0.0.1" not in request.url else None)
        page.on("pageerror", lambda error: page.refused.append(str(error)))
        yield page
        browser.close()


Visit = Callable[..., str]


@pytest.fixture
def visit() -> Iterator[Visit]:
    """Fill the database and start `agentkit view --edit` on it; gives the address with its token."""
    running: list[subprocess.Popen[str]] = []

    def begin(sizes: Sizes | None = None, text: Text = lambda plain: plain) -> str:
        store = Store.open(load_settings().database_url)
        fill(store, sizes or Sizes(), text)
        store.close()
        command = [sys.executable, "-m", "agentkit", "view", "--edit", "--port", "0", "--reviewer", "ada"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.append(process)
        assert process.stdout is not None and process.stderr is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, process.stderr.read()
        return found.group(0)

    yield begin
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_every_page_is_shown_with_its_style_and_its_script(tab: Any, visit: Visit) -> None:
    base = visit().split("/?")
    tab.goto("/?".join(base))
    assert tab.url == f"{base[0]}/runs"
    for path in PATHS:
        assert tab.goto(base[0] + path).status == 200
        assert tab.evaluate("getComputedStyle(document.querySelector('nav')).display") == "flex"
    assert (tab.foreign, tab.refused) == ([], [])


def test_none_of_two_hundred_payloads_runs(tab: Any, visit: Visit) -> None:
    drawn, used = itertools.cycle(PAYLOADS), set[str]()

    def text(plain: str) -> str:
        used.add(payload := next(drawn))
        return f"{payload} {plain}"

    address = visit(Sizes(runs=8, claims=16, bullets=8, cases=8), text)
    assert used == set(PAYLOADS)
    tab.goto(address)
    for path in PATHS:
        assert tab.goto(address.split("/?")[0] + path).status == 200
        assert "alert(1)" in tab.content()
        for element in tab.query_selector_all("summary"):
            element.click()
        tab.mouse.move(300, 300)
    assert (tab.dialogs, tab.foreign) == ([], [])


def test_a_reviewer_decides_twenty_claims_by_keyboard_and_goes_back_and_notes(tab: Any, visit: Visit) -> None:
    address = visit(Sizes(claims=24))
    tab.goto(address)
    tab.goto(address.split("/?")[0] + "/kbs/main/review")
    first = tab.url
    with tab.expect_navigation(url="**start=1"):
        tab.keyboard.press("s")
    with tab.expect_navigation(url=first):
        tab.keyboard.press("b")
    for number in range(20):
        if number == 0:
            tab.keyboard.press("n")
            tab.keyboard.type("a read note")
            tab.keyboard.press("Escape")
        with tab.expect_navigation():
            tab.keyboard.press("a" if number % 2 else "r")
    store = Store.open(load_settings().database_url)
    reviews = open_kb(store, "main").reviews()[1:]
    store.close()
    assert len(reviews) == 20
    assert [review["decision"] for review in reviews[:2]] == ["rejected", "accepted"]
    assert (reviews[0]["note"], {review["reviewer"] for review in reviews}) == ("a read note", {"ada"})


def test_a_reviewer_goes_back_to_a_decided_claim_and_puts_it_right_by_keyboard(tab: Any, visit: Visit) -> None:
    address = visit(Sizes(claims=12))
    tab.goto(address)
    tab.goto(address.split("/?")[0] + "/kbs/main/review")
    first = tab.url
    with tab.expect_navigation():
        tab.keyboard.press("a")
    assert tab.url != first
    with tab.expect_navigation(url=first):
        tab.keyboard.press("b")
    assert "accepted by ada" in tab.inner_text("main")
    tab.keyboard.press("c")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")  # from the subject to the object
    tab.keyboard.press("Control+A")
    tab.keyboard.type("the right thing")
    with tab.expect_navigation():
        tab.keyboard.press("Enter")
    store = Store.open(load_settings().database_url)
    reviews, changes = open_kb(store, "main").reviews()[1:], Ledger(store).history("kb:main", limit=2)
    store.close()
    assert [review["decision"] for review in reviews] == ["accepted", "corrected", "added"]
    assert {change.source for change in changes} == {"ada"}


def test_a_run_is_shown_while_it_runs(tab: Any, visit: Visit) -> None:
    address = visit()
    store = Store.open(load_settings().database_url)
    log = RunLog(store)
    log.start("r9", Task(id="t", input="x"), model="m", options={"in_code": []})
    tab.goto(address)
    tab.goto(address.split("/?")[0] + "/runs/r9")
    assert "nothing yet" in tab.inner_text("main")
    call = ToolCall(key="r9/1/0", tool="calculator", arguments={}, result="fortytwo", ok=True, seconds=0.1)
    log.save_tool_call("r9", call)
    tab.wait_for_selector("text=fortytwo")
    store.close()


def test_thumbs_and_a_right_answer_are_taken(tab: Any, visit: Visit) -> None:
    address = visit()
    tab.goto(address)
    tab.goto(address.split("/?")[0] + "/runs/run-1")
    tab.fill("textarea", "the right one")
    with tab.expect_navigation():
        tab.click("button[value=down]")
    assert "the right one" in tab.inner_text("main")


class Elsewhere(BaseHTTPRequestHandler):
    """Another site's page, on another port of this machine: it sends a form and asks by script."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<form method=post><input name=decision value=up><input name=note value=from-elsewhere>")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"], ids=["same host", "other host"])
def test_a_page_of_another_site_is_refused_whoever_looks_at_it(
    tab: Any, visit: Visit, elsewhere: str, name: str
) -> None:
    address = visit()
    tab.goto(address)
    base = address.split("/?")[0]
    own = tab.inner_text("main")
    tab.goto(elsewhere.replace("127.0.0.1", name))
    for path in ("/runs", "/runs/run-1", "/kbs/main/claims"):
        assert tab.evaluate(ASK, base + path) == "refused"
    tab.evaluate("url => { document.forms[0].action = url; }", base + "/runs/run-1/feedback")
    with tab.expect_navigation():
        tab.evaluate("document.forms[0].submit()")
    assert re.search("pages of other sites|holds the token", tab.inner_text("body"))
    tab.goto(base + "/runs/run-1")
    assert "from-elsewhere" not in tab.content()
    tab.goto(base + "/runs")
    assert tab.inner_text("main") == own
