# SPDX-License-Identifier: Apache-2.0
"""Calls of ``kernel`` with tensors on a device: inputs there, results back, and what lies around.

The inputs' region is laid out on the device as it is on the host, 64 KiB of one byte between
tensors, so that a write outside of an input shows. Results are PyTorch's own tensors; when they
have been copied their memory is filled, for the allocator gives it out again, and a kernel that
left an element unwritten would else find the right value of the call before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch

from kernelcoder.backends.triton_child import specs
from kernelcoder.backends.triton_child.calls import plainly, problem
from kernelcoder.verify.guest_torch import Census

_TYPES = {(2, 32): torch.float32, (2, 16): torch.float16, (4, 16): torch.bfloat16}
_GUARD, _CANARY = 1 << 16, 0xC5  # native/gpu.c
_STAGED, _FLUSH = 4, 8  # protocol.h
_DEVICE_ERROR = 91  # protocol.h: KC_EXIT_DEVICE


class Device(Protocol):
    """What a guest needs of a device. ``where`` is PyTorch's name of it."""

    where: torch.device

    def wait(self) -> str:
        """Until everything has finished; the name of the error that ended it, or ""."""
        ...

    def mark(self) -> Any:
        """A moment on the device's own clock, between the work before and after."""
        ...

    def between(self, first: Any, second: Any) -> int:
        """Nanoseconds from one moment to another, once both have passed."""
        ...

    def cache_bytes(self) -> int:
        """Size of the device's last cache."""
        ...


