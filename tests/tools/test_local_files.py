"""Reading and searching stay inside their folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import UserError
from agentkit.tools import BaseTool, load_tools, run_tool


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("the secret", encoding="utf-8")
    (tmp_path / "notes-other").mkdir()
    (tmp_path / "notes-other" / "x.txt").write_text("next door", encoding="utf-8")
    (folder / "birds.md").write_text(
        "# Birds\n\nThe arctic tern migrates from pole to pole.\n\n## Owls\n\nOwls hunt at night, silently.\n",
        encoding="utf-8",
    )
    (folder / "sub" / "fish.txt").write_text("Salmon return to the river of their birth.\n", encoding="utf-8")
    return folder


@pytest.fixture
def read_file(root: Path) -> BaseTool:
    return load_tools(["read_file"], root=root)[0]


@pytest.fixture
def search(root: Path) -> BaseTool:
    return load_tools(["search"], root=root)[0]


async def test_it_reads_files_in_pieces_and_lists_folders(read_file: BaseTool) -> None:
    assert (await run_tool(read_file, {"path": "sub/fish.txt"})).text.startswith("Salmon")
    assert (await run_tool(read_file, {"path": "."})).text == "birds.md\nsub/"
    part = await run_tool(read_file, {"path": "birds.md", "first_line": 3, "lines": 1})
    assert part.text == "The arctic tern migrates from pole to pole.\n[… 4 more lines, from line 4 …]"


@pytest.mark.parametrize("path", ["../secret.txt", "sub/../../secret.txt", "../notes-other/x.txt", "/etc/passwd"])
async def test_paths_out_of_the_folder_are_refused(read_file: BaseTool, path: str) -> None:
    result = await run_tool(read_file, {"path": path})
    assert not result.ok and "outside the folder" in result.text


async def test_links_out_of_the_folder_are_refused(read_file: BaseTool, search: BaseTool, root: Path) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "door").symlink_to(root.parent, target_is_directory=True)
    for path in ("link.txt", "door/secret.txt"):
        assert "outside the folder" in (await run_tool(read_file, {"path": path})).text
    assert "no passage" in (await run_tool(search, {"query": "secret"})).text


@pytest.mark.parametrize("swapped", ["sub/fish.txt", "sub"])
async def test_a_path_that_becomes_a_link_after_it_was_checked_leads_nowhere(
    read_file: BaseTool, search: BaseTool, root: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    (root.parent / "elsewhere").mkdir()
    (root.parent / "elsewhere" / "fish.txt").write_text("the secret", encoding="utf-8")
    target = root.parent / "elsewhere" / swapped.removeprefix("sub").removeprefix("/")
    resolve = os.path.realpath

    def resolve_and_swap(path: Path) -> str:
        found = resolve(path)
        if Path(path) == root / "sub" / "fish.txt" and not (root / swapped).is_symlink():
            (root / swapped).rename(root / "moved")
            (root / swapped).symlink_to(target)
        return found

    monkeypatch.setattr(os.path, "realpath", resolve_and_swap)
    result = await run_tool(read_file, {"path": "sub/fish.txt"})
    assert not result.ok and "secret" not in result.text


async def test_one_file_that_can_not_be_read_costs_that_file_and_is_named(
    search: BaseTool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "private.md").write_text("Salmon are private.", encoding="utf-8")
    (root / "binary.txt").write_bytes(b"\0\1\2")
    (root / "huge.txt").write_text("x" * 5_000_001, encoding="utf-8")
    real = os.open

    def denied(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if path == "private.md":
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *args, **options)

    monkeypatch.setattr("agentkit.tools.files.os.open", denied)
    for _ in range(2):  # the second from the index
        text = (await run_tool(search, {"query": "salmon"})).text
        assert "sub/fish.txt:1" in text and "not searched: 3: binary.txt" in text
        assert "private.md (can't be read: Permission denied)" in text and "huge.txt (has 5,000,001 bytes" in text


async def test_what_is_not_a_text_file_is_refused_without_blocking(read_file: BaseTool, root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "binary.txt").write_bytes(b"\0\1\2")
    for path, reason in (("pipe", "regular"), ("binary.txt", "text"), ("none.txt", "no such file"), ("a\0b", "NUL")):
        result = await run_tool(read_file, {"path": path}, timeout=20)
        assert not result.ok and reason in result.text


async def test_search_ranks_passages_and_says_where_they_stand(search: BaseTool) -> None:
    result = await run_tool(search, {"query": "Which bird migrates between the poles?"})
    assert result.text.startswith("[birds.md:3] (Birds)\nThe arctic tern")
    owls = await run_tool(search, {"query": "hunting owl"})
    assert owls.text.startswith("[birds.md:7] (Owls)")
    assert "sub/fish.txt:1" in (await run_tool(search, {"query": "river"})).text


async def test_search_finds_words_of_every_script(search: BaseTool, root: Path) -> None:
    (root / "zh.md").write_text("# 借书\n\n每位读者最多可以借八本书。\n", encoding="utf-8")
    (root / "hi.md").write_text("किताब चौदह दिन में लौटाएँ।\n", encoding="utf-8")
    assert "[zh.md:3] (借书)" in await search.ainvoke({"query": "读者能借几本"})
    assert "[hi.md:1]" in await search.ainvoke({"query": "किताब"})


async def test_search_sees_files_that_change(search: BaseTool, root: Path) -> None:
    assert "no passage" in (await run_tool(search, {"query": "quetzal"})).text
    (root / "new.md").write_text("The quetzal is green.", encoding="utf-8")
    assert "new.md:1" in (await run_tool(search, {"query": "quetzal"})).text
    (root / "new.md").unlink()
    assert "no passage" in (await run_tool(search, {"query": "quetzal"})).text


@pytest.mark.parametrize("query", ['"', "a AND (", "NEAR(x", "* OR text:", "", "'; DROP TABLE passages; --"])
async def test_no_query_is_a_syntax_error(search: BaseTool, query: str) -> None:
    assert (await run_tool(search, {"query": query})).ok


async def test_long_texts_are_cut_at_paragraphs(search: BaseTool, root: Path) -> None:
    filler = "\n\n".join(f"Paragraph {number} about nothing in particular, at some length." for number in range(100))
    (root / "long.txt").write_text(f"{filler}\n\nThe needle is here.\n\n{filler}", encoding="utf-8")
    result = await run_tool(search, {"query": "needle"})
    assert "needle" in result.text and len(result.text) < 1500


async def test_a_query_that_a_preamble_fits_better_still_shows_what_it_asks_for(search: BaseTool, root: Path) -> None:
    lead = "# Loans\n\nThe Foundry Row Lending Shed lends to whoever lives nearby.\n\n"
    (root / "loans.md").write_text(f"{lead}## Ladders\n\nBorrowed ladders are due back after 18 days.\n")
    result = await run_tool(search, {"query": "when ladders are due back at the Foundry Row Lending Shed"})
    assert "after 18 days" in result.text


def test_a_root_that_is_no_folder_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs a folder"):
        load_tools(["read_file"], root=tmp_path / "none")
