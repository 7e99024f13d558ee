"""A control group bounds a sandbox where this process may make one, and is not asked for elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agentkit.tools import Sandbox, SandboxLimits, cgroup
from agentkit.tools.isolation import MEGABYTE

LIMITS = SandboxLimits(memory=256 * MEGABYTE, disk=64 * MEGABYTE, processes=8)


@pytest.fixture
def hierarchy(tmp_path: Path) -> tuple[Path, Path]:
    """A folder shaped like cgroup v2, in which our group may hand down memory and pids; and what /proc says."""
    group = tmp_path / "user.slice" / "session"
    group.mkdir(parents=True)
    (group / "cgroup.subtree_control").write_text("cpu\n", encoding="ascii")
    (group.parent / "cgroup.subtree_control").write_text("cpu memory pids\n", encoding="ascii")
    own = tmp_path / "own"
    own.write_text("9:name=systemd:/x\n0::/user.slice/session\n", encoding="ascii")
    return tmp_path, own


def test_the_group_lies_where_memory_and_pids_are_handed_down(
    hierarchy: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, own = hierarchy
    monkeypatch.setattr(cgroup, "ROOT", root)
    monkeypatch.setattr(cgroup, "OWN", own)
    monkeypatch.setattr(cgroup, "_TRIES", 1)  # nothing but a kernel removes a group with its files
    assert cgroup.usable(root, own) == root / "user.slice"
    with cgroup.joined(LIMITS) as group:
        assert group.folder is not None and group.folder.parent == root / "user.slice"
        assert (group.folder / "memory.max").read_text() == str(320 * MEGABYTE)
        assert int((group.folder / "pids.max").read_text()) >= LIMITS.processes
        said = subprocess.run([*group.prefix, "/bin/echo", "in the group"], capture_output=True, check=True)
        assert said.stdout == b"in the group\n"
        assert (group.folder / "cgroup.procs").read_text() == "0\n"  # the kernel reads: the one who writes
        assert not group.out_of_memory()
        (group.folder / "memory.events").write_text("low 0\noom 2\noom_kill 1\n", encoding="ascii")
        assert group.out_of_memory()


@pytest.mark.parametrize("told", ["", "0::/\n", "4:memory:/x\n", "0::/user.slice/session\n"])
def test_where_nothing_is_handed_down_there_is_no_group(tmp_path: Path, told: str) -> None:
    own = tmp_path / "own"
    own.write_text(told, encoding="ascii")
    assert cgroup.usable(tmp_path, own) is None and cgroup.usable(tmp_path, tmp_path / "none") is None
    assert cgroup.Group().prefix == () and not cgroup.Group().out_of_memory()


def test_memory_that_no_process_holds_is_counted_in_a_real_group() -> None:
    if cgroup.usable(cgroup.ROOT, cgroup.OWN) is None:
        pytest.skip("this process may make no control group (cgroup v2 with memory and pids)")
    box = Sandbox(limits=SandboxLimits(seconds=60, memory=64 * MEGABYTE, disk=256 * MEGABYTE, files=10**9))
    made = box.run("for n in range(10**7): open(str(n), 'w').close()")
    assert made.exceeded and not made.ok
    assert not list(Path(cgroup.ROOT).rglob("agentkit-*"))
