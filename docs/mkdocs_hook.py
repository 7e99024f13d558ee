"""What MkDocs needs in addition to the pages: pages of the public names, and links to files outside docs/."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def packages() -> list[str]:
    """The packages with public names, as they are imported."""
    return sorted(
        ".".join(["agentkit", *path.parent.relative_to(ROOT).parts]).replace("agentkit.agentkit", "agentkit")
        for folder in ("agentkit", "memory", "playbooks")
        for path in (ROOT / folder).rglob("__init__.py")
        if _names(path)
    )


def _names(path: Path) -> bool:
    """Whether a module has an `__all__`."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages of the reference, and every decision."""
    decisions = [f"decisions/{path.name}" for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    lists = {"Python": [f"api/{name}.md" for name in packages()], "Decisions": decisions}
    config.nav = [
        {title: lists.get(title, pages) for title, pages in entry.items()} if isinstance(entry, dict) else entry
        for entry in config.nav or []
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each package."""
    for name in packages():
        files.append(File.generated(config, f"api/{name}.md", content=f"# {name}\n\n::: {name}\n"))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to files outside docs/, and to folders, to the repository."""
    here = (ROOT / "docs" / page.file.src_uri).parent

    def out(found: re.Match[str]) -> str:
        target = (here / found.group(1)).resolve()
        inside = target.is_relative_to(ROOT / "docs") and not target.is_dir()
        if inside or not target.exists():
            return found.group(0)
        kind = "tree" if target.is_dir() else "blob"
        return f"]({config.repo_url}/{kind}/main/{target.relative_to(ROOT).as_posix()}{found.group(2) or ''})"

    return _LINK.sub(out, markdown)
