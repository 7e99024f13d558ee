"""The pictures of docs/view.md and of the README: `python -m tests.view.pictures [--keep FOLDER] [NAMES…]`.

A database is made by real commands (`tests.support.view_demo`), and a real Chromium shows what `agentkit view --edit`
makes of it. With --keep the folder is used again, so that a picture can be looked at quickly.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import select

from agentkit.curation.kb.knowledge_base import open_kb
from agentkit.playbooks import PlaybookStore
from agentkit.settings import load_settings
from agentkit.store import Store
from agentkit.store.cases import CaseRow
from agentkit.store.evolution import EvolutionRow
from agentkit.store.run_log import RunLog
from tests.conftest import ROOT
from tests.support.view_demo import live_a_little, order_desk

FOLDER = ROOT / "docs" / "pictures"
WIDTH, TALLEST = 1120, 1000
FILM = ("runs", "run", "playbook", "diff", "evolution", "stream", "map", "graph", "paper", "review")
CUT, FILM_WIDTH, SHOWN_MS = 760, 840, 2200
COLOURS = 128
"""A picture of text and lines needs no more, and is a third of the size."""


def pages() -> dict[str, str]:
    """Every kind of page: the name of its picture and its address."""
    store = Store.open(load_settings().database_url)
    runs = [run for run in RunLog(store).runs(limit=None) if not run.batch and "curation" not in run.options]
    kb = open_kb(store, "safety")
    claim = next(iter(kb.records(status="supported"))).claim
    book = PlaybookStore.open(store, "orders")
    with store.read() as connection:
        evolutions = list(connection.execute(select(EvolutionRow.id).order_by(EvolutionRow.created_at)).scalars())
        case = connection.execute(select(CaseRow.id).where(CaseRow.memory == "orders").limit(1)).scalar_one()
    stream = next((load_settings().home / "streams").glob("*/stream.json")).parent.name
    newest = book.version()
    store.close()
    return {
        "runs": "/runs",
        "run": f"/runs/{runs[0].id}",
        "compare": f"/compare?a={runs[0].id}&b={runs[-1].id}",
        "playbook": "/playbooks/orders",
        "diff": f"/playbooks/orders/diff?from=0&to={newest}",
        "bullet": f"/playbooks/orders/bullets/{book.current().active[0].id}",
        "memory": "/memories/orders",
        "map": "/memories/orders/map?by=status",
        "case": f"/memories/orders/cases/{case}",
        "evolutions": "/evolutions",
        "evolution": f"/evolutions/{evolutions[0]}",
        "along": f"/evolutions/{evolutions[-1]}",
        "stream": f"/streams/{stream}",
        "kb": "/kbs/safety",
        "graph": "/kbs/safety/graph?predicate=induces",
        "claims": "/kbs/safety/claims",
        "claim": f"/kbs/safety/claims/{claim.id}",
        "paper": f"/kbs/safety/papers/{claim.document}",
        "review": "/kbs/safety/review",
    }


@contextmanager
def viewed() -> Iterator[str]:
    """`agentkit view --edit` in a process of its own; gives the address with its token."""
    command = [sys.executable, "-m", "agentkit", "view", "--edit", "--port", "0", "--reviewer", "ada"]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        yield found.group(0)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def take(tab: Page, path: Path) -> None:
    """Write what a tab shows, as high as the page is, in few colours."""
    high = tab.evaluate("document.documentElement.scrollHeight")
    tab.set_viewport_size({"width": WIDTH, "height": min(TALLEST, max(320, high))})
    shot = Image.open(io.BytesIO(tab.screenshot()))
    shot.convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        path, optimize=True
    )


def film(folder: Path) -> None:
    """One moving picture of a walk through the pages."""
    frames = []
    for name in FILM:
        with Image.open(folder / f"view-{name}.png") as page:
            frame = Image.new("RGB", (WIDTH, CUT), "white")
            frame.paste(page.convert("RGB"), (0, 0))
        size = (FILM_WIDTH, CUT * FILM_WIDTH // WIDTH)
        frames.append(
            frame.resize(size, Image.Resampling.LANCZOS).quantize(
                COLOURS // 2, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
            )
        )
    first, *others = frames
    first.save(folder / "view.gif", save_all=True, append_images=others, duration=SHOWN_MS, loop=0, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    with order_desk(folder) as desk:
        if not (folder / "done").exists():
            live_a_little(desk)
            (folder / "done").touch()
        wanted = pages()
        with viewed() as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            tab = browser.new_page()
            tab.set_default_timeout(300_000)  # of a busy machine
            tab.goto(address)
            for name, path in wanted.items():
                if not given.names or name in given.names:
                    tab.set_viewport_size({"width": WIDTH, "height": 320})
                    tab.goto(address.split("/?")[0] + path)
                    if name == "review":
                        tab.keyboard.press("c")
                    take(tab, given.out / f"view-{name}.png")
            browser.close()
    if not given.names:
        film(given.out)
    if not given.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
