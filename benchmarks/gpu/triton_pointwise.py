# SPDX-License-Identifier: Apache-2.0
"""Triton kernels of pointwise operators: an expression in float32, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.gpu.triton_form import (
    HEAD,
    HEAD_LIBDEVICE,
    READS,
    UNWRITTEN,
    WRITES,
    Mistakes,
    Wrong,
    edited,
)

_BODY = """@triton.jit
def @NAME@_kernel(@POINTERS@, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
@LOADS@
    y = @EXPR@
    tl.store(y_ptr + at, y.to(y_ptr.dtype.element_ty), mask=inside)


def kernel(@INPUTS@):
    @INPUTS@ = @DENSE@
    y = torch.empty_like(@FIRST@)
    n = y.numel()
    if n:
        @NAME@_kernel[(triton.cdiv(n, 1024),)](@INPUTS@, y, n, BLOCK=1024, num_warps=4)
    return y
"""


@dataclass(frozen=True, slots=True)
class _Op:
    """``expr`` over float32 tensors named like the inputs; ``mistakes``: name -> what a verdict
    says, and the expression."""

    expr: str
    mistakes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("x",)


# The exponential of tl.exp is the hardware's, which loses digits where |x| is large; where the
# result is held to a few ulps, libdevice has the careful one.
_OPS: Mapping[str, _Op] = {
    "abs": _Op(
        "tl.abs(x)",
        {"swallows_nan": ("NaN", "tl.where(x > 0, x, tl.where(x < 0, -x, 0.0))")},
    ),
    "elementwise_add": _Op(
        "a + b",
        {"adds_in_half": ("inaccurate|infinity|number", "a.to(tl.float16) + b.to(tl.float16)")},
        ("a", "b"),
    ),
    "elementwise_mul": _Op(
        "a * b",
        {"rounds_through_bf16": ("inaccurate", "(a.to(tl.bfloat16) * b.to(tl.bfloat16))")},
        ("a", "b"),
    ),
    "exp": _Op(
        "libdevice.exp(x)",
        {
            "base_two": ("wrong values|scaled", "tl.exp2(x)"),
            "clamps": ("finite number|wrong values", "tl.exp(tl.clamp(x, -80.0, 80.0))"),
        },
    ),
    "gelu": _Op(
        "0.5 * x * (1.0 + tl.erf(x * 0.70710678))",
        {
            "tanh_form": (
                "inaccurate|wrong values",
                "x / (1.0 + tl.exp(-1.5957691 * (x + 0.044715 * x * x * x)))",
            )
        },
    ),
    "log": _Op(
        "libdevice.log(x)",
        {
            "adds_epsilon": ("inaccurate|wrong values|finite", "tl.log(x + 1e-6)"),
            "base_two": ("wrong values|scaled", "tl.log2(x)"),
        },
    ),
    "relu": _Op(
        "tl.where(x < 0, 0.0, x)",
        {
            "swallows_nan": ("NaN of the input is swallowed", "tl.maximum(x, 0.0)"),
            "leaky": ("wrong values|scaled|without|negative", "tl.where(x < 0, 0.01 * x, x)"),
        },
    ),
    "sigmoid": _Op(
        "1.0 / (1.0 + libdevice.exp(-x))",
        {"overflows": ("NaN where", "tl.exp(x) / (1.0 + tl.exp(x))")},
    ),
    "silu": _Op(
        "x / (1.0 + libdevice.exp(-x))",
        {"overflows": ("NaN where", "x * (tl.exp(x) / (1.0 + tl.exp(x)))")},
    ),
    "sqrt": _Op(
        "tl.sqrt_rn(x)",
        {"by_reciprocal_root": ("NaN where", "x * tl.rsqrt(x)")},
    ),
    "swiglu": _Op(
        "gate / (1.0 + libdevice.exp(-gate)) * up",
        {"gates_the_other": ("swapped", "up / (1.0 + tl.exp(-up)) * gate")},
        ("gate", "up"),
    ),
    "tanh": _Op(
        "libdevice.tanh(x)",
        {
            "cancels_near_zero": (
                "inaccurate|wrong values|left out",
                "1.0 - 2.0 / (tl.exp(2 * x) + 1.0)",
            )
        },
    ),
}
NAMES = frozenset(_OPS)


def _fill(name: str, expr: str) -> str:
    op = _OPS[name]

    def each(pattern: str, joint: str = ", ") -> str:
        return joint.join(pattern.format(n=one) for one in op.inputs)

    load = "tl.load({n}_ptr + at, mask=inside, other=0.0).to(tl.float32)"
    marks = {
        "NAME": name,
        "POINTERS": each("{n}_ptr"),
        "LOADS": each("    {n} = " + load, "\n"),
        "EXPR": expr,
        "INPUTS": each("{n}"),
        "DENSE": each("{n}.contiguous()"),
        "FIRST": op.inputs[0],
    }
    body = _BODY
    for mark, text in marks.items():
        body = body.replace(f"@{mark}@", text)
    return (HEAD_LIBDEVICE if "libdevice" in expr else HEAD) + body


def solution(name: str) -> str:
    """A right kernel."""
    return _fill(name, _OPS[name].expr)


def wrong(name: str) -> dict[str, Wrong]:
    """Two mistakes that every pointwise operator invites, in turn, and those of its formula."""
    op = _OPS[name]
    first, at = op.inputs[0], f"{op.inputs[0]}_ptr + at"
    structural: Mistakes = {
        "no_store_mask": (
            WRITES,
            (("y.to(y_ptr.dtype.element_ty), mask=inside)", "y.to(y_ptr.dtype.element_ty))"),),
        ),
        "ignores_strides": (
            "strides|wrong values|shifted",
            (
                (f"{first}.contiguous()", first),
                (
                    f"empty_like({first})",
                    f"empty({first}.shape,\n"
                    f"                    dtype={first}.dtype, device={first}.device)",
                ),
            ),
        ),
        "fixed_grid": (UNWRITTEN, (("(triton.cdiv(n, 1024),)", "(8,)"),)),
        "no_load_mask": (READS, ((f"{at}, mask=inside, other=0.0", at),)),
        "rounds_the_grid_down": (UNWRITTEN, (("(triton.cdiv(n, 1024),)", "(max(1, n // 1024),)"),)),
        "one_past_the_end": (f"{READS}|{WRITES}", (("inside = at < n", "inside = at <= n"),)),
        "half_of_each_block": (UNWRITTEN, (("tl.arange(0, BLOCK)", "tl.arange(0, BLOCK // 2)"),)),
        "starts_at_one": (READS, ((f"{at},", f"{at} + 1,"),)),
    }
    names, turn = list(structural), sorted(NAMES).index(name)
    two = {one: structural[one] for one in (names[(turn + k) % len(names)] for k in (0, 1))}
    found = edited(solution(name), two)
    return found | {key: Wrong(_fill(name, e), says) for key, (says, e) in op.mistakes.items()}
