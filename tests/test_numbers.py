"""Numbers that keep the code readable: counted here, so that they hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.import_graph import MODULES, ROOT

LONGEST_FUNCTION, LONGEST_CLASS = 50, 250
FORMATTER_EXCEPTIONS, LOOSE_TYPES = 5, 147

FILES = {path: path.read_text(encoding="utf-8") for path in MODULES.values() if "versions" not in path.parts}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions() -> Iterator[tuple[str, Definition, bool]]:
    """Every function and class with its place, and whether it stands in something private."""
    for path, text in FILES.items():
        for node, private in walk(ast.parse(text), False):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node, private


def walk(node: ast.AST, private: bool) -> Iterator[tuple[Definition, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            hidden = private or (child.name.startswith("_") and not child.name.startswith("__"))
            yield child, hidden
            yield from walk(child, hidden or not isinstance(child, ast.ClassDef))
        else:
            yield from walk(child, private)


def lines(node: Definition) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_function_is_longer_than_a_screen() -> None:
    functions = [(place, node) for place, node, _ in definitions() if not isinstance(node, ast.ClassDef)]
    long = [place for place, node in functions if lines(node) > LONGEST_FUNCTION]
    assert long == []


def test_no_class_does_too_much() -> None:
    large = [
        place for place, node, _ in definitions() if isinstance(node, ast.ClassDef) and lines(node) > LONGEST_CLASS
    ]
    assert large == []


def test_the_formatter_s_rules_hold() -> None:
    found = [
        f"{path.relative_to(ROOT)}" for path, text in FILES.items() for _ in re.findall("# fmt: (?:skip|off)", text)
    ]
    assert len(found) <= FORMATTER_EXCEPTIONS, found


def test_values_have_types_of_their_own() -> None:
    assert sum(len(re.findall(r"dict\[str, Any\]|\*\*\w+: Any", text)) for text in FILES.values()) <= LOOSE_TYPES


OVERRIDES = {"_generate", "_agenerate", "_stream", "_astream", "bind_tools", "alist", "__init__"}
OVERRIDES |= {"with_structured_output", "invoke", "ainvoke", "transform", "atransform"}
"""Methods whose signatures a library prescribes."""


def test_no_public_signature_takes_anything_under_any_name() -> None:
    wrong = []
    for place, node, private in definitions():
        if private or isinstance(node, ast.ClassDef) or node.name in OVERRIDES:
            continue
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        loose = [arg.arg for arg in given if arg.annotation and "dict[str, Any]" in ast.unparse(arg.annotation)]
        if (rest := node.args.kwarg) is not None and rest.annotation and ast.unparse(rest.annotation) == "Any":
            loose.append(f"**{rest.arg}")
        wrong += [f"{place}({name})" for name in loose]
    assert wrong == []
