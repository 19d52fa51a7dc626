# SPDX-License-Identifier: Apache-2.0
"""Operations lane by lane: arith, math, casts, comparisons, library functions."""

from __future__ import annotations

import struct
from dataclasses import replace

from kernelcoder.backends.ttir.emitter import Emitter, lowers
from kernelcoder.backends.ttir.externs import EXTERN
from kernelcoder.backends.ttir.kinds import NARROW, Type, Unsupported
from kernelcoder.backends.ttir.parse import Operation
from kernelcoder.backends.ttir.values import Index, Value, constant

# Overflow is undefined in C++ and wraps in TTIR: the compiler may assume that it does not happen
# where a kernel only computes places, which makes its loads contiguous for the vectorizer.
_WRAPPING = {"arith.addi": "+", "arith.subi": "-", "arith.muli": "*"}
_BITWISE = {"arith.andi": "&", "arith.ori": "|", "arith.xori": "^"}
_INTEGER = {
    "arith.divsi": "div_signed", "arith.remsi": "rem_signed", "arith.divui": "div_unsigned",
    "arith.remui": "rem_unsigned", "arith.shli": "shift_left", "arith.shrsi": "shift_right",
    "arith.shrui": "shift_right_unsigned", "arith.maxsi": "largest", "arith.minsi": "smallest",
    "arith.maxui": "largest_unsigned", "arith.minui": "smallest_unsigned",
    "arith.ceildivsi": "ceil_div", "arith.floordivsi": "floor_div", "tt.mulhiui": "mul_high",
}  # fmt: skip
_FLOAT = {
    "arith.addf": "{0} + {1}", "arith.subf": "{0} - {1}", "arith.mulf": "{0} * {1}",
    "arith.divf": "{0} / {1}", "tt.precise_divf": "{0} / {1}", "arith.remf": "fmod_({0}, {1})",
    "arith.maxnumf": "max_number({0}, {1})", "arith.minnumf": "min_number({0}, {1})",
    "arith.maximumf": "max_or_nan({0}, {1})", "arith.minimumf": "min_or_nan({0}, {1})",
}  # fmt: skip
_UNARY = {
    "math.exp": "exp_", "math.exp2": "exp2_", "math.log": "log_", "math.log2": "log2_",
    "math.sqrt": "sqrt_", "tt.precise_sqrt": "sqrt_", "math.rsqrt": "rsqrt_", "math.sin": "sin_",
    "math.cos": "cos_", "math.erf": "erf_", "math.absf": "abs_", "math.floor": "floor_",
    "math.ceil": "ceil_", "math.tanh": "tanh_", "arith.negf": "-", "math.log1p": "log1p_",
    "math.expm1": "expm1_", "math.round": "round_", "math.trunc": "trunc_",
}  # fmt: skip
_LIGHT = {"arith.negf", "math.absf"}
_CASTS = {
    "arith.extf", "arith.truncf", "arith.sitofp", "arith.uitofp", "arith.fptosi", "arith.fptoui",
    "arith.extsi", "arith.extui", "arith.trunci", "tt.fp_to_fp", "arith.index_cast",
}  # fmt: skip
_SIGNED = {"eq": "==", "ne": "!=", "slt": "<", "sle": "<=", "sgt": ">", "sge": ">="}
_UNSIGNED = {"ult": "<", "ule": "<=", "ugt": ">", "uge": ">="}
_ORDERED = {
    "oeq": "{0} == {1}", "olt": "{0} < {1}", "ole": "{0} <= {1}", "ogt": "{0} > {1}",
    "oge": "{0} >= {1}", "une": "{0} != {1}", "one": "{0} < {1} || {0} > {1}",
    "ueq": "!({0} < {1} || {0} > {1})", "ult": "!({0} >= {1})", "ule": "!({0} > {1})",
    "ugt": "!({0} <= {1})", "uge": "!({0} < {1})", "ord": "{0} == {0} && {1} == {1}",
    "uno": "{0} != {0} || {1} != {1}",
}  # fmt: skip


def _only(operation: Operation) -> Type:
    if len(operation.types) != 1:
        raise Unsupported(f"{operation.name} of {len(operation.types)} types")
    return operation.types[0]


