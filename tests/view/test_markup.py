"""No text of a model, a tool, a paper or a person is anything but text in a page, and nobody else can call it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agentkit import view
from agentkit.store import Store
from agentkit.view.door import POLICY
from tests.view.conftest import ADDRESS, TOKEN, Open

_BEGINS = (
    "",
    '"',
    "'",
    "</td>",
    "</pre>",
    "</textarea>",
    "</title>",
    "</script>",
    "-->",
    "]]>",
    "{{ 7*7 }}",
    '\\"',
    "</svg>",
)
_TAGS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<form action=//elsewhere.example><button>x</button></form>",
    "<link rel=stylesheet href=//elsewhere.example/x.css>",
    "<meta http-equiv=refresh content='0;url=//elsewhere.example'>",
    " onmouseover=alert(1) x=",
    "<style>*{background:url(//elsewhere.example)}</style>",
    "<base href=//elsewhere.example/>",
    "<object data=//elsewhere.example></object>",
    "<math><mtext></mtext><script>alert(1)</script></math>",
    "javascript:alert(1)",
    "<details open ontoggle=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;<b>",
)
FOLDER = Path(view.__file__).parent
PAYLOADS = [begin + tag for begin, tag in itertools.product(_BEGINS, _TAGS)]
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "link",
    "script",
    "body",
    "nav",
    "b",
    "a",
    "span",
    "main",
    "h1",
    "h2",
    "p",
    "pre",
    "table",
    "tr",
    "th",
    "td",
    "form",
    "input",
    "select",
    "option",
    "button",
    "textarea",
    "details",
    "summary",
    "div",
    "br",
    "mark",
    "del",
    "ins",
    "svg",
    "line",
    "circle",
    "text",
    "polyline",
    "label",
}
PER_PAGE = 26
"""Payloads of one database: each field has one of them, and over the databases each payload has been in most fields."""


class Reader(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def active(html: str) -> Iterator[str]:
    """What should not be in a page: foreign tags, handlers, scripts, styles, and addresses that lead elsewhere."""
    reader = Reader()
    reader.feed(html)
    for tag, attributes in reader.found:
        if tag not in TAGS:
            yield f"<{tag}>"
        for name, value in attributes.items():
            leads = name in ("href", "src", "action", "data", "formaction", "xlink:href")
            if name.startswith("on") or name in ("style", "srcdoc", "http-equiv"):
                yield f"{tag} {name}={value}"
            if leads and not re.match(r"[/#](?!/)", value):
                yield f"{tag} {name}={value}"
        if tag == "script" and attributes != {"src": "/assets/view.js", "defer": ""}:
            yield f"script {attributes}"


def test_the_reader_sees_what_it_should() -> None:
    for payload in PAYLOADS:
        if "<" in payload.removeprefix("&lt;"):
            assert list(active(f"<td>{payload}</td>")) or re.search(r"<b>$|^</", payload), payload


@pytest.mark.parametrize("part", range(len(PAYLOADS) // PER_PAGE))
@pytest.mark.parametrize("edit", [False, True], ids=["shows", "edits"])
def test_no_text_is_markup_in_any_page(part: int, edit: bool, browser: Open) -> None:
    drawn = itertools.cycle(PAYLOADS[part * PER_PAGE : (part + 1) * PER_PAGE])

    def text(plain: str) -> str:
        return f"{next(drawn)} {plain}"

    page = browser(edit=edit, text=text)
    seen, left = set[str](), ["/runs", "/compare?a=run-0&b=run-1", "/playbooks/main/diff?from=0&to=2"]
    payload = "alert(1)"
    shown = 0
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = page.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"] == POLICY
        assert list(active(answer.text)) == [], path
        shown += payload in answer.text
        left += [link for link in re.findall(r'href="(/[^"#]*)', answer.text.replace("&amp;", "&")) if link not in seen]
    assert shown > 8
    kinds = {path.split("/")[1].split("?")[0] for path in seen}
    assert kinds >= {"runs", "compare", "playbooks", "memories", "evolutions", "kbs"}


def test_there_are_two_hundred_payloads() -> None:
    assert len(set(PAYLOADS)) >= 200


def test_nothing_is_shown_without_the_token(browser: Open) -> None:
    page = browser(token=False)
    for path in ("/", "/runs", "/assets/view.js", f"/runs?token={TOKEN}x"):
        assert page.get(path).status_code == 401
    entered = page.get(f"/runs?status=done&token={TOKEN}", follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "/runs?status=done")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert page.get("/runs").status_code == 200


def test_the_token_s_address_leads_nowhere_else(browser: Open) -> None:
    page = browser(token=False)
    entered = page.get(f"{ADDRESS}//elsewhere.example/?token={TOKEN}", follow_redirects=False)
    assert entered.headers["location"] == "/elsewhere.example/"


def test_other_hosts_and_sites_are_refused(browser: Open) -> None:
    page = browser(edit=True)
    assert page.get("/runs", headers={"Host": "elsewhere.example:8700"}).status_code == 403
    form = {"thumb": "up"}
    for headers in (
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert page.post("/runs/run-0/feedback", data=form, headers=headers).status_code == 403
    assert page.post("/runs/run-1/feedback", data=form, headers={"Origin": ADDRESS}).status_code == 200


def test_a_page_that_shows_takes_nothing(browser: Open, store: Store) -> None:
    page = browser()
    for path in (
        "/runs/run-0/feedback",
        "/changes/x/decide",
        "/targets/playbook%3Amain/rollback",
        "/kbs/main/claims/x/review",
        "/memories/main/cases/x/release",
    ):
        assert page.post(path, data={"decision": "accept"}).status_code == 403
    for path in ("/runs/run-0", "/playbooks/main", "/memories/main", "/kbs/main/review"):
        assert 'method="post"' not in page.get(path).text


def test_nothing_is_fetched_from_elsewhere_and_nothing_escapes_the_escaping() -> None:
    for file in (path for path in FOLDER.rglob("*") if path.suffix in (".html", ".js", ".css")):
        text = re.sub(r"(?m)^// .*$", "", file.read_text("utf-8"))
        assert not re.search(r"https?:|['\"]//|url\(|@import|\|\s*safe\b|autoescape|innerHTML|eval", text), file
