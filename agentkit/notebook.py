"""How values are displayed in a notebook: small tables without scripts, in which every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

LONGEST = 2_000
"""Characters of one cell; longer text is cut and ends in an ellipsis."""


def table(title: str, rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> str:
    """An HTML table of texts; None gives an empty cell.

    Args:
        title: the table's caption.
        rows: the cells, row by row; without a `header`, the first cell of each row is its heading.
        header: the column names.
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
