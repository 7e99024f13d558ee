"""Views of a case's text: states with their entities masked, and the skeletons of plans."""

from __future__ import annotations

import json
import re

_QUOTED = re.compile(r"[\"“”«»][^\"“”«»]{1,80}[\"“”«»]|(?<![A-Za-z])'[^']{2,80}'(?![A-Za-z])")
_NUMBER = re.compile(r"[$€£\d](?<![$€£](?!\d))[\d,]*(?:\.\d+)?%?")
"""A number with its currency or percent sign. It begins with a character set, because searching for that is twice as
fast as for an optional character."""
_NAME = re.compile(r"\b[A-Z][\w.&’'-]*(?:\s+(?:(?:of|the|and|de|la|von|van|del|da|for|in)\s+)*[A-Z][\w.&’'-]*)*")
_LEADING = frozenset(
    """a an the in on at of for to from by with and or if what which who whom whose when where why how is are was were
    do does did has have had can could name find identify determine list give compute calculate search look verify
    return get extract please use using this that these those i you it he she they there""".split()  # noqa: SIM905 a list of words is read as one
)

_BULLET = re.compile(r"^\s*(?:\d+[.)]|[-*])\s*")

ITEMS = "items:"
"""Prefix of the embedder's name for vectors of the LangGraph store's items, as opposed to cases."""
ENTITY = "entity"
"""Replaces names and quotations in a masked text; numbers become `number`."""
_QUOTE = re.compile("[\"“”«»']")
_REPEATED = re.compile(rf"\b{ENTITY}(?:\s+{ENTITY})+\b")


def mask(text: str) -> str:
    """The text with names, quotations and numbers masked; what remains is its structure.

    Names are runs of capitalised words; a word that is capitalised only because it starts a sentence stays.
    """
    if text.isalpha() and text.islower():
        return text
    if _QUOTE.search(text):
        text = _QUOTED.sub(f" {ENTITY} ", text)
    if not text.islower():
        text = _NAME.sub(_mask_name, text)
    text = " ".join(_NUMBER.sub(" number ", text).split())
    return _REPEATED.sub(ENTITY, text) if text.count(ENTITY) > 1 else text


def _mask_name(match: re.Match[str]) -> str:
    first, _, rest = match.group().partition(" ")
    if first.lower() not in _LEADING:
        return ENTITY
    kept = first
    while rest and rest.partition(" ")[0].lower() in _LEADING:
        word, _, rest = rest.partition(" ")
        kept += " " + word
    return f"{kept} {ENTITY}" if rest else kept


def plan_steps(plan: str) -> tuple[str, ...]:
    """The steps of a plan: `{"plan": [{"description": …}]}`, a JSON list, numbered lines, or the text as one step."""
    if not plan.lstrip().startswith(("{", "[")):
        return _line_steps(plan)
    try:
        data = json.loads(plan)
    except (ValueError, RecursionError):
        return _line_steps(plan)
    items = data.get("plan", data.get("steps")) if isinstance(data, dict) else data
    if not isinstance(items, list):
        return (plan.strip(),)
    return tuple(str(i.get("description", i.get("step", ""))) if isinstance(i, dict) else str(i) for i in items)


def _line_steps(plan: str) -> tuple[str, ...]:
    return tuple([step for line in plan.splitlines() if (step := _BULLET.sub("", line).strip())])


def skeleton(plan: str) -> str:
    """A plan's steps with their entities masked, one per line."""
    return "\n".join(mask(step) for step in plan_steps(plan))
