"""The wheel holds every module of the tree and the data files that modules read."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {"agentkit": "agentkit", **{name: f"agentkit/{name}" for name in ("memory", "playbooks", "cli")}}
DATA = ("agentkit/py.typed", "agentkit/models/catalog.toml", "agentkit/store/migrations/script.py.mako")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the tree, so that nothing is left behind in it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*SOURCES, "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        original = ROOT / name
        if original.is_dir():
            shutil.copytree(original, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(original, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return next(out.glob("*.whl"))


def tree(pattern: str) -> set[str]:
    """The tree's files as they should stand in the wheel."""
    return {
        f"{target}/{path.relative_to(ROOT / source).as_posix()}"
        for source, target in SOURCES.items()
        for path in (ROOT / source).rglob(pattern)
        if "__pycache__" not in path.parts
    }


def test_the_wheel_holds_exactly_the_modules_of_the_tree(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    assert names == tree("*.py")


def test_the_wheel_holds_the_data_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert set(DATA) <= names
    for pattern in ("*.toml", "*.yaml", "*.html", "*.txt", "*.tsv", "*.json", "*.mako", "*.css", "*.js"):
        assert tree(pattern) <= names


def test_the_wheel_works_from_elsewhere_and_a_folder_called_memory_does_not_shadow_ours(
    wheel: Path, tmp_path: Path
) -> None:
    installed, here = tmp_path / "site", tmp_path / "here"
    zipfile.ZipFile(wheel).extractall(installed)
    for name in ("memory", "cli", "playbooks"):
        (here / name).mkdir(parents=True)
        (here / name / "__init__.py").write_text("raise ImportError('shadowed')\n", encoding="utf-8")
    code = "import agentkit, agentkit.memory, agentkit.playbooks, agentkit.cli.main; print(agentkit.memory.__file__)"
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed)


def test_the_wheel_declares_the_command_and_the_licence(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    entry = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "agentkit = agentkit.cli.main:main" in entry
    assert any(name.endswith("licenses/LICENSE") for name in names)
