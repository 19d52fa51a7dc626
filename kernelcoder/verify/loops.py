# SPDX-License-Identifier: Apache-2.0
"""The judge's native loops (native/judge.c) and the structs they take.

They run without the interpreter's lock, so two workers compare at the same time, and without a
tensor library's cost per call, which for a small case is a hundred times that of the comparison.
"""

from __future__ import annotations

import ctypes
import functools

from kernelcoder.verify import sandbox

NOWHERE = (1 << 64) - 1
BITS, DIFFER = 1, 2  # flags of Found: the right bits; other bits at the other edge
DOUBT = 2  # kc_judge: something is wrong, or differs between the edges
DTYPES = {"f32": 0, "f16": 1, "bf16": 2}
_U64, _U32, _F64, _PTR = ctypes.c_uint64, ctypes.c_uint32, ctypes.c_double, ctypes.c_void_p


class Place(ctypes.Structure):
    """KcPlace: the pages of an output, and its bytes inside them."""

    _fields_ = [("first", _U64), ("last", _U64), ("offset", _U64), ("bytes", _U64)]


class Input(ctypes.Structure):
    """KcInput: an input at one edge and at the other, and what it was made of."""

    _fields_ = [("offset", _U64), ("again", _U64), ("bytes", _U64), ("made_of", _PTR)]


class Answer(ctypes.Structure):
    """KcAnswer: an output at one edge and at the other, and what it must be."""

    _fields_ = [
        ("offset", _U64), ("again", _U64), ("elements", _U64), ("dtype", _U32),
        ("reserved", _U32), ("right", _PTR), ("low", _PTR), ("high", _PTR), ("nan", _PTR),
        ("negative", _PTR),
        ("expected", _PTR), ("spacing", _PTR),
    ]  # fmt: skip


class Found(ctypes.Structure):
    """KcFound: wrong elements and errors of one output."""

    _fields_ = [
        ("wrong", _U64), ("max_abs", _F64), ("max_rel", _F64), ("max_ulp", _F64),
        ("flags", _U32), ("reserved", _U32),
    ]  # fmt: skip


@functools.cache
def library() -> ctypes.CDLL:
    """The loaded helper; raises CannotRun where it cannot be built."""
    loaded = ctypes.CDLL(str(sandbox.helper("judge")))
    loaded.kc_poison.argtypes = (_PTR, _PTR, _U32, ctypes.c_int)
    loaded.kc_poison.restype = None
    loaded.kc_intact.argtypes = (_PTR, _PTR, _U32, ctypes.c_int)
    loaded.kc_inputs.argtypes = (_PTR, _PTR, _U32)
    loaded.kc_judge.argtypes = (_PTR, _PTR, _U32, _PTR)
    loaded.kc_judge.restype = _U32
    return loaded
