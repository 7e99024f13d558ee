"""What `--choices`, `--schema` and `--instructions` mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.errors import DataError, UserError

if TYPE_CHECKING:
    from agentkit.answer_type import AnswerType


def answer_form(choices: Sequence[str] | None, schema: Path | None) -> AnswerType | None:
    """The form that answers must have; None for free text.

    Args:
        choices: one text with the choices separated by commas, or one text per choice.
        schema: a file with a JSON schema.

    Raises:
        UserError: both are given.
        DataError: a choice is empty or occurs twice, or the file holds no schema.
    """
    from agentkit.answer_type import AnswerType
    from agentkit.text import parse_json, read_text

    if choices and schema:
        raise UserError("--choices and --schema both set the form of the answer: give one of them")
    if choices:
        listed = choices[0].split(",") if len(choices) == 1 else choices
        return AnswerType.of_choices([choice.strip() for choice in listed])
    if schema is None:
        return None
    wanted = parse_json(read_text(schema), path=schema)
    if not isinstance(wanted, dict):
        raise DataError("expected a JSON object with a schema", path=schema)
    try:
        return AnswerType.of(wanted)
    except DataError as error:
        raise DataError(str(error), path=schema) from None


def read_instructions(path: Path | None) -> str | None:
    """The text of a file of instructions.

    Raises:
        DataError: the file does not exist or is empty.
    """
    from agentkit.text import read_text

    if path is None:
        return None
    if not (text := read_text(path).strip()):
        raise DataError("the instructions are empty", path=path)
    return text
