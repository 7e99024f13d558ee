"""JSON Lines: all fields of everything, one object per line with its `type`; the format that can be imported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from agentkit.curation.claims import Claim, Entity
from agentkit.curation.export.content import Content, Paper, writing
from agentkit.errors import DataError
from agentkit.text import parse_json, read_text

_TYPES: dict[str, type[Entity] | type[Claim] | type[Paper]] = {"entity": Entity, "claim": Claim, "paper": Paper}


def write(content: Content, path: Path) -> list[Path]:
    """Write one file."""
    with writing(path) as stream:
        for kind, rows in (("paper", content.papers), ("entity", content.entities), ("claim", content.claims)):
            for row in rows:
                line = {"type": kind, **row.to_json()}
                stream.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    return [path]


def read(path: Path) -> Iterator[Entity | Claim | Paper]:
    """Read what `write` wrote, in order. Raises DataError with the line number for anything else."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield _row(line, path, number)


def _row(line: str, path: Path, number: int) -> Entity | Claim | Paper:
    try:
        row = parse_json(line, path=path, line=number)
        made: Entity | Claim | Paper = _TYPES[row["type"]].from_json(row)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError("not a line of type entity, claim or paper", path=path, line=number) from error
    except DataError as error:
        raise error if error.line else DataError(str(error), path=path, line=number) from error
    if isinstance(made, Claim) and made.id != made.make_id():
        raise DataError(f"claim {made.id} was altered: its id no longer fits its content", path=path, line=number)
    return made
