# SPDX-License-Identifier: Apache-2.0
"""Loops, branches, and the blocks of a function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kernelcoder.backends.ttir.emitter import Emitter, lowers
from kernelcoder.backends.ttir.kinds import Type, Unsupported
from kernelcoder.backends.ttir.parse import Block, Operation
from kernelcoder.backends.ttir.values import Index, Value, stored

_NOTHING = ("tt.return", "gpu.barrier", "ttg.barrier", "tt.debug_barrier", "tt.print")


@lowers("gpu.barrier", "ttg.barrier", "tt.debug_barrier", "llvm.intr.assume", "tt.print")
def _nothing(emitter: Emitter, operation: Operation) -> None:
    """Lanes of a program run together; a promise and a message change nothing."""


@lowers("tt.assert")
def _assert(emitter: Emitter, operation: Operation) -> None:
    (condition,) = emitter.operands(operation, 1)
    emitter.loop(
        condition.shape,
        lambda ix: f"if (!({condition.code(ix)})) assertion({operation.line});",
        simd=False,
    )


def _only_block(blocks: Sequence[Block], name: str) -> Block:
    found = [block for block in blocks if block.label or block.operations]
    if len(found) > 1:
        raise Unsupported(f"{name} with branches out of it")
    return found[0] if found else Block("")


def _carry(emitter: Emitter, value: Value) -> Value:
    """A variable that starts as the value."""
    target = emitter.variable(value.type, "c")
    emitter.fill(target, value)
    return stored(value.type, target.array or target.scalar, value.root)


def _assign(emitter: Emitter, targets: Sequence[Value], sources: Sequence[Value]) -> None:
    """All at once: sources may be made of the targets."""
    if len(targets) != len(sources):
        raise Unsupported("a loop that carries another number of values")
    moved = []
    for target, source in zip(targets, sources, strict=True):
        if target.type != source.type or target.root != source.root:
            raise Unsupported("a loop whose values change their kind")
        carried = any(source.array and source.array == other.array for other in targets)
        if target.shape is None or (not source.array) or carried:
            copy = emitter.variable(source.type, "y")
            emitter.fill(copy, source)
            source = copy
        moved.append(source)
    for target, source in zip(targets, moved, strict=True):
        emitter.fill(target, source)


def _inside(
    emitter: Emitter, block: Block, last: str, arguments: Sequence[Value]
) -> tuple[list[Value], Operation]:
    """Lower a block with its arguments bound; the operands of its last operation. Names within
    are gone afterwards."""
    operations = list(block.operations)
    if last == "scf.yield" and (not operations or operations[-1].name != last):
        operations.append(Operation(last))  # not printed where nothing is carried
    if not operations or operations[-1].name != last:
        raise Unsupported("a region of an unknown form")
    if len(block.arguments) != len(arguments):
        raise Unsupported("a region of an unknown form")
    for (name, kind), value in zip(block.arguments, arguments, strict=True):
        if kind != value.type:
            raise Unsupported("a region of an unknown form")
        emitter.env[name] = value
    emitter.run(operations[:-1])
    end = operations[-1]
    return [emitter.value(name) for name in end.operands], end


@dataclass(frozen=True, slots=True)
class _Moving:
    """A carried tensor all of whose lanes move by the same step, most often pointers: kept as where
    it started and how far it went, so that its lanes stay evenly spaced for all to see."""

    value: Value
    moved: str

    def advance(self, emitter: Emitter, step: Value) -> None:
        """One step further."""
        if not step.same or step.type.floating:
            raise Unsupported("a loop whose values change their kind")
        lane = step.code(Index(("0",) * len(step.shape or ())))
        size = self.value.type.size if self.value.type.pointer else 1
        emitter.write(f"{self.moved} += (int64_t)({lane})*{size};")


def _moving(emitter: Emitter, block: Block, names: Sequence[str]) -> dict[int, str]:
    """Which of the carried names only move evenly, and the name of each one's step."""
    made = {name: op for op in block.operations for name in op.results}
    end = block.operations[-1] if block.operations else Operation("")
    found: dict[int, str] = {}
    for at, (name, yielded) in enumerate(zip(names, end.operands, strict=False)):
        by = made.get(yielded)
        if by is None or by.name not in ("tt.addptr", "arith.addi") or len(by.operands) != 2:
            continue
        places = by.operands if by.name == "arith.addi" else by.operands[:1]
        if places.count(name) != 1:
            continue
        step = by.operands[1 - places.index(name)]
        outside = emitter.env.get(step)
        inside = made.get(step)
        even = inside.name in ("tt.splat", "arith.constant") if inside else outside and outside.same
        if even and step not in names:
            found[at] = step
    return found


