"""Checkers that compare with the target: exact, numeric, choice, finer. Their channel is `label`."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from agentkit.answer_type import AnswerType
from agentkit.checkers.base import CheckerSettings, final_answer, target_of
from agentkit.errors import DataError
from agentkit.tasks import Channel, Feedback, Task


def _label(score: float, text: str) -> Feedback:
    return Feedback(channel="label", score=score, text=text)


class ExactSettings(CheckerSettings):
    """`normalise`: ignore case, spacing, Unicode form and surrounding punctuation."""

    normalise: bool = True


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Checks that the answer equals the target. If the answer is one of several options, the target "" says that none
    of them fits, so that every answer is wrong."""

    settings: ExactSettings = field(default_factory=ExactSettings)
    name: ClassVar[str] = "exact"
    needs_target: ClassVar[bool] = True
    channel: ClassVar[Channel] = "label"

    async def check(self, answer: str, task: Task) -> Feedback:
        target = target_of(task, self.name)
        if task.answer_type is not None:
            return _label(*_by_value(task.answer_type, answer, target, task.id))
        form = normalise if self.settings.normalise else str.strip
        right = form(answer) == form(target) or form(final_answer(answer)) == form(target)
        return _label(float(right), "right" if right else "not the expected answer")


def _by_value(form: AnswerType, answer: str, target: str, id: str) -> tuple[float, str]:
    """Compare two answers of one type by value rather than by notation.

    Raises:
        DataError: the target does not have the type.
    """
    if form.choices and not target:
        return 0.0, "none of the options fits"
    try:
        form.read(target)
    except ValueError as error:
        line = " ".join(str(error).split())
        raise DataError(f"task {id!r}: its target {target!r} does not fit its answer's form: {line}") from None
    try:
        right = form.same(answer, target)
    except ValueError:
        return 0.0, "the answer does not have the form that was asked for"
    return float(right), "right" if right else "not the expected answer"


def normalise(text: str) -> str:
    """Case folded, NFKC, single spaces, no punctuation or markup at either end."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.strip(" .,;:!?\"'`*_()[]{}") or folded


class NumericSettings(CheckerSettings):
    """How close a number must be, and which number counts.

    Attributes:
        abs: the allowed absolute difference.
        rel: the allowed difference relative to the target; 0.005 is half a percent.
        last: if the answer has several numbers, use the last; with False, it must have exactly one.
    """

    abs: float = Field(default=0.0, ge=0)
    rel: float = Field(default=0.0, ge=0)
    last: bool = True


@dataclass(frozen=True, kw_only=True)
class Numeric:
    """Checks that the answer is the target's number.

    Thousands separators, currency and percent signs and the text around a number are ignored: `$1,234.50`, `12 %` and
    `x = 12` are read as 1234.5, 12 and 12. A percent sign does not divide by 100. Without tolerances the two must be
    the same float, which is how the published Formula tasks are scored.
    """

    settings: NumericSettings = field(default_factory=NumericSettings)
    name: ClassVar[str] = "numeric"
    needs_target: ClassVar[bool] = True
    channel: ClassVar[Channel] = "label"

    async def check(self, answer: str, task: Task) -> Feedback:
        expected = numbers(target_of(task, self.name))
        if len(expected) != 1:
            raise DataError(f"task {task.id!r}: its target {task.target!r} is not one number")
        found = numbers(final_answer(answer)) or numbers(answer)
        if not found:
            return _label(0.0, "the answer holds no number")
        if len(found) > 1 and not self.settings.last:
            return _label(0.0, f"the answer holds {len(found)} numbers; give one")
        if self._close(found[-1], expected[0]):
            return _label(1.0, f"{found[-1]:.15g} is right")
        return _label(0.0, f"{found[-1]:.15g} is wrong{_slip(found[-1], expected[0])}")

    def _close(self, found: float, expected: float) -> bool:
        return found == expected or abs(found - expected) <= max(self.settings.abs, self.settings.rel * abs(expected))


def _slip(found: float, expected: float) -> str:
    """What went wrong if the digits are right: a unit, a percentage, a sign."""
    if not found or not expected:
        return ""
    power = round(math.log10(abs(expected / found)))
    if not math.isclose(abs(found) * 10.0**power, abs(expected), rel_tol=0.002):
        return ""
    faults = []
    if power:
        faults.append(f"the right number is {10 ** abs(power):,} times as {'large' if power > 0 else 'small'}")
    if (found < 0) != (expected < 0):
        faults.append("the sign is wrong")
    return f": {', and '.join(faults)}" if faults else ""


_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:(?<=\d)\.\d*|\.\d+|(?<=\d))(?:[eE][-+]?\d+)?")


def numbers(text: str) -> list[float]:
    """Every finite number in a text, in order."""
    plain = re.sub(r"[$€£¥%]", " ", text.replace("−", "-"))
    plain = re.sub(r"(?<=\d)\s*[-–](?=\s*\d)", " - ", plain)  # a range or a difference, not a sign
    plain = re.sub(
        r"([-+]) +(?=[\d.])", lambda match: match.group(1) if _is_sign(plain, match.start()) else "  ", plain
    )
    return [value for found in _NUMBER.findall(plain) if math.isfinite(value := float(found.replace(",", "")))]


def _is_sign(text: str, at: int) -> bool:
    """Whether a `-` before a space is the sign of the number behind it: nothing but an opening character may precede
    it."""
    return not text[:at].strip() or text[:at].rstrip()[-1] in "=(:,"


class ChoiceSettings(CheckerSettings):
    """`options`: the texts of the options in order, so that an answer in words can be matched to its letter."""

    options: list[str] = Field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Checks that the answer names the target's letter: `B`, `(b)`, `B. Paris`, `The answer is B`."""

    settings: ChoiceSettings = field(default_factory=ChoiceSettings)
    name: ClassVar[str] = "choice"
    needs_target: ClassVar[bool] = True
    channel: ClassVar[Channel] = "label"

    async def check(self, answer: str, task: Task) -> Feedback:
        expected = self._letter(target_of(task, self.name))
        if expected is None:
            raise DataError(f"task {task.id!r}: its target {task.target!r} names no option's letter")
        found = self._letter(answer)
        if found is None:
            return _label(0.0, "the answer names no single option")
        return _label(float(found == expected), f"{found} is {'right' if found == expected else 'wrong'}")

    def _letter(self, text: str) -> str | None:
        for number, option in enumerate(self.settings.options):
            if normalise(final_answer(text)) == normalise(option):
                return chr(ord("A") + number)
        return letter(text)


