# SPDX-License-Identifier: Apache-2.0
"""The structures that cross between Python and compiled host code: facade/values.h, module.h."""

from __future__ import annotations

import ctypes
from typing import Any

import torch

NONE, WHOLE, REAL, TRUTH, TENSOR, WHOLES, TEXT, LIST, TYPE, REALS = range(10)
# c10::ScalarType
TYPES: dict[int, Any] = {
    0: torch.uint8, 1: torch.int8, 2: torch.int16, 3: torch.int32, 4: torch.int64,
    5: torch.float16, 6: torch.float32, 7: torch.float64, 11: torch.bool, 15: torch.bfloat16,
}  # fmt: skip
NUMBERS = {dtype: number for number, dtype in TYPES.items()}


class View(ctypes.Structure):
    """at::View: a tensor in memory; sizes and strides in elements."""

    _fields_ = (
        ("base", ctypes.c_void_p), ("bytes", ctypes.c_int64), ("data", ctypes.c_void_p),
        ("sizes", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("type", ctypes.c_int32), ("dims", ctypes.c_int32),
    )  # fmt: skip


class Value(ctypes.Structure):
    """at::Value. Of a LIST, ``whole`` is 1 if it is a tuple."""

    _fields_ = (
        ("tag", ctypes.c_int32), ("count", ctypes.c_int32), ("whole", ctypes.c_int64),
        ("real", ctypes.c_double), ("at", ctypes.c_void_p),
    )  # fmt: skip


Operator = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(Value), ctypes.POINTER(Value)
)


class Request(ctypes.Structure):
    """simt_module::Request."""

    _fields_ = (
        ("command", ctypes.c_int32), ("index", ctypes.c_int32), ("count", ctypes.c_int32),
        ("reserved", ctypes.c_int32), ("name", ctypes.c_char_p),
        ("arguments", ctypes.POINTER(Value)), ("keywords", ctypes.POINTER(ctypes.c_char_p)),
        ("operation", Operator), ("result", Value), ("text", ctypes.c_char_p),
    )  # fmt: skip


NAME, CALL = 0, 1  # commands
# What a module's function returns: facade/module.h.
FAULTS: dict[int, type[Exception]] = {1: RuntimeError, 2: TypeError, 3: IndexError, 4: ValueError}
NO_MORE = 5


def described(base: int, nbytes: int, data: int, tensor: Any, kept: list[Any]) -> View:
    """A view with the shape of a tensor; its arrays live as long as ``kept``."""
    dims = tensor.dim()
    sizes = (ctypes.c_int64 * max(1, dims))(*tensor.shape)
    strides = (ctypes.c_int64 * max(1, dims))(*tensor.stride())
    view = View(base, nbytes, data, sizes, strides, NUMBERS[tensor.dtype], dims)
    kept += [sizes, strides, view]
    return view


def seen(view: View) -> Any:
    """A tensor over the memory of a view, for as long as that lives."""
    dtype = TYPES[view.type]
    sizes, strides = view.sizes[: view.dims], view.strides[: view.dims]
    if 0 in sizes or not view.bytes:
        return torch.empty(sizes, dtype=dtype)
    memory = (ctypes.c_char * view.bytes).from_address(view.base)
    item = dtype.itemsize
    flat = torch.frombuffer(memory, dtype=dtype, count=view.bytes // item)
    return flat.as_strided(sizes, strides, (view.data - view.base) // item)
