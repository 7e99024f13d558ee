"""docs/architecture.svg, drawn from the import graph: `make picture`, or `python -m tests.architecture`."""

from __future__ import annotations

from xml.sax.saxutils import escape

from tests.import_graph import LAYERS, ROOT, drawn

PICTURE = ROOT / "docs" / "architecture.svg"
WIDTH, BOX, HIGH, ROW, TOP = 1100, 118, 34, 78, 62
COLOURS = ("#dbe9f6", "#e7f3e3", "#fdf1d8", "#f4e3ee")


def picture() -> str:
    """The SVG: a row for each layer with what uses others on top; an arrow from each part to what it imports, save
    what it reaches through another part anyway."""
    layers = [[part for part in layer if part != "__main__"] for layer in reversed(LAYERS)]
    layers = [layer for layer in layers if layer]
    places = {
        part: (WIDTH * (column + 1) / (len(layer) + 1), TOP + row * ROW)
        for row, layer in enumerate(layers)
        for column, part in enumerate(layer)
    }
    height = TOP + len(layers) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#8a97a5"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        '<text x="16" y="24" font-size="15" fill="#334">The parts of agentkit. An arrow points to what is imported; '
        "none points up. Arrows that follow from others are left out.</text>",
    ]
    lines += [_arrow(*places[part], *places[other]) for part, other in _arrows() if {part, other} <= places.keys()]
    for row, layer in enumerate(layers):
        lines += [_box(part, *places[part], COLOURS[row % len(COLOURS)]) for part in layer]
    return "\n".join([*lines, "</svg>", ""])


def _arrows() -> list[tuple[str, str]]:
    """The imports between parts without those that a longer way makes superfluous (the transitive reduction)."""
    graph = drawn(1)

    def reached(part: str) -> set[str]:
        found = set(graph.get(part, ()))
        for other in graph.get(part, ()):
            found |= reached(other)
        return found

    below = {part: reached(part) for part in graph}
    return sorted(
        (part, other)
        for part, others in graph.items()
        for other in others
        if not any(other in below[between] for between in others)
    )


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    begin, end = y + HIGH / 2, to_y - HIGH / 2
    middle = (begin + end) / 2
    way = f"M{x:.0f} {begin:.0f}C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {end:.0f}"
    return f'<path d="{way}" fill="none" stroke="#8a97a5" marker-end="url(#tip)"/>'


def _box(part: str, x: float, y: float, colour: str) -> str:
    corner = f'x="{x - BOX / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{BOX}" height="{HIGH}" rx="6"'
    return (
        f'<rect {corner} fill="{colour}" stroke="#667"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}" font-size="14" text-anchor="middle" fill="#112">{escape(part)}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
