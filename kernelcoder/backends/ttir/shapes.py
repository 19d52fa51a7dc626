# SPDX-License-Identifier: Apache-2.0
"""Operations that only place lanes: ranges, broadcasts, transposes, joins, gathers."""

from __future__ import annotations

import math
from dataclasses import replace

from kernelcoder.backends.ttir.emitter import Emitter, lowers
from kernelcoder.backends.ttir.kinds import Type, Unsupported
from kernelcoder.backends.ttir.parse import Operation
from kernelcoder.backends.ttir.values import Index, Value, stored

_AXES = {"x": 0, "y": 1, "z": 2}


def _produced(operation: Operation, values: list[Value]) -> Type:
    """The type of the result, of the operands' element."""
    if len(operation.produced) != 1:
        raise Unsupported(f"{operation.name} of an unknown form")
    kind = operation.produced[0]
    for value in values:
        if (value.type.element, value.type.pointer) != (kind.element, kind.pointer):
            raise Unsupported(f"{operation.name} between types")
    if kind.shape is None:
        raise Unsupported(f"{operation.name} to a scalar")
    return kind


def _shape(value: Value) -> tuple[int, ...]:
    if value.shape is None:
        raise Unsupported("a scalar where a tensor belongs")
    return value.shape


def _one_root(values: list[Value]) -> int | None:
    if any(value.root != values[0].root for value in values):
        raise Unsupported("a pointer into one of two arguments")
    return values[0].root


@lowers("tt.get_program_id", "tt.get_num_programs")
def _program(emitter: Emitter, operation: Operation) -> None:
    axis = _AXES.get(operation.words[0] if operation.words else "")
    if axis is None:
        raise Unsupported("an unknown axis of the grid")
    source = "program" if operation.name == "tt.get_program_id" else "grid"
    kind = Type(None, "i32")
    emitter.result(operation, Value(kind, lambda ix: f"{source}_{'xyz'[axis]}"))


@lowers("tt.make_range")
def _range(emitter: Emitter, operation: Operation) -> None:
    start = operation.number("start")
    kind = (operation.types or [Type(None, "i32")])[0]
    if kind.shape is None or len(kind.shape) != 1 or abs(start) >= 1 << 31 or kind.pointer:
        raise Unsupported("a range of an unknown form")
    step = f" + {start}" if start else ""
    lane = Value(kind, lambda ix: f"({ix.parts[0]}{step})", int(bool(start)), affine=True)
    emitter.result(operation, lane)


@lowers("tt.splat")
def _splat(emitter: Emitter, operation: Operation) -> None:
    (a,) = values = emitter.operands(operation, 1)
    kind = _produced(operation, values)
    if a.shape is not None:
        raise Unsupported("a splat of a tensor")
    text = a.scalar
    emitter.result(operation, Value(kind, lambda ix: text, root=a.root, uniform=True))


@lowers("tt.unsplat")
def _unsplat(emitter: Emitter, operation: Operation) -> None:
    (a,) = emitter.operands(operation, 1)
    if math.prod(_shape(a)) != 1:
        raise Unsupported("a scalar of several lanes")
    text = a.code(Index(("0",) * len(_shape(a))))
    emitter.result(operation, Value(a.type.of(None), lambda ix: text, root=a.root))


@lowers("tt.expand_dims")
def _expand(emitter: Emitter, operation: Operation) -> None:
    (a,) = values = emitter.operands(operation, 1)
    kind, axis, shape = _produced(operation, values), operation.number("axis"), _shape(a)
    if kind.shape != (*shape[:axis], 1, *shape[axis:]) or axis < 0:
        raise Unsupported("an expansion of an unknown form")

    def code(ix: Index) -> str:
        return a.code(Index(ix.parts[:axis] + ix.parts[axis + 1 :]))

    a = emitter.light(a)
    emitter.result(operation, replace(a, type=kind, code=code, array=""))


@lowers("tt.broadcast")
def _broadcast(emitter: Emitter, operation: Operation) -> None:
    (a,) = values = emitter.operands(operation, 1)
    kind, shape = _produced(operation, values), _shape(a)
    wide = kind.shape or ()
    if len(wide) != len(shape) or any(n not in (1, m) for n, m in zip(shape, wide, strict=True)):
        raise Unsupported("a broadcast of an unknown form")
    a = emitter.light(a)

    def code(ix: Index) -> str:
        parts = zip(ix.parts, shape, strict=True)
        return a.code(Index(tuple("0" if n == 1 else part for part, n in parts)))

    emitter.result(operation, replace(a, type=kind, code=code, array=""))


