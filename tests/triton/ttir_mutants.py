# SPDX-License-Identifier: Apache-2.0
"""Triton kernels with one mistake each. The line at fault ends in the words `# here`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl

# name -> (launch, kernel, kind of the defect, what its line must say besides)
MUTANTS: dict[str, tuple[Callable[[], None], Any, str, tuple[str, ...]]] = {}


def mutant(kernel: Any, kind: str, *said: str) -> Callable[[Callable[[], None]], None]:
    def register(launch: Callable[[], None]) -> None:
        MUTANTS[launch.__name__] = (launch, kernel, kind, said)

    return register


def line_at_fault(kernel: Any) -> int:
    text, first = inspect.getsourcelines(kernel.fn)
    return next(first + at for at, row in enumerate(text) if row.rstrip().endswith("# here"))


@triton.jit
def no_store_mask_kernel(x, o, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at, mask=at < n, other=0.0)
    tl.store(o + at, v)  # here


@mutant(no_store_mask_kernel, "out-of-bounds-write", "arg=o ", "offset=4000", "program=3,0,0")
def no_store_mask() -> None:
    no_store_mask_kernel[(4,)](torch.ones(1000), torch.empty(1000), 1000, BLOCK=256)


@triton.jit
def no_load_mask_kernel(x, o, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at)  # here
    tl.store(o + at, v, mask=at < n)


@mutant(no_load_mask_kernel, "out-of-bounds-read", "arg=x ", "size=4000")
def no_load_mask() -> None:
    no_load_mask_kernel[(4,)](torch.ones(1000), torch.empty(1000), 1000, BLOCK=256)


@triton.jit
def off_by_one_kernel(x, o, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at + 1, mask=at < n)  # here
    tl.store(o + at, v, mask=at < n)


@mutant(off_by_one_kernel, "out-of-bounds-read", "arg=x ", "offset=2048", "bytes=2")
def off_by_one() -> None:
    x = torch.ones(1024, dtype=torch.float16)
    off_by_one_kernel[(4,)](x, torch.empty_like(x), 1024, BLOCK=256)


@mutant(no_store_mask_kernel, "out-of-bounds-write", "arg=o ", "offset=1024")
def outside_of_a_view() -> None:
    """The memory behind the view exists; the view ends."""
    no_store_mask_kernel[(2,)](torch.ones(512), torch.empty(1024)[:256], 512, BLOCK=256)


@triton.jit
def before_kernel(x, o, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(o + at, tl.load(x + at - 1))  # here


@mutant(before_kernel, "out-of-bounds-read", "offset=-4 ")
def before_the_start() -> None:
    before_kernel[(1,)](torch.ones(64)[32:], torch.empty(32), BLOCK=32)


@triton.jit
def accumulate_kernel(x, o, BLOCK: tl.constexpr):
    v = tl.sum(tl.load(x + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)), 0)
    old = tl.load(o)  # here
    tl.store(o, old + v)


@mutant(accumulate_kernel, "race", "type=write-read", "arg=o ")
def accumulate_without_atomics() -> None:
    accumulate_kernel[(4,)](torch.ones(256), torch.zeros(1), BLOCK=64)


@triton.jit
def neighbor_kernel(x, o, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(o + at, tl.load(x + at))
    before = tl.load(o + at - BLOCK, mask=at >= BLOCK, other=0.0)  # here
    tl.store(o + at, tl.load(x + at) + before)


@mutant(neighbor_kernel, "race", "other=0,0,0", "program=1,0,0")
def reads_the_neighbor() -> None:
    neighbor_kernel[(4,)](torch.ones(256), torch.zeros(256), BLOCK=64)


@triton.jit
def same_place_kernel(x, o, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(o + at, tl.load(x + at) + tl.program_id(0))  # here


@mutant(same_place_kernel, "race", "type=write-write", "arg=o ")
def two_programs_one_place() -> None:
    same_place_kernel[(2,)](torch.ones(64), torch.zeros(64), BLOCK=64)


@triton.jit
def lanes_kernel(x, o, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(o + at // 2, tl.load(x + at))  # here


@mutant(lanes_kernel, "duplicate-write", "arg=o ")
def two_lanes_one_place() -> None:
    lanes_kernel[(1,)](torch.arange(64.0), torch.zeros(64), BLOCK=64)


@triton.jit
def in_place_kernel(x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + n - 1 - at, mask=at < n)  # here
    tl.store(x + at, v * 2, mask=at < n)


@mutant(in_place_kernel, "race", "type=write-read", "program=2,0,0")
def reverses_in_place() -> None:
    in_place_kernel[(4,)](torch.arange(256.0), 256, BLOCK=64)


@triton.jit
def shift_kernel(x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at + BLOCK, mask=at + BLOCK < n, other=0.0)
    tl.store(x + at, v + 1, mask=at < n)  # here


@mutant(shift_kernel, "race", "type=read-write", "program=1,0,0", "other=0,0,0")
def shifts_in_place() -> None:
    shift_kernel[(4,)](torch.arange(256.0), 256, BLOCK=64)


@triton.jit
def misaligned_kernel(x, o, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    p = (x.to(tl.pointer_type(tl.int8)) + 1).to(tl.pointer_type(tl.float32))
    tl.store(o + at, tl.load(p + at))  # here


@mutant(misaligned_kernel, "misaligned", "offset=1 ", "arg=x ")
def misaligned() -> None:
    misaligned_kernel[(1,)](torch.ones(64), torch.zeros(16), BLOCK=16)


@triton.jit
def gather_kernel(x, i, o, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.gather(tl.load(x + at), tl.load(i + at), 0)  # here
    tl.store(o + at, v)


@mutant(gather_kernel, "index", "offset=16 ", "size=16")
def gathers_outside() -> None:
    gather_kernel[(1,)](torch.ones(16), torch.arange(1, 17).int(), torch.zeros(16), BLOCK=16)


@triton.jit(debug=True)
def assertion_kernel(x, o, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at)
    tl.device_assert(v > 0)  # here
    tl.store(o + at, v)


@mutant(assertion_kernel, "trap", "program=0,0,0")
def asserts() -> None:
    assertion_kernel[(1,)](torch.arange(16.0), torch.zeros(16), BLOCK=16)
