# SPDX-License-Identifier: Apache-2.0
"""The interpreter's builder, as far as it touches memory: every access is checked first."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter
from triton.runtime.interpreter import TensorHandle as Handle

from kernelcoder.backends.triton_interp.arithmetic import Arithmetic
from kernelcoder.backends.triton_interp.memory import Memory
from kernelcoder.backends.triton_interp.values import Array, is_small, numpy_type, raw, rounded

_machine = interpreter._interpreter
_POISON = 0x5A5A5A5A


def _given(mask: Any) -> Array:
    """A mask comes as a handle, or as an array from block pointers."""
    return mask.data if isinstance(mask, Handle) else mask


class Builder(Arithmetic):
    """What kernels run on: checked memory under right arithmetic."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory

    def set_grid_idx(self, x: int, y: int, z: int) -> None:
        """The program that runs from now on."""
        self.grid_idx = (x, y, z)
        self.memory.turn((x, y, z), (z * self.grid_dim[1] + y) * self.grid_dim[0] + x)

    def create_load(self, ptr: Any, cache: Any, eviction: Any, is_volatile: Any) -> Any:
        """All lanes."""
        everywhere = np.ones(ptr.data.shape, dtype=bool)
        return self.create_masked_load(ptr, everywhere, None, cache, eviction, is_volatile)

    def create_masked_load(
        self, ptrs: Any, mask: Any, other: Any, cache: Any, eviction: Any, is_volatile: Any
    ) -> Any:
        """Lanes that are masked out read ``other``; without one 0, as on NVIDIA's GPUs, or a
        poison if the memory wants to know whether that matters."""
        kind = ptrs.get_element_ty()
        found = numpy_type(kind)
        plain = np.dtype(f"u{found.itemsize}") if is_small(found) else found
        wanted = np.broadcast_to(_given(mask), ptrs.data.shape)
        allowed = self.memory.checked(ptrs.data, wanted, found.itemsize, "load")
        if other is None:
            rest = np.zeros(ptrs.data.shape, dtype=plain)
            if not wanted.all():
                self.memory.masked = True
                if self.memory.poison:
                    rest = self._poison(ptrs.data.shape, found, plain)
        else:
            rest = np.broadcast_to(raw(rounded(other.data, found)), ptrs.data.shape)
        values = _machine.load(ptrs.data, allowed, np.ascontiguousarray(rest), plain)
        return Handle(values.view(found), kind)

    def _poison(self, shape: tuple[int, ...], found: Any, plain: Any) -> Array:
        if found.kind == "f" or is_small(found):
            return np.full(shape, np.nan, dtype=np.float32).astype(found).view(plain)
        return np.full(shape, _POISON).astype(plain)

    def create_store(self, ptr: Any, val: Any, cache: Any, eviction: Any) -> Any:
        """All lanes."""
        return self.create_masked_store(ptr, val, np.ones(ptr.data.shape, dtype=bool), None, None)

    def create_masked_store(
        self, ptrs: Any, value: Any, mask: Any, cache: Any, eviction: Any
    ) -> Any:
        """Lanes that are masked out write nothing."""
        found = numpy_type(ptrs.get_element_ty())
        values = value.data
        if values.dtype != found and values.dtype.itemsize != found.itemsize:
            values = rounded(values, found)
        values = np.broadcast_to(raw(values), ptrs.data.shape)
        wanted = np.broadcast_to(_given(mask), ptrs.data.shape)
        allowed = self.memory.checked(ptrs.data, wanted, found.itemsize, "store")
        bits = np.dtype(f"u{values.dtype.itemsize}")
        nothing = np.zeros(ptrs.data.shape, dtype=bits)
        current = _machine.load(ptrs.data, allowed, nothing, bits)
        self.memory.stores(ptrs.data, allowed, np.ascontiguousarray(values).view(bits), current)
        return _machine.store(
            ptrs.data, np.ascontiguousarray(values), np.ascontiguousarray(allowed)
        )

    def create_atomic_cas(self, ptr: Any, cmp: Any, val: Any, sem: Any, scope: Any) -> Any:
        """Compare and swap; lanes outside all tensors see and change nothing."""
        size = numpy_type(ptr.get_element_ty()).itemsize
        everywhere = np.ones(ptr.data.shape, dtype=bool)
        if self.memory.checked(ptr.data, everywhere, size, "atomic").all():
            return super().create_atomic_cas(ptr, cmp, val, sem, scope)
        return Handle(np.zeros_like(val.data), cmp.dtype.scalar)

    def create_atomic_rmw(
        self, rmwOp: Any, ptr: Any, val: Any, mask: Any, sem: Any, scope: Any
    ) -> Any:
        """Read, change, write, lane by lane."""
        found = numpy_type(ptr.get_element_ty())
        wanted = np.broadcast_to(_given(mask), ptr.data.shape)
        allowed = self.memory.checked(ptr.data, wanted, found.itemsize, "atomic")
        allowed = np.ascontiguousarray(allowed)
        if is_small(found):
            return Handle(self._one_by_one(rmwOp, ptr.data, val.data, allowed), val.dtype)
        inner = Handle(allowed, tl.int1)
        return super().create_atomic_rmw(rmwOp, ptr, val, inner, sem, scope)

    def _one_by_one(self, op: Any, pointers: Array, values: Array, mask: Array) -> Array:
        """For types that the machine's own code does not know: bf16, of which there are few."""
        before = np.zeros(pointers.shape, dtype=values.dtype)
        values = np.broadcast_to(values, pointers.shape)
        cell = {1: ctypes.c_uint8, 2: ctypes.c_uint16}[values.dtype.itemsize]
        changed: Any = {
            interpreter._ir.ATOMIC_OP.FADD: np.add,
            interpreter._ir.ATOMIC_OP.XCHG: lambda old, new: new,
            interpreter._ir.ATOMIC_OP.MAX: np.fmax,
            interpreter._ir.ATOMIC_OP.MIN: np.fmin,
        }[op]
        for at in np.argwhere(mask):
            spot = tuple(at)
            place = cell.from_address(int(pointers[spot]))
            old = np.array([place.value], dtype=f"u{values.dtype.itemsize}").view(values.dtype)
            before[spot] = old[0]
            new = changed(old.astype(np.float32), np.float32(values[spot])).astype(values.dtype)
            place.value = int(new.view(f"u{values.dtype.itemsize}")[0])
        return before
