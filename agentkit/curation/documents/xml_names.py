"""Names of XML elements without namespaces, and the meaning of undeclared entities."""

from __future__ import annotations

import html.entities
from typing import Any


def local(element: Any) -> str:
    """The element's name without its namespace; empty for entities and processing instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def entity_text(element: Any) -> str:
    """The character that an unresolved reference such as `&alpha;` stands for in HTML; empty if unknown."""
    name = getattr(element, "name", None)
    return html.entities.html5.get(f"{name};", "") if isinstance(name, str) else ""