def _same(operation: Operation, values: list[Value], kind: Type) -> None:
    if any(value.type != kind for value in values):
        raise Unsupported(f"{operation.name} of values of another type")


def _number(value: Value, index: Index) -> str:
    """A lane to compute with: narrow floats are widened."""
    text = value.code(index)
    return f"(float)({text})" if value.type.element in NARROW else f"({text})"


def literal(kind: Type, text: str) -> str:
    """A constant of MLIR as C++; floats bit by bit, so that nothing rounds twice."""
    try:
        if not kind.floating:
            number = {"true": 1, "false": 0}.get(text)
            number = int(text, 0) if number is None else number
            if kind.element == "i1":
                return "true" if number else "false"
            number = (number + (1 << kind.bits - 1)) % (1 << kind.bits) - (1 << kind.bits - 1)
            if kind.bits == 64:
                return f"(int64_t){number % (1 << 64)}ULL"
            return f"({kind.c})(-{-number - 1} - 1)" if number < 0 else str(number)
        size = kind.size
        if text.startswith("0x"):
            bits = int(text, 16)
        elif kind.element == "f64":
            bits = int.from_bytes(struct.pack("<d", float(text)), "little")
        elif kind.element == "f32":
            bits = int.from_bytes(struct.pack("<f", float(text)), "little")
        else:
            return f"{kind.c}(float_bits({_f32(text)}u))"
    except (ValueError, OverflowError) as error:
        raise Unsupported("a constant that is no number") from error
    if bits >= 1 << 8 * size:
        raise Unsupported("a constant wider than its type")
    if kind.element == "f32":
        return f"float_bits({bits}u)"
    return f"double_bits({bits}ULL)" if size == 8 else f"from_bits<{kind.c}>({bits})"


def _f32(text: str) -> int:
    return int.from_bytes(struct.pack("<f", float(text)), "little")


@lowers("arith.constant")
def _constant(emitter: Emitter, operation: Operation) -> None:
    words = operation.words
    kind = operation.types[0] if operation.types else Type(None, "i1")
    if words[:1] == ["dense"]:
        if len(words) != 2:
            raise Unsupported("a constant of different values")
        words = words[1:]
    if len(words) != 1 or kind.pointer:
        raise Unsupported("a constant of an unknown form")
    emitter.result(operation, constant(kind, literal(kind, words[0])))


@lowers("ub.poison")
def _poison(emitter: Emitter, operation: Operation) -> None:
    kind = _only(operation)
    if kind.pointer:
        raise Unsupported("a pointer without a value")
    emitter.result(operation, constant(kind, f"{kind.c}(0)"))


@lowers(*_WRAPPING, *_BITWISE, *_INTEGER)
def _integer(emitter: Emitter, operation: Operation) -> None:
    kind = _only(operation)
    a, b = values = emitter.operands(operation, 2)
    _same(operation, values, kind)
    if kind.floating or kind.pointer:
        raise Unsupported(f"{operation.name} of {kind.element}")
    sign = _WRAPPING.get(operation.name) or _BITWISE.get(operation.name)
    cost = a.cost + b.cost + 1
    if sign is None:
        function = _INTEGER[operation.name]

        def call(ix: Index) -> str:
            return f"{function}<{kind.c}>({a.code(ix)}, {b.code(ix)})"

        emitter.result(
            operation, Value(kind, call, cost + 2, "div" in function or "rem" in function)
        )
        return
    if kind.element == "i1" and sign in "+-*":
        sign = "&" if sign == "*" else "^"
    wide = kind.bits >= 32
    around = f"(u{kind.c})" if wide and sign in "+-*" and emitter.wraps else ""

    def code(ix: Index) -> str:
        text = f"{around}({a.code(ix)}) {sign} {around}({b.code(ix)})"
        return f"({kind.c})({text})" if around or not wide else f"({text})"

    product = (a.same and b.even) or (a.even and b.same)
    affine = product if operation.name == "arith.muli" else a.even and b.even and sign in "+-"
    same = a.same and b.same
    emitter.result(operation, Value(kind, code, cost, affine=affine, uniform=same))


