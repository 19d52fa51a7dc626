# SPDX-License-Identifier: Apache-2.0
"""Run by test_triton_interpreter.py in a process of its own: TRITON_INTERPRET=1 is for all of it.

Each check is a function ``check_...``; a line of JSON says how it went.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TRITON_INTERPRET"] = "1"
ROOT = Path(sys.argv[1]) / "kernelcoder"
for _name, _folder in {
    "kernelcoder": None,
    "kernelcoder.backends": None,
    "kernelcoder.verify": ROOT / "verify",
    "kernelcoder.backends.triton_child": ROOT / "backends" / "triton_child",
    "kernelcoder.backends.triton_interp": ROOT / "backends" / "triton_interp",
}.items():
    _package = types.ModuleType(_name)
    _package.__path__ = [str(_folder)] if _folder else []
    sys.modules[_name] = _package

import torch  # noqa: E402
import triton  # noqa: E402
import triton.language as tl  # noqa: E402
from triton.language.extra import libdevice  # noqa: E402

from kernelcoder.backends.triton_interp import launching, memory  # noqa: E402

RUNNER = launching.install()
memory.CANDIDATE = __file__
DTYPES = {
    "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16,
    "e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2,
}  # fmt: skip
torch.manual_seed(0)


def session(lint: bool = False) -> Any:
    """A new one, whose record the next launches go to."""
    made = launching.Session(lint=lint)
    RUNNER.begin(made)
    return made


def kinds(made: Any) -> list[str]:
    return [kind for kind, _ in made.record.defects]


@triton.jit
def elementwise(x_ptr, y_ptr, o_ptr, n, WHAT: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    m = at < n
    x = tl.load(x_ptr + at, mask=m)
    y = tl.load(y_ptr + at, mask=m, other=1.0)
    if WHAT == "add":
        r = x + y
    elif WHAT == "sub":
        r = x - y
    elif WHAT == "mul":
        r = x * y
    elif WHAT == "div":
        r = (x / y).to(x.dtype)
    elif WHAT == "neg":
        r = -x
    elif WHAT == "scale":
        r = x * 0.3
    elif WHAT == "where":
        r = tl.where(x < y, x, y)
    elif WHAT == "max":
        r = tl.maximum(x, y)
    else:
        r = tl.abs(x)
    tl.store(o_ptr + at, r.to(o_ptr.dtype.element_ty), mask=m)


WANTED: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y, "neg": lambda x, y: -x,
    "where": lambda x, y: torch.where(x < y, x, y),
    "max": torch.maximum, "abs": lambda x, y: x.abs(),
}  # fmt: skip


def check_arithmetic_rounds_once() -> None:
    for name, dtype in DTYPES.items():
        x, y = (torch.randn(64).mul(4).to(dtype) for _ in range(2))
        y = torch.where(y.float().abs() < 0.1, torch.ones(64), y.float()).to(dtype)
        for what, want in WANTED.items():
            out = torch.zeros(64, dtype=dtype)
            session()
            elementwise[(2,)](x, y, out, 64, WHAT=what, BLOCK=32)
            expected = want(x.float(), y.float()).to(dtype)
            assert torch.equal(out.float(), expected.float()), (name, what, out, expected)


def check_a_python_float_takes_the_tensors_type() -> None:
    x = torch.randn(64).to(torch.bfloat16)
    out = torch.zeros_like(x)
    session()
    elementwise[(1,)](x, x, out, 64, WHAT="scale", BLOCK=64)
    want = (x.float() * torch.tensor(0.3).to(torch.bfloat16).float()).to(torch.bfloat16)
    assert torch.equal(out, want)


@triton.jit
def casts(x_ptr, o_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(o_ptr + at, tl.load(x_ptr + at).to(o_ptr.dtype.element_ty))


def check_casts_round_to_even_and_saturate() -> None:
    x = torch.cat(
        [torch.randn(56) * 8, torch.tensor([1e6, -1e6, 0.0, 1.0 + 2**-8, 2.0**-8] + [3e38] * 3)]
    )
    for name, dtype in DTYPES.items():
        out = torch.zeros(64, dtype=dtype)
        session()
        casts[(1,)](x, out, BLOCK=64)
        want = x.clamp(-448, 448).to(dtype) if name == "e4m3" else x.to(dtype)
        assert torch.equal(out.float(), want.float()), name
    whole = torch.zeros(64, dtype=torch.int32)
    casts[(1,)](x, whole, BLOCK=64)
    assert whole[56] == 1_000_000 and whole[61] == 2**31 - 1


@triton.jit
def products(a_ptr, b_ptr, o_ptr, PRECISION: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, N)[:, None] * N + tl.arange(0, N)[None, :]
    a = tl.load(a_ptr + at)
    b = tl.load(b_ptr + at)
    tl.store(o_ptr + at, tl.dot(a, b, input_precision=PRECISION))


def check_dot_collects_in_float32() -> None:
    for name, dtype in DTYPES.items():
        a, b = (torch.randn(32, 32).to(dtype) for _ in range(2))
        out = torch.zeros(32, 32)
        session()
        products[(1,)](a, b, out, PRECISION="ieee", N=32)
        error = (out.double() - a.double() @ b.double()).abs().max()
        assert error < 1e-4, (name, error)


def check_dot_of_float32_loses_mantissa_unless_asked_not_to() -> None:
    a, b = torch.randn(32, 32), torch.randn(32, 32)
    out = torch.zeros(32, 32)
    session()
    products[(1,)](a, b, out, PRECISION="tf32", N=32)
    error = (out.double() - a.double() @ b.double()).abs().max()
    assert 1e-4 < error < 0.1, error


@triton.jit
def reduces(x_ptr, o_ptr, i_ptr, WHAT: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, N)
    x = tl.load(x_ptr + at)
    if WHAT == "sum":
        tl.store(o_ptr, tl.sum(x, 0))
    elif WHAT == "max":
        tl.store(o_ptr, tl.max(x, 0))
    elif WHAT == "argmax":
        value, index = tl.max(x, 0, return_indices=True)
        tl.store(o_ptr, value)
        tl.store(i_ptr, index)
    elif WHAT == "cumsum":
        tl.store(o_ptr + at, tl.cumsum(x, 0))
    elif WHAT == "reversed":
        tl.store(o_ptr + at, tl.cumsum(x, 0, reverse=True))
    elif WHAT == "sort":
        tl.store(o_ptr + at, tl.sort(x))
    else:
        tl.store(o_ptr, tl.reduce(x, 0, larger_square))


@triton.jit
def larger_square(a, b):
    return tl.where(a * a > b * b, a, b)


def check_reductions() -> None:
    for name, dtype in DTYPES.items():
        x = torch.randn(64).to(dtype)
        f = x.float()
        wanted = {
            "sum": f.sum(), "max": f.max(), "argmax": f.max(), "cumsum": f.cumsum(0),
            "reversed": f.flip(0).cumsum(0).flip(0), "sort": f.sort().values,
            "square": f[f.abs().argmax()],
        }  # fmt: skip
        steps = {"f32": 1e-5, "f16": 0.02, "bf16": 0.2, "e4m3": 4.0, "e5m2": 8.0}[name]
        for what, want in wanted.items():
            if what == "sort" and name.startswith("e"):
                continue  # Triton sorts by comparing bits, which it does not do for fp8
            out, index = torch.zeros(64, dtype=dtype), torch.zeros(1, dtype=torch.int32)
            session()
            reduces[(1,)](x, out, index, WHAT=what, N=64)
            got = out.float() if want.ndim else out.float()[0]
            exact = what in ("max", "argmax", "sort", "square")
            assert torch.allclose(got, want, rtol=0, atol=0 if exact else steps), (name, what)
            assert what != "argmax" or f[index.item()] == want


def check_a_maximum_passes_over_nan() -> None:
    x = torch.tensor([1.0, float("nan"), 3.0, 2.0] * 16)
    out = torch.zeros(64)
    session()
    reduces[(1,)](x, out, torch.zeros(1, dtype=torch.int32), WHAT="max", N=64)
    assert out[0] == 3.0
    elementwise[(1,)](x, torch.zeros(64), out, 64, WHAT="max", BLOCK=64)
    assert not out.isnan().any()


@triton.jit
def masks(o_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    both = (at < 2) and (at < 6)
    either = (at < 2) or (at == 5)
    neither = not either
    tl.store(o_ptr + at, both.to(tl.int32) + 2 * either.to(tl.int32) + 4 * neither.to(tl.int32))
    if n is not None and n > 3:
        tl.store(o_ptr + at, 100, mask=at == 7)


def check_and_or_not_of_tensors() -> None:
    out = torch.zeros(8, dtype=torch.int32)
    session()
    masks[(1,)](out, 8, BLOCK=8)
    assert out.tolist() == [3, 3, 4, 4, 4, 2, 4, 100]


@triton.jit
def constants(o_ptr, n, BLOCK: "tl.constexpr"):  # noqa: UP037
    HALF = BLOCK // 2
    at = tl.arange(0, HALF)
    total = 0
    big = 2147483647
    for i in range(n):
        total += i * HALF
        big += i
    for j in tl.static_range(2):
        tl.store(o_ptr + j * HALF + at, total.to(tl.int64) + j + at)
    tl.store(o_ptr + BLOCK, big.to(tl.int64))


def check_numbers_behave_as_compiled() -> None:
    out = torch.zeros(17, dtype=torch.int64)
    session()
    constants[[1]](out, 3, BLOCK=16)
    want = [24 + i for i in range(8)] + [25 + i for i in range(8)]
    assert out[:16].tolist() == want
    assert out[16] == 2147483647 + 3 - 2**32, "32-bit integers wrap"


@triton.jit
def helper(x, by):
    return x * by


@triton.autotune(
    [triton.Config({"BLOCK": b}, num_warps=w) for b, w in ((32, 4), (256, 4), (512, 1))],
    key=["n"],
)
@triton.heuristics({"EVEN": lambda given: given["n"] % given["BLOCK"] == 0})
@triton.jit
def tuned(x_ptr, o_ptr, n, EVEN: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(o_ptr + at, helper(libdevice.tanh(x), BLOCK), mask=at < n)


def check_autotune_heuristics_libdevice() -> None:
    x, out = torch.randn(300), torch.zeros(300)
    made = session()
    tuned[lambda given: (triton.cdiv(300, given["BLOCK"]),)](x, out, 300)
    assert made.launches == 1
    assert torch.allclose(out, x.tanh() * 256, atol=1e-4), "the largest block with four warps"


@triton.jit
def adds(o_ptr, x_ptr, ATOMIC: tl.constexpr):
    x = tl.load(x_ptr + tl.program_id(0))
    if ATOMIC:
        tl.atomic_add(o_ptr, x)
    else:
        tl.store(o_ptr, tl.load(o_ptr) + x)


def check_atomics_are_no_race_and_all_else_is() -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        x = torch.arange(1, 9).to(dtype)
        out = torch.zeros(1, dtype=dtype)
        made = session()
        adds[(8,)](out, x, ATOMIC=True)
        assert out.item() == 36 and not made.record.defects
        adds[(8,)](torch.zeros(1, dtype=dtype), x, ATOMIC=False)
        assert "race" in kinds(made)


@triton.jit
def blocks(x_ptr, o_ptr, rows, cols, BR: tl.constexpr, BC: tl.constexpr):
    source = tl.make_block_ptr(x_ptr, (rows, cols), (cols, 1), (0, 0), (BR, BC), (1, 0))
    target = tl.make_block_ptr(o_ptr, (rows, cols), (cols, 1), (0, 0), (BR, BC), (1, 0))
    for _ in range(tl.cdiv(rows, BR)):
        x = tl.load(source, boundary_check=(0, 1), padding_option="zero")
        tl.store(target, x + 1, boundary_check=(0, 1))
        source = tl.advance(source, (BR, 0))
        target = tl.advance(target, (BR, 0))


def check_block_pointers() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(10, 7).to(dtype)
        out = torch.zeros_like(x)
        made = session()
        blocks[(1,)](x, out, 10, 7, BR=4, BC=8)
        assert torch.equal(out, x + 1) and not made.record.defects


def check_bounds_are_those_of_the_view() -> None:
    room = torch.zeros(64)
    made = session()
    elementwise[(1,)](room[8:24], room[8:24], room[40:56], 20, WHAT="add", BLOCK=32)
    assert kinds(made)[0] == "out-of-bounds-read"
    kind, places = made.record.defects[0]
    assert places["arg"] == "x_ptr,y_ptr" and places["offset"] == 64 and places["lanes"] == 4
    assert places["kernel"] == "elementwise" and places["line"] > 50
    assert not room.any(), "nothing outside was touched"


@triton.jit
def sums_first(x_ptr, o_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(o_ptr, tl.sum(tl.load(x_ptr + at, mask=at < n), 0))


def check_masked_lanes_that_matter_are_noted() -> None:
    x, out = torch.ones(5), torch.zeros(1)
    made = session(lint=True)
    sums_first[(1,)](x, out, 5, BLOCK=8)
    assert out.item() == 5.0, "as on NVIDIA's GPUs"
    assert [kind for kind, _ in made.record.notes.values()] == ["masked-read"]
    made = session(lint=True)
    elementwise[(1,)](x, x, torch.zeros(5), 5, WHAT="add", BLOCK=8)
    assert not made.record.notes and not made.record.defects


def check_every_order_runs_every_program_once() -> None:
    for launch in range(5):
        programs = list(launching.order((3, 2, 4), launch))
        assert sorted(programs) == [(x, y, z) for x in range(3) for y in range(2) for z in range(4)]
    assert list(launching.order((2, 1, 1), 0)) == list(launching.order((2, 1, 1), 1))[::-1]


def main() -> None:
    for name, check in sorted(globals().items()):
        if name.startswith("check_"):
            try:
                check()
                said = ""
            except (AssertionError, ValueError, TypeError, AttributeError, RuntimeError, KeyError):
                said = traceback.format_exc()
            sys.stdout.write(json.dumps([name, said]) + "\n")


if __name__ == "__main__":
    main()
