# SPDX-License-Identifier: Apache-2.0
"""Calling a lowered kernel with tensors: the caller's side of `Launch` in include/ttir_shadow.h.

Runs beside the candidate and imports nothing of this project.
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
from collections.abc import Sequence
from typing import Any

_FLOATS = ("fp16", "bf16", "fp32", "f32", "fp64")


class Argument(ctypes.Structure):
    """A value, and the addresses a pointer may touch."""

    _fields_ = (("value", ctypes.c_int64), ("low", ctypes.c_int64), ("high", ctypes.c_int64))


class Launch(ctypes.Structure):
    """Grid, order of the programs, whether to look for races, arguments."""

    _fields_ = (
        ("grid", ctypes.c_int32 * 3), ("seed", ctypes.c_uint32), ("races", ctypes.c_uint32),
        ("count", ctypes.c_uint32), ("arguments", ctypes.POINTER(Argument)),
    )  # fmt: skip


def symbol(text: str) -> str:
    """The name of the function that a text of TTIR becomes."""
    return "k_" + hashlib.sha256(text.encode()).hexdigest()[:32]


def extent(tensor: Any) -> tuple[int, int]:
    """First and last address (exclusive) of a view's elements; strides may be negative."""
    start, size = tensor.data_ptr(), tensor.element_size()
    if not tensor.numel():
        return start, start
    reach = [
        (n - 1) * stride * size for n, stride in zip(tensor.shape, tensor.stride(), strict=True)
    ]
    low = start + sum(step for step in reach if step < 0)
    return low, start + sum(step for step in reach if step > 0) + size


def _argument(kind: str, value: Any) -> Argument:
    if kind.startswith("*"):
        if isinstance(value, int):  # an address without an owner: nothing may be touched
            return Argument(value, value, value)
        return Argument(value.data_ptr(), *extent(value))
    if kind in _FLOATS:
        return Argument(struct.unpack("<q", struct.pack("<d", float(value)))[0], 0, 0)
    return Argument((int(value) + (1 << 63)) % (1 << 64) - (1 << 63), 0, 0)


def call(
    function: Any, grid: Sequence[int], kinds: Sequence[str], values: Sequence[Any],
    seed: int = 0, races: bool = False,
) -> None:  # fmt: skip
    """Run the grid. ``function`` is the library's `symbol(text)`; ``kinds`` are Triton's names of
    the types ("*fp32", "i32"); tensors lie in memory of this process."""
    found = [_argument(kind, value) for kind, value in zip(kinds, values, strict=True)]
    given = (Argument * max(len(found), 1))(*found)
    x, y, z = (*grid, 1, 1)[:3]
    job = Launch((ctypes.c_int32 * 3)(x, y, z), seed, int(races), len(kinds), given)
    function.restype = None
    function(ctypes.byref(job))
