# SPDX-License-Identifier: Apache-2.0
"""Reductions, scans and matrix products."""

from __future__ import annotations

import math

from kernelcoder.backends.ttir.emitter import Emitter, lowers
from kernelcoder.backends.ttir.kinds import NARROW, SCALARS, Type, Unsupported
from kernelcoder.backends.ttir.parse import Block, Operation
from kernelcoder.backends.ttir.values import Index, Shape, Value, stored

_PARTIAL = 16  # partial results of a plain reduction along the last axis: one vector of floats
_PLAIN = {
    "arith.addf": "{0} + {1}", "arith.mulf": "{0} * {1}", "arith.addi": "{0} + {1}",
    "arith.maxnumf": "max_number({0}, {1})", "arith.minnumf": "min_number({0}, {1})",
    "arith.maximumf": "max_or_nan({0}, {1})", "arith.minimumf": "min_or_nan({0}, {1})",
    "arith.maxsi": "largest<{2}>({0}, {1})", "arith.minsi": "smallest<{2}>({0}, {1})",
    "arith.xori": "{0} ^ {1}", "arith.ori": "{0} | {1}", "arith.andi": "{0} & {1}",
}  # fmt: skip


class _Combine:
    """The region of a reduction or a scan: from what was collected and a lane to what follows."""

    def __init__(self, emitter: Emitter, operation: Operation, last: str) -> None:
        values = [emitter.value(name) for name in operation.operands]
        if not values or len(operation.results) != len(values) or len(operation.regions) != 1:
            raise Unsupported(f"{operation.name} of an unknown form")
        self.emitter, self.operation = emitter, operation
        self.shape = values[0].shape or ()
        self.axis = operation.number("axis")
        if any(value.shape != values[0].shape or value.type.pointer for value in values):
            raise Unsupported(f"{operation.name} of an unknown form")
        if not 0 <= self.axis < len(self.shape):
            raise Unsupported(f"{operation.name} of an unknown form")
        self.values = [emitter.materialize(value) for value in values]
        self.size = self.shape[self.axis]
        self.block = self._block(operation, last)
        kinds = [Type(None, value.type.element) for value in self.values]
        if [kind for _, kind in self.block.arguments] != kinds + kinds:
            raise Unsupported(f"{operation.name} of an unknown form")

    def _block(self, operation: Operation, last: str) -> Block:
        blocks = [block for block in operation.regions[0] if block.label or block.operations]
        if len(blocks) != 1 or not blocks[0].operations:
            raise Unsupported(f"{operation.name} with branches")
        if blocks[0].operations[-1].name != last:
            raise Unsupported(f"{operation.name} without an end")
        if len(blocks[0].operations[-1].operands) != len(self.values):
            raise Unsupported(f"{operation.name} of an unknown form")
        return blocks[0]

    @property
    def plain(self) -> str:
        """The form of a single commutative operation on one value, or ""."""
        first, last = self.block.operations[0], self.block.operations[-1]
        names = {name for name, _ in self.block.arguments}
        single = len(self.block.operations) == 2 and len(self.values) == 1
        if not single or first.results != last.operands or set(first.operands) != names:
            return ""
        return _PLAIN.get(first.name, "")

    def at(self, outer: tuple[str, ...], place: str) -> Index:
        """The lane at a place of the axis."""
        return Index((*outer[: self.axis], place, *outer[self.axis :]))

    def step(self, collected: list[str], lane: list[str]) -> str:
        """C++ that leaves the combination in ``collected``."""
        emitter, outside, lines = self.emitter, dict(self.emitter.env), self.emitter.lines
        emitter.lines = []
        names = [name for name, _ in self.block.arguments]
        kinds = [kind for _, kind in self.block.arguments]
        for name, kind, text in zip(names, kinds, [*collected, *lane], strict=True):
            emitter.env[name] = stored(kind, text)
        emitter.run(self.block.operations[:-1])
        last = self.block.operations[-1].operands
        found = [emitter.variable(Type(None, v.type.element), "m") for v in self.values]
        for target, name in zip(found, last, strict=True):
            value = emitter.value(name)
            if value.type != target.type:
                raise Unsupported("a combination that changes its type")
            emitter.fill(target, value)
        for text, target in zip(collected, found, strict=True):
            emitter.write(f"{text} = {target.scalar};")
        written, emitter.lines, emitter.env = emitter.lines, lines, outside
        return " ".join(written)


