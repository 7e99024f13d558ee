"""What JSON holds, as a type: only for values that come from JSON or go there; all else has a type of its own."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object: what `to_json` returns and `from_json` takes, a JSON schema, a row of a file, a column of JSON."""
