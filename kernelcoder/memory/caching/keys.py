# SPDX-License-Identifier: Apache-2.0
"""What the semantic cache compares tasks by: the computation, not the words around it.

A key lists what the reference computes with, in its order: functions and methods called, operators,
constants, and its own variables by number. Docstrings, annotations, comments and names chosen by
its author are not in it. A signature is what a source must fit exactly before it is tried on
another task.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kernelcoder.records import sha256
from kernelcoder.task import Task


def signature(task: Task) -> str:
    """The arguments a kernel of this task takes: dimensions of the inputs and outputs in order, up
    to the names of dimensions, the scalars by name, and the data types it must serve."""
    names: dict[str, str] = {"...": "..."}

    def dims(of: tuple[str, ...]) -> str:
        plain = (one if one.isdigit() else names.setdefault(one, f"d{len(names)}") for one in of)
        return f"[{','.join(plain)}]"

    inputs = " ".join(dims(arg.dims) for arg in task.inputs)
    outputs = " ".join(dims(arg.dims) for arg in task.outputs)
    dtypes = " ".join(sorted({case.dtype for case in task.visible}))
    return f"in {inputs} out {outputs} scalars {' '.join(task.scalars) or 'none'} types {dtypes}"


def key(task: Task) -> str:
    """The text that similarity is measured on: one word for each thing the reference does."""
    source = normalized(task.reference_source)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source
    return " ".join(_words(tree))


def name(text: str) -> str:
    """A short name of a text for an id."""
    return sha256(text)[:12]


def normalized(source: str) -> str:
    """Python source with its own functions, arguments and variables numbered in order of
    appearance, without docstrings and annotations. What is no Python is taken as it stands, with
    its white space evened out."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return " ".join(source.split())
    own = _Own()
    own.visit(tree)
    return ast.unparse(ast.fix_missing_locations(_Renamed(own.names).visit(tree)))


def _words(tree: ast.AST) -> Iterator[str]:
    """The operations of a normalized tree, outer ones first."""
    if isinstance(tree, ast.Attribute):
        yield ast.unparse(tree) if isinstance(tree.value, ast.Name) else f".{tree.attr}"
        if isinstance(tree.value, ast.Name):
            return
    elif isinstance(tree, ast.Name):
        yield tree.id
    elif isinstance(tree, ast.Constant):
        yield repr(tree.value)
    elif isinstance(tree, ast.keyword):
        yield f"{tree.arg}="
    elif isinstance(tree, (ast.operator, ast.unaryop, ast.cmpop, ast.boolop)):
        yield type(tree).__name__
    for child in ast.iter_child_nodes(tree):
        yield from _words(child)


class _Own(ast.NodeVisitor):
    """The names a source defines itself, each with its number."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def _add(self, name: str, kind: str) -> None:
        self.names.setdefault(name, f"{kind}{len(self.names)}")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._add(node.name, "f")
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self._add(node.arg, "a")

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._add(node.id, "v")


class _Renamed(ast.NodeTransformer):
    """The tree under its numbered names."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.name, node.returns = self._names[node.name], None
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg, node.annotation = self._names[node.arg], None
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._names.get(node.id, node.id)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if node.value is None:
            return ast.Pass()
        return ast.Assign(targets=[node.target], value=node.value)