@lowers("tt.reduce")
def _reduce(emitter: Emitter, operation: Operation) -> None:
    combine = _Combine(emitter, operation, "tt.reduce.return")
    shape = combine.shape[: combine.axis] + combine.shape[combine.axis + 1 :]
    targets = [emitter.variable(v.type.of(shape or None), "r") for v in combine.values]
    inner = combine.axis == len(combine.shape) - 1
    form = combine.plain
    if form and inner and combine.size >= _PARTIAL:
        _plain(combine, shape, targets[0], form)
    elif inner:
        _along(combine, shape, targets)
    else:
        _across(combine, shape, targets)
    for name, target in zip(operation.results, targets, strict=True):
        emitter.define(name, target)


def _plain(combine: _Combine, shape: Shape, target: Value, form: str) -> None:
    """Partial results side by side, then one."""
    value, size = combine.values[0], combine.size
    kind = Type(None, value.type.element)
    wide = "float" if kind.element in NARROW else kind.c

    def joined(a: str, b: str) -> str:
        return f"{kind.c}({form.format(f'({wide}){a}', f'({wide}){b}', kind.c)})"

    def body(ix: Index) -> str:
        def lane(place: str) -> str:
            return value.code(combine.at(ix.parts, place))

        first = f"for (int z=0; z<{_PARTIAL}; z++) p[z] = {lane('z')};"
        more = f"p[z] = {joined('p[z]', lane('(r+z)'))};"
        rest = f"for (int r={_PARTIAL}; r<{size}; r+={_PARTIAL}) "
        rest += f'_Pragma("GCC ivdep") for (int z=0; z<{_PARTIAL}; z++) {more}'
        last = f"for (int z=1; z<{_PARTIAL}; z++) a = {joined('a', 'p[z]')};"
        text = f"{kind.c} p[{_PARTIAL}]; {first} {rest} {kind.c} a = p[0]; {last}"
        return f"{{ {text} {target.code(ix)} = a; }}"

    if size % _PARTIAL:
        raise Unsupported("a tensor whose size is no power of two")
    combine.emitter.loop(shape, body, simd=False)


def _along(combine: _Combine, shape: Shape, targets: list[Value]) -> None:
    """Lane after lane of the last axis."""
    emitter = combine.emitter
    state = [emitter.variable(Type(None, v.type.element), "a") for v in combine.values]
    given = [emitter.variable(Type(None, v.type.element), "b") for v in combine.values]
    step = combine.step([v.scalar for v in state], [v.scalar for v in given])

    def body(ix: Index) -> str:
        def read(to: list[Value], place: str) -> str:
            index = combine.at(ix.parts, place)
            pairs = zip(to, combine.values, strict=True)
            return " ".join(f"{t.scalar} = {v.code(index)};" for t, v in pairs)

        done = " ".join(f"{t.code(ix)} = {s.scalar};" for t, s in zip(targets, state, strict=True))
        loop = f"for (int r=1; r<{combine.size}; r++) {{ {read(given, 'r')} {step} }}"
        return f"{read(state, '0')} {loop} {done}"

    emitter.loop(shape, body, simd=False)


def _across(combine: _Combine, shape: Shape, targets: list[Value]) -> None:
    """All results at once, row after row: the inner loop runs along memory."""
    emitter = combine.emitter
    state = [emitter.variable(Type(None, v.type.element), "a") for v in combine.values]
    given = [emitter.variable(Type(None, v.type.element), "b") for v in combine.values]
    step = combine.step([v.scalar for v in state], [v.scalar for v in given])
    pairs = list(zip(targets, combine.values, state, given, strict=True))

    def first(ix: Index) -> str:
        index = combine.at(ix.parts, "0")
        return " ".join(f"{t.code(ix)} = {v.code(index)};" for t, v, _, _ in pairs)

    def more(ix: Index) -> str:
        index = combine.at(ix.parts, "r")
        read = " ".join(
            f"{s.scalar} = {t.code(ix)}; {g.scalar} = {v.code(index)};" for t, v, s, g in pairs
        )
        return f"{read} {step} " + " ".join(f"{t.code(ix)} = {s.scalar};" for t, _, s, _ in pairs)

    emitter.loop(shape, first)
    emitter.write(f"for (int r=1; r<{combine.size}; r++) {{")
    emitter.loop(shape, more)
    emitter.write("}")


