# SPDX-License-Identifier: Apache-2.0
"""What Python means otherwise than the compiler, put right in a kernel's source.

- ``a and b``, ``a or b``, ``not a``, comparisons in a row: of tensors the compiler combines them
  element by element, Python would return one of the operands.
- A number that is assigned stays a constant (``HALF = BLOCK // 2`` is a size) and has ``.to``.
- The variable of a loop over ``range`` is a 32-bit integer tensor, and so wraps as one.
- Annotations as they were written, also where ``from __future__ import annotations`` holds.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import triton.language as tl
from triton.runtime import interpreter

from kernelcoder.backends.triton_interp.values import assigned

_AND, _OR, _NOT, _SET, _EACH = "_kc_and", "_kc_or", "_kc_not", "_kc_set", "_kc_each"


def _truth(value: Any) -> Any:
    value = value.value if isinstance(value, tl.constexpr) else value
    return value if isinstance(value, tl.tensor) else bool(value)


def _both(left: Any, right: Callable[[], Any]) -> Any:
    first = _truth(left)
    if not isinstance(first, tl.tensor):
        return _plain(right()) if first else _plain(left)
    return first.logical_and(_as_tensor(right()))


def _either(left: Any, right: Callable[[], Any]) -> Any:
    first = _truth(left)
    if not isinstance(first, tl.tensor):
        return _plain(left) if first else _plain(right())
    return first.logical_or(_as_tensor(right()))


def _negated(value: Any) -> Any:
    found = _truth(value)
    return (
        interpreter.interpreter_semantic.not_(found) if isinstance(found, tl.tensor) else not found
    )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, tl.constexpr) else value


def _as_tensor(value: Any) -> Any:
    return interpreter.interpreter_semantic.to_tensor(_truth(value))


def _each(values: Any) -> Any:
    """The values of a loop; those of a range are tensors, as in compiled code."""
    if isinstance(values, range):
        return map(interpreter.interpreter_semantic.to_tensor, values)
    return values


NAMES = {_AND: _both, _OR: _either, _NOT: _negated, _SET: assigned, _EACH: _each}


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(func=ast.Name(id=name, ctx=ast.Load()), args=list(arguments), keywords=[])


def _later(value: ast.expr) -> ast.Lambda:
    """``lambda: value``: the right operand is not looked at where the left one decides."""
    none = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(args=none, body=value)


class Transformer(ast.NodeTransformer):
    """Of a kernel's or a device function's syntax tree."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """``and`` and ``or``, from the left."""
        self.generic_visit(node)
        name = _AND if isinstance(node.op, ast.And) else _OR
        found = node.values[0]
        for value in node.values[1:]:
            found = _call(name, found, _later(value))
        return found

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """``not``."""
        self.generic_visit(node)
        return _call(_NOT, node.operand) if isinstance(node.op, ast.Not) else node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        """``name = value``."""
        self.generic_visit(node)
        node.value = _call(_SET, node.value)
        return node

    def visit_For(self, node: ast.For) -> ast.For:
        """``for i in range(...)``; the indices of ``tl.static_range`` stay numbers."""
        self.generic_visit(node)
        called = node.iter.func if isinstance(node.iter, ast.Call) else None
        unrolled = isinstance(called, ast.Attribute) and called.attr == "static_range"
        unrolled |= isinstance(called, ast.Name) and called.id == "static_range"
        node.iter = node.iter if unrolled else _call(_EACH, node.iter)
        return node


def _compile_and_exec(self: Any, tree: ast.Module) -> Any:
    """The function defined anew, with the globals it had."""
    code = compile(tree, filename=self.filename, mode="exec", dont_inherit=True)
    space, local = self.fn.__globals__, dict(self.kwargs)
    space.update(NAMES)
    exec(code, space, local)
    made = local[self.fn.__name__]
    made.__annotations__ = dict(self.fn.__annotations__)
    made.__defaults__ = self.fn.__defaults__
    return made


def install() -> None:
    """For all functions that are rewritten from now on."""
    interpreter.FunctionRewriter.ast_transformer = Transformer()
    interpreter.FunctionRewriter._compile_and_exec = _compile_and_exec
