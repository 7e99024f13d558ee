"""How values look in a notebook: small tables without script, every text of which is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

LONGEST = 2_000
"""Characters of one cell; what is longer ends in an ellipsis."""


def table(title: str, rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> str:
    """An HTML table of texts; an empty cell where there is None.

    Args:
        title: what stands above it.
        rows: the cells, row by row; the first of each is its heading where there is no `header`.
        header: what the columns are called.
    """
    head = f"<thead><tr>{''.join(_cell(name, 'th') for name in header)}</tr></thead>" if header else ""
    body = "".join(f"<tr>{''.join(_row(row, heading=not header))}</tr>" for row in rows)
    return f"<table><caption>{_text(title)}</caption>{head}<tbody>{body}</tbody></table>"


def _row(row: Sequence[object], *, heading: bool) -> Iterable[str]:
    return (_cell(cell, "th" if heading and place == 0 else "td") for place, cell in enumerate(row))


def _cell(value: object, tag: str) -> str:
    return f'<{tag} style="text-align: left; white-space: pre-wrap">{_text(value)}</{tag}>'


def _text(value: object) -> str:
    text = "" if value is None else str(value)
    return escape(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
