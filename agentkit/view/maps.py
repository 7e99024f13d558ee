"""Maps as SVG in the page: scatter plots whose dots are links, and graphs of entities and relations.

Every text in them is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from agentkit.memory.projection import principal_plane
from agentkit.text import clipped
from agentkit.view.pictures import svg

_WIDTH, _HEIGHT, _EDGE = 760, 460, 14


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A dot of a map: its position, its look (a class of the style sheet), and its link."""

    x: float
    y: float
    look: str
    href: str
    label: str


def scatter(dots: Sequence[Dot], about: str) -> Markup:
    """A scatter plot with the same scale on both axes; each dot links to what it stands for."""
    if not dots:
        return Markup("")
    left, bottom = min(dot.x for dot in dots), min(dot.y for dot in dots)
    wide, high = max(dot.x for dot in dots) - left, max(dot.y for dot in dots) - bottom
    scale = min((_WIDTH - 2 * _EDGE) / max(wide, 1e-9), (_HEIGHT - 2 * _EDGE) / max(high, 1e-9))
    height = round(high * scale + 2 * _EDGE) if high * scale > 1 else 3 * _EDGE
    side = (_WIDTH - wide * scale) / 2
    place = Markup('<a href="{}"><circle cx="{}" cy="{}" r="4.5" class="{}"><title>{}</title></circle></a>')
    parts = [
        place.format(
            dot.href,
            round((dot.x - left) * scale + side, 1),
            round(height - (dot.y - bottom) * scale - _EDGE, 1),
            dot.look,
            clipped(dot.label, 160),
        )
        for dot in dots
    ]
    return svg(_WIDTH, height, parts, about, kind="map")


@dataclass(frozen=True, kw_only=True)
class GraphNode:
    """A node of a graph: its label, its link, and its look."""

    label: str
    href: str
    look: str = ""
    size: float = 5.0


@dataclass(frozen=True, kw_only=True)
class GraphEdge:
    """A relation between two nodes."""

    source: str
    target: str
    label: str
    href: str
    look: str = ""
    weight: int = 1


_GRAPH_WIDTH, _GRAPH_HEIGHT = 1080, (200, 700)
_SIDE, _TOP = 90, 28


def network(nodes: Mapping[str, GraphNode], edges: Sequence[GraphEdge], about: str) -> Markup:
    """A graph, laid out so that related nodes are close together; the same graph always has the same layout.

    Args:
        nodes: nodes by the key that edges refer to.
    """
    if not nodes:
        return Markup("")
    height, places = _laid_out(nodes, edges)
    parts = [_arrow(places, edge) for edge in edges]
    parts += [_node(places[key], node) for key, node in nodes.items()]
    return svg(_GRAPH_WIDTH, height, parts, about, kind="graph")


def _laid_out(nodes: Mapping[str, GraphNode], edges: Sequence[GraphEdge]) -> tuple[int, dict[str, tuple[float, float]]]:
    """The height of the picture, and the position of each node; the longest axis of the graph is horizontal."""
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from((edge.source, edge.target) for edge in edges)
    found = nx.spring_layout(graph, seed=1, k=2.2 / len(nodes) ** 0.5, iterations=120)
    points = np.array([found[key] for key in nodes])
    points, _ = principal_plane(points) if len(nodes) > 2 else (points, None)
    points = points - points.min(axis=0)
    wide, high = np.maximum(points.max(axis=0), 1e-9)
    across = (_GRAPH_WIDTH - 2 * _SIDE) / wide
    least, most = _GRAPH_HEIGHT
    height = min(most, max(least, round(high * across + 2 * _TOP)))
    down = (height - 2 * _TOP) / high
    placed = np.round(points * [across, down] + [_SIDE, _TOP], 1).tolist()
    return height, {key: (x, y) for key, (x, y) in zip(nodes, placed, strict=True)}


def _arrow(places: Mapping[str, tuple[float, float]], edge: GraphEdge) -> Markup:
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


def _node(place: tuple[float, float], node: GraphNode) -> Markup:
    x, y = place
    return Markup(
        '<a href="{href}"><circle cx="{x}" cy="{y}" r="{r}" class="node {look}"/>'
        '<text x="{x}" y="{ty}" text-anchor="middle">{label}</text><title>{whole}</title></a>'
    ).format(
        href=node.href, x=x, y=y, r=node.size, ty=y - 9, look=node.look, label=clipped(node.label, 24), whole=node.label
    )