@lowers("tt.trans")
def _transpose(emitter: Emitter, operation: Operation) -> None:
    (a,) = values = emitter.operands(operation, 1)
    kind, order, shape = _produced(operation, values), operation.numbers("order"), _shape(a)
    if sorted(order) != list(range(len(shape))) or kind.shape != tuple(shape[n] for n in order):
        raise Unsupported("a transpose of an unknown form")
    a = emitter.materialize(a) if a.heavy else a
    back = [order.index(axis) for axis in range(len(order))]

    def code(ix: Index) -> str:
        return a.code(Index(tuple(ix.parts[axis] for axis in back)))

    emitter.result(operation, replace(a, type=kind, code=code, array=""))


@lowers("tt.reshape")
def _reshape(emitter: Emitter, operation: Operation) -> None:
    (a,) = values = emitter.operands(operation, 1)
    kind = _produced(operation, values)
    if math.prod(kind.shape or ()) != math.prod(_shape(a)):
        raise Unsupported("a reshape that changes the number of lanes")
    flat = emitter.materialize(a)
    emitter.result(operation, stored(kind, flat.array, a.root))


@lowers("tt.join")
def _join(emitter: Emitter, operation: Operation) -> None:
    a, b = values = emitter.operands(operation, 2)
    kind = _produced(operation, values)
    if a.shape != b.shape or kind.shape != (*_shape(a), 2):
        raise Unsupported("a join of an unknown form")
    a, b, root = emitter.light(a), emitter.light(b), _one_root(values)

    def code(ix: Index) -> str:
        inner = Index(ix.parts[:-1])
        return f"({ix.parts[-1]} ? {b.code(inner)} : {a.code(inner)})"

    emitter.result(operation, Value(kind, code, a.cost + b.cost + 1, True, root=root))


@lowers("tt.cat")
def _cat(emitter: Emitter, operation: Operation) -> None:
    a, b = values = emitter.operands(operation, 2)
    kind, shape = _produced(operation, values), _shape(a)
    if a.shape != b.shape or len(shape) != 1 or kind.shape != (2 * shape[0],):
        raise Unsupported("a concatenation of an unknown form")
    root, target = _one_root(values), emitter.variable(kind)
    for offset, part in ((0, a), (shape[0], b)):

        def body(ix: Index, offset: int = offset, part: Value = part) -> str:
            return f"{target.array}[{ix.parts[0]}+{offset}] = {part.code(ix)};"

        emitter.loop(shape, body)
    emitter.result(operation, replace(target, root=root))


@lowers("tt.split")
def _split(emitter: Emitter, operation: Operation) -> None:
    (a,) = emitter.operands(operation, 1)
    shape = _shape(a)
    if shape[-1] != 2 or len(operation.results) != 2 or len(shape) < 2:
        raise Unsupported("a split of an unknown form")
    a = emitter.light(a)
    for half, name in enumerate(operation.results):

        def code(ix: Index, half: int = half) -> str:
            return a.code(Index((*ix.parts, str(half))))

        emitter.define(name, Value(a.type.of(shape[:-1]), code, a.cost, a.heavy, root=a.root))


@lowers("tt.gather")
def _gather(emitter: Emitter, operation: Operation) -> None:
    a, where = emitter.operands(operation, 2)
    axis, shape, wide = operation.number("axis"), _shape(a), _shape(where)
    if not 0 <= axis < len(shape) or len(wide) != len(shape) or where.type.floating:
        raise Unsupported("a gather of an unknown form")
    if any(n > m for at, (n, m) in enumerate(zip(wide, shape, strict=True)) if at != axis):
        raise Unsupported("a gather of an unknown form")
    if a.type.pointer:
        raise Unsupported("gathered pointers")
    a, where = emitter.materialize(a), emitter.light(where)
    size = shape[axis]

    def code(ix: Index) -> str:
        place = f"inside({where.code(ix)}, {size}, {operation.line})"
        return a.code(Index((*ix.parts[:axis], place, *ix.parts[axis + 1 :])))

    emitter.result(operation, Value(a.type.of(wide), code, where.cost + 2, True))


@lowers("tt.histogram")
def _histogram(emitter: Emitter, operation: Operation) -> None:
    values = emitter.operands(operation, len(operation.operands))
    kind = operation.produced[-1] if operation.produced else None
    if kind is None or kind.shape is None or len(values) not in (1, 2) or kind.floating:
        raise Unsupported("a histogram of an unknown form")
    if any(value.type.floating or value.type.pointer for value in values) or kind.pointer:
        raise Unsupported("a histogram of an unknown form")
    target, bins = emitter.variable(kind), kind.shape[0]
    emitter.loop(kind.shape, lambda ix: f"{target.code(ix)} = 0;")

    def body(ix: Index) -> str:
        mask = f"({values[1].code(ix)}) && " if len(values) == 2 else ""
        text = values[0].code(ix)
        return f"{{ const int64_t bin = {text}; if ({mask}bin >= 0 && bin < {bins}) " + (
            f"{target.array}[bin]++; }}"
        )

    emitter.loop(_shape(values[0]), body, simd=False)
    emitter.result(operation, target)
