# SPDX-License-Identifier: Apache-2.0
"""Loads, stores and atomics. Every access is checked against the extent of the argument its
pointer comes from: a whole tile at once, and lane by lane only to name the lane at fault."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from kernelcoder.backends.ttir.emitter import Emitter, lowers
from kernelcoder.backends.ttir.kinds import Type, Unsupported
from kernelcoder.backends.ttir.parse import Operation
from kernelcoder.backends.ttir.values import Index, Value

_ATOMICS = {
    "add": "atomic_add", "fadd": "atomic_add", "max": "atomic_max", "min": "atomic_min",
    "umax": "atomic_umax", "umin": "atomic_umin", "and": "atomic_and", "or": "atomic_or",
    "xor": "atomic_xor", "exch": "atomic_exchange",
}  # fmt: skip


@lowers("tt.addptr")
def _offset(emitter: Emitter, operation: Operation) -> None:
    pointer, offset = emitter.operands(operation, 2)
    if not pointer.type.pointer or offset.type.floating or offset.type.pointer:
        raise Unsupported("a pointer plus something else")
    if pointer.shape != offset.shape:
        raise Unsupported("a pointer plus something else")
    size = pointer.type.size

    def code(ix: Index) -> str:
        return f"({pointer.code(ix)} + (int64_t)({offset.code(ix)})*{size})"

    cost, heavy = pointer.cost + offset.cost + 1, pointer.heavy or offset.heavy
    affine, same = pointer.even and offset.even, pointer.same and offset.same
    emitter.result(
        operation, Value(pointer.type, code, cost, heavy, "", pointer.root, affine, same)
    )


class _Access:
    """One access: its pointer, its mask, and the checks before it."""

    def __init__(
        self,
        emitter: Emitter,
        operation: Operation,
        pointer: Value,
        mask: Value | None,
        writes: int,
    ) -> None:
        if not pointer.type.pointer or pointer.root is None:
            raise Unsupported("an access through a pointer that is no argument's")
        if mask is not None and (mask.type.element != "i1" or mask.shape != pointer.shape):
            raise Unsupported("a mask of another shape")
        self.emitter, self.operation, self.writes = emitter, operation, writes
        self.pointer = emitter.light(pointer) if pointer.shape is not None else pointer
        self.mask = mask
        if mask is not None and mask.shape is not None and (mask.heavy or mask.cost > 4):
            self.mask = emitter.materialize(mask)
        self.type = Type(pointer.shape, pointer.type.element)

    def at(self, ix: Index) -> str:
        """The place in memory of one lane."""
        return f"(*({self.type.c} *)({self.pointer.code(ix)}))"

    def where(self, ix: Index, body: str) -> str:
        """The body for lanes that the mask lets through."""
        return f"if ({self.mask.code(ix)}) {{ {body} }}" if self.mask else body

    def check(self) -> None:
        """End the run if a lane is outside of its argument (or misaligned). Where places grow
        evenly, the corners of the tile tell of all; only at the edges lanes are looked at."""
        root, size, line = self.pointer.root, self.type.size, self.operation.line
        write, loop = self.emitter.write, self.emitter.loop
        cast = str(self.emitter.casts).lower()

        def bad(ix: Index) -> str:
            place = self.pointer.code(ix)
            return f"outside<{size}, {cast}>({place}, low{root}, high{root} - low{root})"

        def gather(ix: Index) -> str:
            mask = f"({self.mask.code(ix)}) & " if self.mask else ""
            return f"bad |= {mask}{bad(ix)};"

        def name(ix: Index) -> str:
            call = f"out_of_bounds({root}, {self.pointer.code(ix)}, {size}, {line}, "
            return self.where(ix, f"if ({bad(ix)}) {call}{self.writes});")

        shape = self.type.shape or ()
        write("{ int bad = 0;")
        if self.pointer.even and 0 < len(shape) <= 3:
            corners = itertools.product(*(sorted({0, n - 1}) for n in shape))
            found = [bad(Index(tuple(map(str, corner)))) for corner in corners]
            write(f"if (__builtin_expect({' | '.join(found)}, 0))")
        loop(shape, gather)
        write("if (__builtin_expect(bad, 0)) {")
        loop(shape, name, simd=False)
        write("} }")

    def race(self, code: Callable[[Index], str]) -> None:
        """Tell the shadow memory, if there is one, of each lane."""
        self.emitter.write("if (__builtin_expect(shadow != nullptr, 0)) {")
        self.emitter.loop(self.type.shape, lambda ix: self.where(ix, code(ix)), simd=False)
        self.emitter.write("}")


def _optional(emitter: Emitter, operation: Operation, at: int) -> Value | None:
    return emitter.value(operation.operands[at]) if len(operation.operands) > at else None


@lowers("tt.load")
def _load(emitter: Emitter, operation: Operation) -> None:
    if not 1 <= len(operation.operands) <= 3:
        raise Unsupported("a load of an unknown form")
    pointer = emitter.value(operation.operands[0])
    access = _Access(emitter, operation, pointer, _optional(emitter, operation, 1), 0)
    other = _optional(emitter, operation, 2)
    if other is not None and other.type != access.type:
        raise Unsupported("a load of an unknown form")
    access.check()
    size, line = access.type.size, operation.line
    access.race(lambda ix: f"shadow->read({access.pointer.code(ix)}, {size}, {line});")
    target = emitter.variable(access.type, "l")

    def body(ix: Index) -> str:
        read = f"{target.code(ix)} = {access.at(ix)};"
        if access.mask is None:
            return read
        # Without `other` the compiler for NVIDIA's devices writes zeros first.
        instead = other.code(ix) if other else f"{access.type.c}(0)"
        return f"if ({access.mask.code(ix)}) {read} else {target.code(ix)} = {instead};"

    emitter.loop(access.type.shape, body)
    emitter.result(operation, target)


@lowers("tt.store")
def _store(emitter: Emitter, operation: Operation) -> None:
    if not 2 <= len(operation.operands) <= 3:
        raise Unsupported("a store of an unknown form")
    pointer, value = (emitter.value(name) for name in operation.operands[:2])
    access = _Access(emitter, operation, pointer, _optional(emitter, operation, 2), 1)
    if value.type != access.type:
        raise Unsupported("a store of an unknown form")
    access.check()
    value = emitter.light(value) if value.cost > 30 else value
    kind, line = access.type, operation.line
    # With a shadow each lane is written as it is checked: lanes that meet are seen.
    emitter.write("if (__builtin_expect(shadow != nullptr, 0)) { shadow->store();")

    def watched(ix: Index) -> str:
        place = access.pointer.code(ix)
        put = f"const {kind.c} put = {value.code(ix)}; "
        return access.where(
            ix, f"{put}shadow->write({place}, &put, {kind.size}, {line}); {access.at(ix)} = put;"
        )

    emitter.loop(kind.shape, watched, simd=False)
    emitter.write("} else {")
    emitter.loop(kind.shape, lambda ix: access.where(ix, f"{access.at(ix)} = {value.code(ix)};"))
    emitter.write("}")


@lowers("tt.atomic_rmw")
def _atomic(emitter: Emitter, operation: Operation) -> None:
    if not 2 <= len(operation.operands) <= 3 or not operation.words:
        raise Unsupported("an atomic of an unknown form")
    function = _ATOMICS.get(operation.words[0])
    pointer, value = (emitter.value(name) for name in operation.operands[:2])
    access = _Access(emitter, operation, pointer, _optional(emitter, operation, 2), 1)
    if function is None or value.type != access.type:
        raise Unsupported(f"atomic {operation.words[0][:40]}")
    if access.type.floating and function not in ("atomic_add", "atomic_exchange"):
        raise Unsupported(f"atomic {operation.words[0][:40]} of floats")
    value = emitter.light(value)
    _atomically(
        emitter, operation, access,
        lambda ix: f"{function}<{access.type.c}>({access.pointer.code(ix)}, {value.code(ix)})",
    )  # fmt: skip


@lowers("tt.atomic_cas")
def _compare_and_swap(emitter: Emitter, operation: Operation) -> None:
    pointer, expected, value = emitter.operands(operation, 3)
    access = _Access(emitter, operation, pointer, None, 1)
    if value.type != access.type or expected.type != access.type:
        raise Unsupported("an atomic of an unknown form")
    expected, value = emitter.light(expected), emitter.light(value)

    def call(ix: Index) -> str:
        given = f"{expected.code(ix)}, {value.code(ix)}"
        return f"atomic_cas<{access.type.c}>({access.pointer.code(ix)}, {given})"

    _atomically(emitter, operation, access, call)


def _atomically(
    emitter: Emitter, operation: Operation, access: _Access, call: Callable[[Index], str]
) -> None:
    """Check, then lane after lane. What an atomic returns can order programs, so only an atomic
    whose result is used acquires (see the shadow)."""
    access.check()
    result = operation.results[0] if operation.results else ""
    used = emitter.used(result) > 0
    size, line = access.type.size, operation.line
    flags = f"{size}, {line}, {str(used).lower()}"
    access.race(lambda ix: f"shadow->atomic({access.pointer.code(ix)}, {flags});")
    target = emitter.variable(access.type) if used else None

    def body(ix: Index) -> str:
        done = f"{target.code(ix)} = {call(ix)};" if target else f"(void){call(ix)};"
        if access.mask is None:
            return done
        zero = f" else {target.code(ix)} = {access.type.c}(0);" if target else ""
        return access.where(ix, done) + zero

    emitter.loop(access.type.shape, body, simd=False)
    if target is not None:
        emitter.result(operation, target)