@lowers("tt.scan")
def _scan(emitter: Emitter, operation: Operation) -> None:
    combine = _Combine(emitter, operation, "tt.scan.return")
    targets = [emitter.variable(v.type, "r") for v in combine.values]
    state = [emitter.variable(Type(None, v.type.element), "a") for v in combine.values]
    given = [emitter.variable(Type(None, v.type.element), "b") for v in combine.values]
    step = combine.step([v.scalar for v in state], [v.scalar for v in given])
    shape = combine.shape[: combine.axis] + combine.shape[combine.axis + 1 :]
    reverse = operation.word("reverse") == "true"

    def body(ix: Index) -> str:
        place = f"({combine.size - 1}-r)" if reverse else "r"
        here = combine.at(ix.parts, place)
        read = " ".join(
            f"{g.scalar} = {v.code(here)};" for g, v in zip(given, combine.values, strict=True)
        )
        begin = " ".join(f"{s.scalar} = {g.scalar};" for s, g in zip(state, given, strict=True))
        keep = " ".join(
            f"{t.code(here)} = {s.scalar};" for t, s in zip(targets, state, strict=True)
        )
        chosen = f"if (r == 0) {{ {begin} }} else {{ {step} }}"
        return f"for (int r=0; r<{combine.size}; r++) {{ {read} {chosen} {keep} }}"

    emitter.loop(shape, body, simd=False)
    for name, target in zip(operation.results, targets, strict=True):
        emitter.define(name, target)


@lowers("tt.dot")
def _dot(emitter: Emitter, operation: Operation) -> None:
    a, b, c = emitter.operands(operation, 3)
    shapes = [value.shape or () for value in (a, b, c)]
    (batch, m, k), (n, kind) = _sizes(shapes), (shapes[1][-1], c.type)
    if kind.element not in ("f16", "f32", "f64", "i32"):
        raise Unsupported(f"a product that collects in {kind.element}")
    if a.type.pointer or b.type.pointer or a.type.floating != kind.floating:
        raise Unsupported("a product of an unknown form")
    element = "f32" if kind.element == "f16" else kind.element
    # Tensor cores drop 13 bits of each float32 unless a kernel asks for all ("ieee", which the
    # text leaves out); the forms in three parts are about as exact as float32.
    tf32 = operation.word("inputPrecision") == "tf32" and element == "f32"
    operands = []
    for value in (a, b):
        rounds = tf32 and value.type.element == "f32"
        wide = Type(value.shape, element)

        def code(ix: Index, value: Value = value, rounds: bool = rounds) -> str:
            text = f"({SCALARS[element][0]})({value.code(ix)})"
            return f"to_tf32({text})" if rounds else text

        same = value.type.element == element and not rounds
        operands.append(emitter.materialize(value if same else Value(wide, code, 1, True)))
    target = emitter.variable(Type(c.shape, element), "d")
    emitter.loop(c.shape, lambda ix: f"{target.code(ix)} = {c.code(ix)};")
    where = [f"{name} + i*{size}" for name, size in zip(
        (target.array, operands[0].array, operands[1].array), (m * n, m * k, k * n), strict=True
    )]  # fmt: skip
    call = f"product<{SCALARS[element][0]}, {m}, {n}, {k}>({', '.join(where)});"
    emitter.write(f"for (int i=0; i<{batch}; i++) {call}")
    if element != kind.element:
        wide_target = target
        target = Value(kind, lambda ix: f"{kind.c}({wide_target.code(ix)})", 1, True)
    emitter.result(operation, target)


def _sizes(shapes: list[tuple[int, ...]]) -> tuple[int, int, int]:
    a, b, c = shapes
    if len(a) not in (2, 3) or len(b) != len(a) or len(c) != len(a):
        raise Unsupported("a product of an unknown form")
    if a[-1] != b[-2] or c[-2:] != (a[-2], b[-1]) or not a[:-2] == b[:-2] == c[:-2]:
        raise Unsupported("a product of an unknown form")
    return math.prod(a[:-2]), a[-2], a[-1]
