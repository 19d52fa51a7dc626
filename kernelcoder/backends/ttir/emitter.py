# SPDX-License-Identifier: Apache-2.0
"""The body of a kernel's C++ function while it is written: lines, declarations, named values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kernelcoder.backends.ttir.kinds import Type, Unsupported
from kernelcoder.backends.ttir.parse import Operation
from kernelcoder.backends.ttir.values import Index, Shape, Value, stored

_NESTED = 3  # more dimensions (a sort's) are walked by one loop
_SHARED, _LONGEST = 10, 60  # operations repeated at will; operations in one expression
_STACK, _ALL, _SOURCE = 192 << 10, 256 << 20, 4 << 20  # bytes of local arrays, of all, of C++
_PLAIN = re.compile(r"[A-Za-z_]\w*|\(?-?\d+\)?|true|false")

Handler = Callable[["Emitter", Operation], None]
HANDLERS: dict[str, Handler] = {}


def lowers(*names: str) -> Callable[[Handler], Handler]:
    """Registers a function for operations of these names."""

    def register(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register


class Emitter:
    """Values by name, and the text so far. Scalars and arrays are all declared at the top, so that
    `goto` may jump over anything."""

    def __init__(self, uses: Mapping[str, int], wraps: bool, casts: bool) -> None:
        self.wraps, self.casts = wraps, casts  # integers overflow; pointers change their type
        self.env: dict[str, Value] = {}
        self.lines: list[str] = []
        self.declared: list[str] = []
        self._uses, self._count, self._stack, self._all, self._size = uses, 0, 0, 0, 0

    def write(self, text: str) -> None:
        """One more line of C++."""
        self._size += len(text)
        if self._size > _SOURCE:
            raise Unsupported("a kernel that becomes megabytes of C++")
        self.lines.append(text)

    def name(self, prefix: str) -> str:
        """A name that is not taken."""
        self._count += 1
        return f"{prefix}{self._count}"

    def used(self, name: str) -> int:
        """How often a value is an operand."""
        return self._uses.get(name, 0)

    def run(self, operations: Sequence[Operation]) -> None:
        """Lower one operation after the other."""
        for operation in operations:
            handler = HANDLERS.get(operation.name)
            if handler is None:
                raise Unsupported(f"operation {operation.name[:60]}")
            handler(self, operation)

    def value(self, name: str) -> Value:
        """A value by its name in the text."""
        found = self.env.get(name)
        if found is None:
            raise Unsupported("a value that is not defined")
        return found

    def operands(self, operation: Operation, count: int) -> list[Value]:
        """Exactly this many operands."""
        if len(operation.operands) != count:
            raise Unsupported(f"{operation.name} with {len(operation.operands)} operands")
        return [self.value(name) for name in operation.operands]

    def variable(self, kind: Type, prefix: str = "v") -> Value:
        """A new scalar or array, not yet filled."""
        name = self.name(prefix)
        if kind.shape is None:
            self.declared.append(f"{kind.c} {name};")
            return stored(kind, name)
        size = math.prod(kind.shape) * (8 if kind.pointer else kind.size)
        where = ""
        if size > _STACK // 12 or self._stack + size > _STACK:
            where = "static "
        else:
            self._stack += size
        self._all += size
        if self._all > _ALL:
            raise Unsupported("a kernel with very large tensors")
        count = math.prod(kind.shape)
        self.declared.append(f"alignas(64) {where}{kind.c} {name}[{count}];")
        return stored(kind, name)

    def loop(self, shape: Shape | None, body: Callable[[Index], str], simd: bool = True) -> None:
        """The body for each lane; ``simd`` promises that lanes do not depend on each other."""
        head, index = lanes(shape or (), simd)
        self.write(f"{head}{{ {body(index)} }}")

    def fill(self, target: Value, source: Value) -> None:
        """Assign lane by lane."""
        self.loop(target.shape, lambda ix: f"{target.code(ix)} = {source.code(ix)};")

    def materialize(self, value: Value) -> Value:
        """The same value in a variable or an array of its own."""
        if value.array:
            return value
        if value.shape is None and _PLAIN.fullmatch(value.scalar):
            return value
        target = self.variable(value.type, "t")
        self.fill(target, value)
        return replace(target, root=value.root, affine=value.affine, uniform=value.uniform)

    def light(self, value: Value) -> Value:
        """Something that may be repeated for each lane of a larger shape."""
        return self.materialize(value) if value.heavy else value

    def define(self, name: str, value: Value) -> None:
        """Give a result its name; what is needed often or is long gets computed now."""
        often = self.used(name) > 1
        longer = value.cost > _LONGEST or (often and (value.heavy or value.cost > _SHARED))
        if value.shape is None or longer:
            value = self.materialize(value)
        self.env[name] = value

    def result(self, operation: Operation, value: Value) -> None:
        """`define` for an operation of one result."""
        if len(operation.results) != 1:
            raise Unsupported(f"{operation.name} with {len(operation.results)} results")
        self.define(operation.results[0], value)


def lanes(shape: Shape, simd: bool = True, names: str = "i") -> tuple[str, Index]:
    """Loop headers over a shape, and the index inside of them."""
    hint = '_Pragma("GCC ivdep") ' if simd else ""
    if len(shape) > _NESTED:
        count = math.prod(shape)
        parts = []
        for at, size in enumerate(shape):
            step = math.prod(shape[at + 1 :])
            parts.append(f"({names}/{step}%{size})" if size > 1 else "0")
        head = f"{hint}for (int {names}=0; {names}<{count}; {names}++) "
        return head, Index(tuple(parts), names, shape)
    heads = []
    for at, size in enumerate(shape):
        loop = f"for (int {names}{at}=0; {names}{at}<{size}; {names}{at}++) "
        heads.append((hint if at == len(shape) - 1 else "") + loop)
    parts = [f"{names}{at}" for at in range(len(shape))]
    return "".join(heads), Index(tuple(parts))