def _move(emitter: Emitter, value: Value) -> Value | _Moving:
    if (
        value.shape is None
        or value.type.floating
        or not (value.type.pointer or value.type.bits > 1)
    ):
        return _carry(emitter, value)
    start, kind = emitter.light(value), value.type
    moved = emitter.variable(Type(None, "i64"), "far").scalar
    emitter.write(f"{moved} = 0;")

    def code(ix: Index) -> str:
        return f"({kind.c})({start.code(ix)} + {moved})"

    return _Moving(replace(start, code=code, array="", cost=start.cost + 1), moved)


@lowers("scf.for")
def _for(emitter: Emitter, operation: Operation) -> None:
    names = operation.operands
    if len(names) < 4 or len(names) % 2 or len(operation.regions) != 1:
        raise Unsupported("a loop of an unknown form")
    if "unsigned" in operation.words:
        raise Unsupported("a loop that counts without a sign")
    low, high, step = (emitter.materialize(emitter.value(name)) for name in names[1:4])
    kind = low.type
    if kind.shape is not None or kind.floating or kind.pointer or high.type != kind:
        raise Unsupported("a loop of an unknown form")
    block = _only_block(operation.regions[0], "a loop")
    moving = _moving(emitter, block, names[4::2])
    carried = [
        (_move if at in moving else _carry)(emitter, emitter.value(name))
        for at, name in enumerate(names[5::2])
    ]
    outside = dict(emitter.env)
    counter = emitter.name("n")
    # A counter of 64 bits does not wrap where the kernel's would.
    emitter.write(f"for (int64_t {counter} = {low.scalar}; {counter} < {high.scalar}; ")
    emitter.write(f"{counter} += {step.scalar}) {{")
    emitter.env[names[0]] = Value(kind, lambda ix: f"({kind.c}){counter}")
    values = [one.value if isinstance(one, _Moving) else one for one in carried]
    for name, value in zip(names[4::2], values, strict=True):
        emitter.env[name] = value
    found, _ = _inside(emitter, Block("", [], block.operations), "scf.yield", [])
    if len(found) != len(carried):
        raise Unsupported("a loop that carries another number of values")
    steps = [(one, emitter.value(moving[at])) for at, one in enumerate(carried)
             if isinstance(one, _Moving)]  # fmt: skip
    pairs = [(one, v) for one, v in zip(carried, found, strict=True) if isinstance(one, Value)]
    _assign(emitter, [one for one, _ in pairs], [value for _, value in pairs])
    for one, step in steps:
        one.advance(emitter, step)
    emitter.write("}")
    emitter.env = outside
    _results(emitter, operation, values)


def _results(emitter: Emitter, operation: Operation, values: Sequence[Value]) -> None:
    if len(operation.results) != len(values):
        raise Unsupported(f"{operation.name} with another number of results")
    for name, value in zip(operation.results, values, strict=True):
        emitter.env[name] = value


