"""The Dockerfile does what the README tells its reader to do, with what the build is given."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from agentkit.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
USER = "useradd --create-home --uid 1000 agent && install -d -o agent /data"
"""The one step that a reader, who is somebody already, has no use for."""


def told() -> list[list[str]]:
    """The README's commands, in words, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def steps(given: dict[str, str]) -> list[list[str]]:
    """What a build runs, in words; build arguments that are not given have their defaults."""
    values = dict(argument.split("=", 1) for argument in instructions("ARG"))
    assert set(given) <= set(values), "a build argument that the Dockerfile does not take"
    runs = [run for run in instructions("RUN") if run != USER]
    for name, value in (values | given).items():
        runs = [run.replace(f"${{{name}}}", value) for run in runs]
    return [shlex.split(run) for run in runs]


def builds() -> list[dict[str, str]]:
    """The build arguments of every `docker build` in the README."""
    found = [line for line in told() if line[:2] == ["docker", "build"]]
    return [dict(word.split("=", 1) for word in line if "=" in word) for line in found]


def test_the_readme_builds_the_plain_image_and_one_with_cuda() -> None:
    assert builds() == [{}, {"EXTRAS": "all"}]


@pytest.mark.parametrize("given", builds(), ids=str)
def test_each_step_of_a_build_is_a_command_of_the_readme(given: dict[str, str]) -> None:
    assert len(steps(given)) == 2
    assert [step for step in steps(given) if step not in told()] == []


def test_what_is_installed_is_an_extra_of_ours_and_the_versions_are_those_we_test() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for given in builds():
        *_, constraints, what = steps(given)[-1]
        assert constraints == "constraints.txt"
        assert set(what.removeprefix(".[").removesuffix("]").split(",")) <= set(extras)


def test_the_build_has_every_file_that_it_reads() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] == "!"}
    assert all((ROOT / name).exists() for name in kept)
    folders = {
        "agentkit",
        *re.findall(r'"(\w+)"', re.findall(r"FOLDERS = .*", (ROOT / "setup.py").read_text("utf-8"))[0]),
    }
    project = {"pyproject.toml", "setup.py", "constraints.txt", "README.md", "LICENSE"}
    assert kept == folders | project


def test_containers_are_started_with_commands_that_there_are() -> None:
    runs = [line for line in told() if line[:2] == ["docker", "run"]]
    assert len(runs) >= 3
    assert all(line[line.index("agentkit", 4) + 1] in COMMANDS for line in runs)
    assert instructions("ENTRYPOINT") == ['["agentkit"]']


def test_the_program_runs_as_nobody_in_particular_and_keeps_everything_in_the_volume() -> None:
    assert instructions("USER") == ["agent"]
    assert instructions("VOLUME") == ["/data"]
    kept = dict(word.split("=", 1) for word in instructions("ENV")[0].split())
    assert (kept["AGENTKIT_HOME"], kept["AGENTKIT_CACHE"]) == ("/data", "/data/cache")