class DeviceCalls:
    """The part of a guest that all devices share: see zygote_process.py for its interface. A
    subclass calls ``launched`` for each launch. A kernel that returns NotImplemented is taken at
    its word: ours that does nothing is one, and its outputs are nobody's."""

    def __init__(self, job: Any, harness: Any, device: Device) -> None:
        self.harness, self.device = harness, device
        self._job, self._views = job, [harness.tensors(index) for index in range(job.count)]
        last = [
            v.address - job.inputs + v.bytes for one in self._views for v in one if not v.output
        ]
        with plainly():
            self._room = torch.empty(
                max(last, default=0) + _GUARD, dtype=torch.uint8, device=device.where
            )
            self._room.fill_(_CANARY)
        self._calls = [self._arguments(index) for index in range(job.count)]
        self._census = Census()
        self._last: tuple[Any, Mapping[str, Any], Mapping[str, Any]] | None = None
        self._poison, self._cache = 0, None
        self.launches = 0

    def namespace(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def _host(self, view: Any) -> Any:
        dtype = _TYPES[view.code, view.bits]
        if view.bytes == 0:
            return torch.empty(view.shape, dtype=dtype)
        memory = (ctypes.c_char * view.bytes).from_address(view.address)
        return torch.frombuffer(memory, dtype=dtype).as_strided(view.shape, view.strides)

    def _slice(self, view: Any) -> Any:
        """The bytes of an input on the device, gaps included."""
        offset = view.address - self._job.inputs
        return self._room[offset : offset + view.bytes]

    def _arguments(self, index: int) -> list[Any]:
        found: list[Any] = []
        for view in self._views[index]:
            if view.output:
                continue
            dtype = _TYPES[view.code, view.bits]
            if view.bytes == 0:
                found.append(torch.empty(view.shape, dtype=dtype, device=self.device.where))
            else:
                flat = self._slice(view).view(dtype)
                found.append(flat.as_strided(view.shape, view.strides, flat.storage_offset()))
        return [*found, *self.harness.scalars(index)]

    def launched(self, kernel: Any, bound: Mapping[str, Any], named: Mapping[str, Any]) -> None:
        """Count a launch of a kernel with its arguments by name and its options."""
        self.launches += 1
        self._last = kernel, bound, named

    def line(self) -> str:
        """The last launch as text, for a compiler (specs.py)."""
        assert self._last is not None
        kernel, bound, named = self._last
        constants = [one.name for one in kernel.params if one.is_constexpr]
        with plainly():
            return specs.text(kernel.__name__, bound, constants, named)

    def serve(self, native: Any, kernel: Callable[..., Any]) -> None:
        """Do what the judge asks for, for ever."""
        run, told = (ctypes.c_uint32 * 4)(), False
        while True:
            native.kc_device_next(run)
            first, last, repetitions, flags = run
            indices = [*range(first, last)] * repetitions
            if flags & _STAGED:
                self._timed(native, kernel, indices, bool(flags & _FLUSH))
                continue
            if told:
                for index in indices:
                    self._checked(kernel, index)
            else:
                with self._census.mode:
                    for index in indices:
                        self._checked(kernel, index)
                self._census.report(self.harness.write)
                self.harness.write(f"launches: {self.launches}\n")
                told = True
            self.harness.settle()
            native.kc_done()

    def _bring(self, index: int) -> None:
        with plainly(), torch._C._DisableTorchDispatch():
            for view in self._views[index]:
                if view.bytes and not view.output:
                    memory = (ctypes.c_char * view.bytes).from_address(view.address)
                    self._slice(view).copy_(torch.frombuffer(memory, dtype=torch.uint8))

    def _settle(self) -> None:
        """Wait for the device; end the child if it reports an error."""
        if error := self.device.wait():
            self.harness.write(f"cuda: {error}\n")
            self.harness.leave(_DEVICE_ERROR)

    def _checked(self, kernel: Callable[..., Any], index: int) -> None:
        self._bring(index)
        finished = False
        try:
            found = kernel(*self._calls[index])
            finished = True
        finally:
            if not finished:  # what it lacked, or what broke the device, may be why it failed
                self.harness.settle()
                self._settle()
        if self.harness.wanted:
            return
        self._settle()
        with plainly(), torch._C._DisableTorchDispatch():
            self._copy(found, index)
            self._inspect(index)

    def _copy(self, found: Any, index: int) -> None:
        """A call's results to where the judge reads them, and their memory poisoned."""
        if found is NotImplemented:
            return
        outputs = [self._host(view) for view in self._views[index] if view.output]
        results = list(found) if isinstance(found, (tuple, list)) else [found]
        if wrong := problem(results, outputs):
            self.harness.defect(wrong[0], **wrong[1])
        for result, output in zip(results, outputs, strict=True):
            output.copy_(result)
        self._poison ^= 0xFF
        inputs = self._room.untyped_storage().data_ptr()
        for result in results:
            memory = result.untyped_storage()
            if memory.data_ptr() != inputs and memory.nbytes():
                memory.fill_(self._poison)

    def _inspect(self, index: int) -> None:
        """Inputs as they were, and the bytes around them."""
        for view in self._views[index]:
            if view.output or not view.bytes:
                continue
            memory = (ctypes.c_char * view.bytes).from_address(view.address)
            if not torch.equal(
                self._slice(view).cpu(), torch.frombuffer(memory, dtype=torch.uint8)
            ):
                self.harness.defect("write-to-input")
            offset = view.address - self._job.inputs
            around = (
                self._room[max(0, offset - _GUARD // 2) : offset],
                self._room[offset + view.bytes : offset + view.bytes + _GUARD // 2],
            )
            if not all(bool((one == _CANARY).all()) for one in around):
                self.harness.defect("out-of-bounds-write")

    def _timed(
        self, native: Any, kernel: Callable[..., Any], indices: Sequence[int], flush: bool
    ) -> None:
        """One batch: inputs, clock, outputs."""
        for index in indices:
            self._bring(index)
        cache = self._flushing() if flush else None
        self._settle()
        native.kc_device_ready()
        marks, found = [], []
        for index in indices:
            if cache is not None:
                cache.zero_()
            first = self.device.mark()
            found.append(kernel(*self._calls[index]))
            marks.append((first, self.device.mark()))
        self._settle()
        native.kc_done()
        native.kc_device_back()
        with plainly(), torch._C._DisableTorchDispatch():
            for index, one in zip(indices, found, strict=True):
                self._copy(one, index)
        self._settle()
        between = sum(self.device.between(*pair) for pair in marks)
        native.kc_device_out(ctypes.c_uint64(between))

    def _flushing(self) -> Any:
        if self._cache is None:
            size = 2 * self.device.cache_bytes()
            self._cache = torch.empty(size, dtype=torch.uint8, device=self.device.where)
        return self._cache
