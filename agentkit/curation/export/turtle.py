"""Turtle, written as a stream; the same bytes every time."""

from __future__ import annotations

import re
from pathlib import Path

from agentkit.curation.export.content import Content, writing
from agentkit.curation.export.rdf import PREFIXES, Iri, Literal, Node, nodes

_PREFIXED = re.compile(rf"(?:{'|'.join(PREFIXES)}):[A-Za-z][\w-]*$")
_ESCAPES = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    | {chr(c): f"\\u{c:04X}" for c in (*range(9), 11, 12, *range(14, 32), 127)}
)
_UNSAFE = re.compile(r'[\x00-\x20<>"{}|^`\\]')


def write(content: Content, path: Path) -> list[Path]:
    """Write one file."""
    with writing(path) as stream:
        for prefix, base in PREFIXES.items():
            stream.write(f"@prefix {prefix}: <{base}> .\n")
        stream.write("\n")
        for node in nodes(content):
            stream.write(f"{_iri(node.iri.value) if node.iri else '[]'} {_statements(node, '    ')} .\n")
    return [path]


def _statements(node: Node, indent: str) -> str:
    joined = f" ;\n{indent}"
    return joined.join(
        f"{'a' if name == 'rdf:type' else _iri(name)} {_value(v, indent)}" for name, v in node.statements
    )


def _value(value: Iri | Literal | Node, indent: str) -> str:
    if isinstance(value, Iri):
        return _iri(value.value)
    if isinstance(value, Node):
        return f"[ {_statements(value, indent + '    ')} ]"
    text = f'"{value.value.translate(_ESCAPES)}"'
    return f"{text}^^xsd:{value.kind}" if value.kind else text


def _iri(value: str) -> str:
    if _PREFIXED.match(value):
        return value
    prefix, _, local = value.partition(":")
    full = PREFIXES[prefix] + local if prefix in PREFIXES else value
    return f"<{_UNSAFE.sub(lambda m: f'%{ord(m[0]):02X}', full)}>"