@lowers(*_FLOAT)
def _float(emitter: Emitter, operation: Operation) -> None:
    kind = _only(operation)
    a, b = values = emitter.operands(operation, 2)
    _same(operation, values, kind)
    if not kind.floating:
        raise Unsupported(f"{operation.name} of {kind.element}")
    form = _FLOAT[operation.name]

    def code(ix: Index) -> str:
        return f"{kind.c}({form.format(_number(a, ix), _number(b, ix))})"

    emitter.result(operation, Value(kind, code, a.cost + b.cost + 1, True))


@lowers(*_UNARY)
def _unary(emitter: Emitter, operation: Operation) -> None:
    kind = _only(operation)
    (a,) = values = emitter.operands(operation, 1)
    _same(operation, values, kind)
    if not kind.floating:
        raise Unsupported(f"{operation.name} of {kind.element}")
    function = _UNARY[operation.name]
    heavy = a.heavy or operation.name not in _LIGHT

    def code(ix: Index) -> str:
        return f"{kind.c}({function}({_number(a, ix)}))"

    emitter.result(operation, Value(kind, code, a.cost + 3, heavy))


@lowers("math.absi")
def _absolute(emitter: Emitter, operation: Operation) -> None:
    kind = _only(operation)
    (a,) = emitter.operands(operation, 1)
    emitter.result(
        operation, Value(kind, lambda ix: f"absolute<{kind.c}>({a.code(ix)})", a.cost + 1, a.heavy)
    )


@lowers("math.fma")
def _fma(emitter: Emitter, operation: Operation) -> None:
    kind = _only(operation)
    a, b, c = values = emitter.operands(operation, 3)
    _same(operation, values, kind)

    def code(ix: Index) -> str:
        return f"{kind.c}(fma_({_number(a, ix)}, {_number(b, ix)}, {_number(c, ix)}))"

    emitter.result(operation, Value(kind, code, a.cost + b.cost + c.cost + 1, True))


@lowers("tt.clampf")
def _clamp(emitter: Emitter, operation: Operation) -> None:
    kind = _only(operation)
    x, low, high = values = emitter.operands(operation, 3)
    _same(operation, values, kind)
    function = "clamp_or_nan" if operation.word("propagateNan") == "all" else "clamp"

    def code(ix: Index) -> str:
        return f"{kind.c}({function}({_number(x, ix)}, {_number(low, ix)}, {_number(high, ix)}))"

    emitter.result(operation, Value(kind, code, x.cost + low.cost + high.cost + 2, True))


@lowers(*_CASTS)
def _cast(emitter: Emitter, operation: Operation) -> None:
    if len(operation.types) != 1 or len(operation.produced) != 1:
        raise Unsupported(f"{operation.name} of an unknown form")
    source, kind = operation.types[0], operation.produced[0]
    (a,) = values = emitter.operands(operation, 1)
    _same(operation, values, source)
    if source.shape != kind.shape or source.pointer or kind.pointer:
        raise Unsupported(f"{operation.name} of an unknown form")
    if operation.word("rounding") not in ("", "rtne"):
        raise Unsupported("rounding towards zero")
    name = operation.name

    def code(ix: Index) -> str:
        text = _number(a, ix)
        if kind.floating:
            if source.floating:
                return f"{kind.c}({text})"
            if source.element == "i1":
                text = f"(int)({text})" if name == "arith.uitofp" else f"-(int)({text})"
            elif name == "arith.uitofp":
                text = f"(u{source.c})({text})"
            return f"{kind.c}((float)({text}))" if kind.element in NARROW else f"{kind.c}({text})"
        if source.floating:
            return f"to_integer<{'u' if name == 'arith.fptoui' else ''}{kind.c}>({text})"
        if kind.element == "i1":
            return f"bool({text} & 1)"
        if source.element == "i1":
            return f"{kind.c}({'-' if name == 'arith.extsi' else ''}(int)({text}))"
        return f"{kind.c}(u{source.c}({text}))" if name == "arith.extui" else f"{kind.c}({text})"

    narrows = kind.element in NARROW or (source.floating and not kind.floating)
    affine = a.affine and name in ("arith.extsi", "arith.index_cast")
    cast = Value(kind, code, a.cost + 1, a.heavy or narrows, affine=affine, uniform=a.uniform)
    emitter.result(operation, cast)


