"""Maps as SVG in the page: dots that lead to what they stand for, and things with the relations between them.

Every text in them is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from agentkit.text import clipped
from agentkit.view.pictures import svg

_WIDTH, _HEIGHT, _EDGE = 760, 460, 14


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A dot of a map: where, how it is drawn (a class of the style sheet), and where it leads."""

    x: float
    y: float
    look: str
    href: str
    label: str


def scatter(dots: Sequence[Dot], about: str) -> Markup:
    """Dots that keep their distances; a click leads to what one stands for."""
    if not dots:
        return Markup("")
    left, bottom = min(dot.x for dot in dots), min(dot.y for dot in dots)
    wide, high = max(dot.x for dot in dots) - left, max(dot.y for dot in dots) - bottom
    scale = min((_WIDTH - 2 * _EDGE) / max(wide, 1e-9), (_HEIGHT - 2 * _EDGE) / max(high, 1e-9))
    height = round(high * scale + 2 * _EDGE) if high * scale > 1 else 3 * _EDGE
    place = Markup('<a href="{}"><circle cx="{}" cy="{}" r="4.5" class="{}"><title>{}</title></circle></a>')
    parts = [
        place.format(
            dot.href,
            round((dot.x - left) * scale + _EDGE, 1),
            round(height - (dot.y - bottom) * scale - _EDGE, 1),
            dot.look,
            clipped(dot.label, 160),
        )
        for dot in dots
    ]
    return svg(round(wide * scale + 2 * _EDGE), height, parts, about, kind="map")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A thing of a graph, where it leads, and how it is drawn."""

    label: str
    href: str
    look: str = ""
    size: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A relation between two things."""

    source: str
    target: str
    label: str
    href: str
    look: str = ""
    weight: int = 1


_GRAPH = (1080, 720)
_MARGIN = (90, 26)


def network(nodes: Mapping[str, Node], edges: Sequence[Edge], about: str) -> Markup:
    """A graph, laid out so that what is related lies together; the same graph always lies the same.

    Args:
        nodes: by their key, which edges name.
    """
    if not nodes:
        return Markup("")
    places = _laid_out(nodes, edges)
    parts = [_arrow(places, edge) for edge in edges]
    parts += [_node(places[key], node) for key, node in nodes.items()]
    return svg(*_GRAPH, parts, about, kind="graph")


def _laid_out(nodes: Mapping[str, Node], edges: Sequence[Edge]) -> dict[str, tuple[float, float]]:
    """Where each node lies in the picture, parts that hang together side by side."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from((edge.source, edge.target) for edge in edges)
    (width, height), (side, top) = _GRAPH, _MARGIN
    # A component alone is spread over its box; boxes stand in a row, as wide as they hold nodes.
    found = nx.spring_layout(graph, seed=1, k=2.2 / len(nodes) ** 0.5, iterations=120)
    xs, ys = [x for x, _ in found.values()], [y for _, y in found.values()]
    wide, high = max(max(xs) - min(xs), 1e-9), max(max(ys) - min(ys), 1e-9)
    return {
        key: (
            round(side + (x - min(xs)) / wide * (width - 2 * side), 1),
            round(top + (y - min(ys)) / high * (height - 2 * top), 1),
        )
        for key, (x, y) in found.items()
    }


def _arrow(places: Mapping[str, tuple[float, float]], edge: Edge) -> Markup:
    (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
    middle_x, middle_y = round((x1 + 2 * x2) / 3, 1), round((y1 + 2 * y2) / 3, 1)
    return Markup(
        '<a href="{href}"><line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="edge {look}" stroke-width="{width}"/>'
        '<circle cx="{mx}" cy="{my}" r="2.5" class="head {look}"/><title>{label}</title></a>'
    ).format(
        href=edge.href,
        x1=x1,
        y1=y1,
        x2=x2,
        y2=y2,
        mx=middle_x,
        my=middle_y,
        look=edge.look,
        width=min(6, 1 + edge.weight / 2),
        label=edge.label,
    )


def _node(place: tuple[float, float], node: Node) -> Markup:
    x, y = place
    return Markup(
        '<a href="{href}"><circle cx="{x}" cy="{y}" r="{r}" class="node {look}"/>'
        '<text x="{x}" y="{ty}" text-anchor="middle">{label}</text><title>{whole}</title></a>'
    ).format(
        href=node.href, x=x, y=y, r=node.size, ty=y - 9, look=node.look, label=clipped(node.label, 24), whole=node.label
    )
