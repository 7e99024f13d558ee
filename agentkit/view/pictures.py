"""Charts as SVG in the page: intervals and curves. Every text in them is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from agentkit.text import clipped

_ROW, _LABEL, _PLOT = 22, 260, 380
_SHORT, _WIDE = 110, 620
_LETTERS = 38
"""Characters of a row's label; more would run into the plot."""
_WIDTH, _HEIGHT, _LEFT, _TOP = 800, 240, 52, 14
_RIGHT = 190
"""Space for the names of curves at their ends, in SVG units."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """One row of a forest plot: an estimate in [-1, 1] with its interval, and a note on what it is based on."""

    label: str
    value: float
    low: float
    high: float
    note: str = ""


def forest(rows: Sequence[Interval]) -> Markup:
    """A forest plot of effects with a line at zero; effects whose interval excludes zero are coloured."""
    if not rows:
        return Markup("")
    height = _ROW * len(rows) + 30
    reach = max(0.1, *(max(abs(row.low), abs(row.high)) for row in rows))
    middle = _LABEL + _PLOT / 2

    def x(value: float) -> float:
        return round(middle + value / reach * (_PLOT / 2 - 6), 1)

    parts = [Markup('<line x1="{0}" y1="4" x2="{0}" y2="{1}" class="zero"/>').format(middle, height - 24)]
    for number, row in enumerate(rows):
        y = 16 + number * _ROW
        side = "good" if row.low > 0 else "bad" if row.high < 0 else "open"
        parts.append(
            Markup(
                '<text x="0" y="{y4}">{label}</text><line x1="{low}" y1="{y}" x2="{high}" y2="{y}" class="{side}"/>'
                '<circle cx="{value}" cy="{y}" r="4" class="{side}"/>'
                '<text x="{end}" y="{y4}" class="small">{mean} {note}</text>'
            ).format(
                y=y,
                y4=y + 4,
                label=clipped(row.label, _LETTERS),
                low=x(row.low),
                high=x(row.high),
                value=x(row.value),
                side=side,
                end=_LABEL + _PLOT + 8,
                mean=f"{row.value:+.3f}",
                note=row.note,
            )
        )
    for value in (-reach, 0.0, reach):
        place = Markup('<text x="{}" y="{}" text-anchor="middle" class="small">{}</text>')
        parts.append(place.format(x(value), height - 6, f"{value:+.2f}"))
    return svg(_LABEL + _PLOT + 150, height, parts, "effects with their intervals")


def shares(rows: Sequence[Interval]) -> Markup:
    """A plot of shares from 0 to 1, one per row, with their intervals."""
    if not rows:
        return Markup("")
    height = _ROW * len(rows) + 30

    def x(value: float) -> float:
        return round(_LABEL + 6 + value * (_PLOT - 12), 1)

    place = Markup(
        '<text x="0" y="{y4}">{label}</text><line x1="{low}" y1="{y}" x2="{high}" y2="{y}" class="share"/>'
        '<circle cx="{value}" cy="{y}" r="4" class="share"/><text x="{end}" y="{y4}" class="small">{mean} {note}</text>'
    )
    parts = [
        place.format(
            y=16 + number * _ROW,
            y4=20 + number * _ROW,
            label=clipped(row.label, _LETTERS),
            low=x(row.low),
            high=x(row.high),
            value=x(row.value),
            end=_LABEL + _PLOT + 8,
            mean=f"{row.value:.3f}",
            note=row.note,
        )
        for number, row in enumerate(rows)
    ]
    scale = Markup('<text x="{}" y="{}" text-anchor="middle" class="small">{}</text>')
    parts += [scale.format(x(value), height - 6, f"{value:.1f}") for value in (0.0, 0.5, 1.0)]
    return svg(_LABEL + _PLOT + 150, height, parts, "shares with their intervals")


@dataclass(frozen=True, kw_only=True)
class Span:
    """A bar of a timeline: its start and length in seconds, and its class in the style sheet."""

    label: str
    begin: float
    length: float
    look: str


def spans_of_time(spans: Sequence[Span]) -> Markup:
    """A timeline, one row per span."""
    end = max((span.begin + span.length for span in spans), default=0.0)
    scale, height = _WIDE / max(end, 1e-3), 18 * len(spans) + 26
    place = Markup(
        '<text x="0" y="{text}">{label}</text><line x1="{begin}" y1="{y}" x2="{end}" y2="{y}" class="span {look}"/>'
        '<text x="{right}" y="{text}" class="small">{length} s</text>'
    )
    parts = []
    for number, span in enumerate(spans):
        begin = _SHORT + span.begin * scale
        until = begin + max(2.0, span.length * scale)
        parts.append(
            place.format(
                y=18 * number + 10,
                text=18 * number + 14,
                label=clipped(span.label, 16),
                begin=round(begin, 1),
                end=round(until, 1),
                right=round(until + 6, 1),
                look=span.look,
                length=f"{span.length:.2f}",
            )
        )
    foot = Markup('<text x="{}" y="{}" class="small">{}</text>')
    parts += [foot.format(_SHORT, height - 4, "0 s"), foot.format(_SHORT + _WIDE - 20, height - 4, f"{end:.1f} s")]
    return svg(_SHORT + _WIDE + 70, height, parts, "when each call was under way")


def curves(
    lines: Mapping[str, Sequence[tuple[float, float]]], *, border: float | None = None, log: bool = False
) -> Markup:
    """A line chart.

    Args:
        lines: the points of each line, by its name.
        border: a level to mark with a horizontal line.
        log: whether the vertical axis is logarithmic, as for betting capital.
    """
    points = [point for line in lines.values() for point in line]
    if not points:
        return Markup("")
    levels = [y for _, y in points] + ([border] if border is not None else [])
    if log:
        levels = [max(1e-3, level) for level in levels]
    low, high = (min(levels), max(levels)) if log else (min(0.0, *levels), max(1.0, *levels))
    left, right = min(x for x, _ in points), max(x for x, _ in points)

    def scale(value: float) -> float:
        bottom, top = (math.log(low), math.log(max(high, low * 1.01))) if log else (low, high)
        given = math.log(max(1e-3, value)) if log else value
        return round(_HEIGHT - 26 - (given - bottom) / max(1e-9, top - bottom) * (_HEIGHT - 26 - _TOP), 1)

    def across(value: float) -> float:
        return round(_LEFT + (value - left) / max(1e-9, right - left) * (_WIDTH - _LEFT - _RIGHT), 1)

    ground = Markup('<line x1="{}" y1="{y}" x2="{}" y2="{y}" class="axis"/>')
    parts = [_axis(low, high, scale), _axis(left, right, across, bottom=True)]
    parts.append(ground.format(_LEFT, _WIDTH - _RIGHT, y=scale(low)))
    if border is not None:
        line = Markup('<line x1="{}" y1="{y}" x2="{}" y2="{y}" class="border"/>')
        parts.append(line.format(_LEFT, _WIDTH - _RIGHT, y=scale(border)))
    ends = {}
    for number, (name, line_points) in enumerate(lines.items()):
        path = " ".join(f"{across(x)},{scale(y)}" for x, y in line_points)
        parts.append(Markup('<polyline points="{}" class="line l{}"/>').format(path, number % 6))
        if line_points:
            ends[clipped(name, 30)] = (across(line_points[-1][0]) + 6, scale(line_points[-1][1]) + 4)
    parts += _named(ends)
    return svg(_WIDTH, _HEIGHT, parts, ", ".join(lines))


def _named(ends: Mapping[str, tuple[float, float]]) -> Iterator[Markup]:
    """The names of curves at their ends, without overlaps."""
    taken: list[tuple[float, float, float]] = []
    for name, (x, y) in ends.items():
        step, right = 12 if y < _HEIGHT / 2 else -12, x + 6 * len(name)
        while any(abs(y - other) < 12 and begin < right and x < end for begin, end, other in taken):
            y += step
        taken.append((x, right, y))
        yield Markup('<text x="{}" y="{}" class="small">{}</text>').format(x, y, name)


def _axis(low: float, high: float, scale: object, *, bottom: bool = False) -> Markup:
    assert callable(scale)
    text = Markup("")
    for value in (low, high):
        x, y = (scale(value), _HEIGHT - 8) if bottom else (4, scale(value) + 4)
        text += Markup('<text x="{}" y="{}" class="small">{}</text>').format(x, y, f"{value:.3g}")
    return text


def svg(width: float, height: float, parts: Sequence[Markup], about: str, *, kind: str = "plot") -> Markup:
    """An SVG picture made of its parts.

    Args:
        about: the description for screen readers.
        kind: the picture's class in the style sheet.
    """
    frame = Markup('<svg viewBox="0 0 {} {}" class="{}" role="img" aria-label="{}">{}</svg>')
    return frame.format(width, height, kind, about, Markup("").join(parts))