@lowers("scf.while")
def _while(emitter: Emitter, operation: Operation) -> None:
    names = operation.operands
    if len(names) % 2 or len(operation.regions) != 2:
        raise Unsupported("a loop of an unknown form")
    carried = [_carry(emitter, emitter.value(name)) for name in names[1::2]]
    outside = dict(emitter.env)
    for name, value in zip(names[::2], carried, strict=True):
        emitter.env[name] = value
    before, after = (_only_block(region, "a loop") for region in operation.regions)
    emitter.write("for (;;) {")
    found, _ = _inside(emitter, Block("", [], before.operations), "scf.condition", [])
    if not found or found[0].type != Type(None, "i1"):
        raise Unsupported("a loop without a condition")
    passed = [_carry(emitter, value) for value in found[1:]]
    emitter.write(f"if (!({found[0].scalar})) break;")
    emitter.env = dict(outside)
    found, _ = _inside(emitter, after, "scf.yield", passed)
    _assign(emitter, carried, found)
    emitter.write("}")
    emitter.env = outside
    _results(emitter, operation, passed)


@lowers("scf.if")
def _if(emitter: Emitter, operation: Operation) -> None:
    (condition,) = emitter.operands(operation, 1)
    if condition.type != Type(None, "i1") or len(operation.regions) not in (1, 2):
        raise Unsupported("a branch of an unknown form")
    targets = [emitter.variable(kind) for kind in operation.produced]
    roots: list[set[int | None]] = [set() for _ in targets]
    outside = emitter.env
    emitter.write(f"if ({condition.scalar}) {{")
    for number, region in enumerate(operation.regions):
        if number:
            emitter.write("} else {")
        emitter.env = dict(outside)
        block = _only_block(region, "a branch")
        found, _ = _inside(emitter, block, "scf.yield", [])
        if len(found) != len(targets):
            raise Unsupported("a branch of an unknown form")
        for target, value, seen in zip(targets, found, roots, strict=True):
            if target.type != value.type:
                raise Unsupported("a branch of an unknown form")
            emitter.fill(target, value)
            seen.add(value.root)
    emitter.write("}")
    emitter.env = outside
    if any(len(seen) > 1 for seen in roots):
        raise Unsupported("a pointer into one of two arguments")
    rooted = [
        stored(target.type, target.array or target.scalar, next(iter(seen), None))
        for target, seen in zip(targets, roots, strict=True)
    ]
    _results(emitter, operation, rooted)


def function(emitter: Emitter, blocks: Sequence[Block]) -> None:
    """The blocks of a kernel, in order, with jumps between them."""
    labels = {block.label: f"block{at}" for at, block in enumerate(blocks)}
    arguments: dict[str, list[Value]] = {}
    for block in blocks:
        arguments[block.label] = [emitter.variable(kind, "g") for _, kind in block.arguments]
        if any(kind.pointer for _, kind in block.arguments):
            raise Unsupported("a pointer carried between blocks")
        for (name, _), value in zip(block.arguments, arguments[block.label], strict=True):
            emitter.env[name] = value
    aims = {label for block in blocks for op in block.operations for label, _ in op.successors}
    if not aims <= labels.keys() or "" in aims or len(labels) != len(blocks):
        raise Unsupported("a jump to nowhere")
    for block in blocks:
        emitter.write(f"{labels[block.label]}: {{" if block.label in aims else "{")
        if not block.operations:
            raise Unsupported("a block without an end")
        emitter.run(block.operations[:-1])
        _leave(emitter, block.operations[-1], labels, arguments)
        emitter.write("}")


def _leave(
    emitter: Emitter, end: Operation, labels: dict[str, str], arguments: dict[str, list[Value]]
) -> None:
    def jump(successor: tuple[str, list[str]]) -> None:
        label, passed = successor
        _assign(emitter, arguments[label], [emitter.value(name) for name in passed])
        emitter.write(f"goto {labels[label]};")

    if end.name == "tt.return" and not end.operands:
        emitter.write("return;")
    elif end.name == "cf.br" and len(end.successors) == 1:
        # Its operands are those that the block takes.
        jump(end.successors[0])
    elif end.name == "cf.cond_br" and len(end.successors) == 2 and end.operands:
        emitter.write(f"if ({emitter.value(end.operands[0]).scalar}) {{")
        jump(end.successors[0])
        emitter.write("} else {")
        jump(end.successors[1])
        emitter.write("}")
    else:
        raise Unsupported(f"{end.name[:60]} at the end of a block")