@lowers("tt.bitcast", "arith.bitcast")
def _bitcast(emitter: Emitter, operation: Operation) -> None:
    if len(operation.types) != 1 or len(operation.produced) != 1:
        raise Unsupported(f"{operation.name} of an unknown form")
    source, kind = operation.types[0], operation.produced[0]
    (a,) = values = emitter.operands(operation, 1)
    _same(operation, values, source)
    if source.pointer or kind.pointer:
        if not (source.pointer and kind.pointer) or source.shape != kind.shape:
            raise Unsupported("numbers as pointers")
        emitter.result(operation, replace(a, type=kind))
        return
    if source.size != kind.size or source.shape != kind.shape:
        raise Unsupported("a bit cast between sizes")
    emitter.result(
        operation,
        Value(kind, lambda ix: f"from_bits<{kind.c}>({source.c}({a.code(ix)}))", a.cost + 1, True),
    )


@lowers("arith.cmpi")
def _compare_integers(emitter: Emitter, operation: Operation) -> None:
    kind = _only(operation)
    a, b = values = emitter.operands(operation, 2)
    _same(operation, values, kind)
    word = operation.words[0] if operation.words else ""
    sign = _SIGNED.get(word) or _UNSIGNED.get(word)
    if sign is None or kind.floating or kind.pointer:
        raise Unsupported("a comparison of an unknown form")
    if kind.element == "i1":
        around = "(int)" if word in _UNSIGNED or word in ("eq", "ne") else "-(int)"
    else:
        around = f"(u{kind.c})" if word in _UNSIGNED else f"({kind.c})"

    def code(ix: Index) -> str:
        return f"({around}({a.code(ix)}) {sign} {around}({b.code(ix)}))"

    heavy = a.heavy or b.heavy
    emitter.result(operation, Value(Type(kind.shape, "i1"), code, a.cost + b.cost + 1, heavy))


@lowers("arith.cmpf")
def _compare_floats(emitter: Emitter, operation: Operation) -> None:
    kind = _only(operation)
    a, b = values = emitter.operands(operation, 2)
    _same(operation, values, kind)
    form = _ORDERED.get(operation.words[0] if operation.words else "")
    if form is None or not kind.floating:
        raise Unsupported("a comparison of an unknown form")

    def code(ix: Index) -> str:
        return f"({form.format(_number(a, ix), _number(b, ix))})"

    emitter.result(operation, Value(Type(kind.shape, "i1"), code, a.cost + b.cost + 1, True))


@lowers("arith.select")
def _select(emitter: Emitter, operation: Operation) -> None:
    condition, a, b = emitter.operands(operation, 3)
    kind = operation.types[-1] if operation.types else a.type
    _same(operation, [a, b], kind)
    if condition.type.element != "i1" or condition.shape not in (None, kind.shape):
        raise Unsupported("a selection of an unknown form")

    def code(ix: Index) -> str:
        asked = condition.code(ix) if condition.shape is not None else condition.scalar
        return f"(({asked}) ? ({a.code(ix)}) : ({b.code(ix)}))"

    cost = condition.cost + a.cost + b.cost + 1
    heavy = condition.heavy or a.heavy or b.heavy or kind.floating
    root = a.root
    if kind.pointer and a.root != b.root:
        raise Unsupported("a pointer into one of two arguments")
    emitter.result(operation, Value(kind, code, cost, heavy, root=root))


@lowers("tt.extern_elementwise")
def _extern(emitter: Emitter, operation: Operation) -> None:
    symbol = operation.word("symbol")
    found = EXTERN.get(symbol)
    values = emitter.operands(operation, len(operation.operands))
    if found is None or len(operation.produced) != 1 or len(values) != found.arguments:
        raise Unsupported(f"library function {symbol[:40]}")
    kind = operation.produced[0]
    if any(value.shape != kind.shape or value.type.pointer for value in values):
        raise Unsupported(f"library function {symbol[:40]}")

    def code(ix: Index) -> str:
        given = [f"{found.type}({_number(value, ix)})" for value in values]
        return f"{kind.c}({found.code.format(*given)})"

    cost = sum(value.cost for value in values) + 5
    emitter.result(operation, Value(kind, code, cost, True))