_ALONE = re.compile(r"^[\s*_(\[]*([A-Za-z])[\s*_)\].:,]*$")
_LEADING = re.compile(r"^[\s*_]*(?:\(([A-Za-z])\)|([A-Za-z])[).:])")
_NAMED = re.compile(r"\b(?:answer|option|choice)\b(?:\s+is)?[\s:*_(]*([A-Z])\b", re.IGNORECASE)
_CAPITAL = re.compile(r"(?<![\w'])\(?([B-HJ-Z]|A(?=[).,:;]|$|\s+(?:or|and)\b))\)?(?![\w'])")


def letter(text: str) -> str | None:
    """The option that an answer names, in upper case; None if it names none or several."""
    short = final_answer(text)
    for pattern in (_ALONE, _LEADING):
        if match := pattern.match(short):
            return next(group for group in match.groups() if group).upper()
    named = [found for found in _NAMED.findall(text) if found.isupper()]
    if named:
        return str(named[-1])
    capitals = set(_CAPITAL.findall(short))
    return capitals.pop() if len(capitals) == 1 else None


class FinerSettings(CheckerSettings):
    """`tags`: the number of comma-separated tags in an answer."""

    tags: int = Field(default=4, ge=1)


@dataclass(frozen=True, kw_only=True)
class Finer:
    """Scores the share of comma-separated tags that are right, position by position, ignoring case.

    As FiNER is scored in the ACE paper (arXiv 2510.04618): a missing tag counts as wrong, and extra ones are ignored.
    """

    settings: FinerSettings = field(default_factory=FinerSettings)
    name: ClassVar[str] = "finer"
    needs_target: ClassVar[bool] = True
    channel: ClassVar[Channel] = "label"

    async def check(self, answer: str, task: Task) -> Feedback:
        expected, found = tags(target_of(task, self.name)), tags(final_answer(answer))
        count = self.settings.tags
        if len(expected) != count:
            raise DataError(f"task {task.id!r}: its target has {len(expected)} tags, not {count}")
        right = sum(one == other for one, other in zip(found[:count], expected, strict=False))
        given = "" if len(found) == count else f"; the answer has {len(found)} tags"
        return _label(right / count, f"{right} of {count} tags are right{given}")


def tags(text: str) -> list[str]:
    """Comma-separated tags in lower case, without surrounding spaces and quotes."""
    return [part.strip(" \t\r\n.`'\"[]*").casefold() for part in text.split(",")]
