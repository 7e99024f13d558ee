"""Maps the four top-level folders onto one package: memory/ is imported as agentkit.memory, and so on."""

from setuptools import find_packages, setup

FOLDERS = ("memory", "playbooks", "cli")

setup(
    packages=find_packages(include=["agentkit", "agentkit.*"])
    + [f"agentkit.{name}" for folder in FOLDERS for name in find_packages(include=[folder, f"{folder}.*"])],
    package_dir={f"agentkit.{folder}": folder for folder in FOLDERS},
)
