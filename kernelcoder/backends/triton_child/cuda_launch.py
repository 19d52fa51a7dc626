# SPDX-License-Identifier: Apache-2.0
"""Launching machine code of Triton kernels through CUDA's driver library, without a compiler.

Triton's own launcher is C that it compiles when it is needed, and a candidate's process starts no
programs. What it does is little: parameters in the order of the kernel's signature without its
constants, then two pointers to scratch memory that these kernels do not use (triton 3.7,
backends/nvidia/driver.c). CUDA Driver API: "Module Management", "Execution Control".
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

LIBRARY = "libcuda.so.1"
_MAX_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
_FREE_SHARED = 48 << 10  # what a block may have without asking
_INTEGERS = {
    "i1": ctypes.c_int8, "i8": ctypes.c_int8, "i16": ctypes.c_int16, "i32": ctypes.c_int32,
    "i64": ctypes.c_int64, "u1": ctypes.c_uint8, "u8": ctypes.c_uint8, "u16": ctypes.c_uint16,
    "u32": ctypes.c_uint32, "u64": ctypes.c_uint64,
}  # fmt: skip


class Kernel(NamedTuple):
    """Machine code as the judge had it made: the name of its entry, bytes of shared memory, threads
    of a block, how many parameters it takes."""

    entry: str
    shared: int
    threads: int
    parameters: int
    code: bytes


class Failed(RuntimeError):
    """A call of the driver failed; the text is the error's name."""


def parameter(kind: str, value: Any) -> Any:
    """One parameter as the kernel takes it; ``kind`` is Triton's name of its type."""
    if kind.startswith("*"):
        address = value if isinstance(value, int) else 0 if value is None else value.data_ptr()
        return ctypes.c_uint64(address)
    if kind in _INTEGERS:
        return _INTEGERS[kind](int(value))
    if kind in ("fp32", "f32"):
        return ctypes.c_float(float(value))
    if kind == "fp64":
        return ctypes.c_double(float(value))
    if kind == "fp16":
        return ctypes.c_uint16(struct.unpack("<H", struct.pack("<e", float(value)))[0])
    if kind == "bf16":
        return ctypes.c_uint16(_bfloat(float(value)))
    raise ValueError(f"arguments of type {kind} are not taken on a device")


def _bfloat(value: float) -> int:
    """The bits of a number rounded to nearest even."""
    if value != value:
        return 0x7FC0
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return int((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


class Launcher:
    """Machine code in the current context of this process."""

    def __init__(self, library: Any = None) -> None:
        self._cuda = library if library is not None else ctypes.CDLL(LIBRARY)
        self._functions: dict[str, Any] = {}

    def _name(self, error: int) -> str:
        text = ctypes.c_char_p()
        self._cuda.cuGetErrorName(error, ctypes.byref(text))
        return runtime_name((text.value or b"").decode("ascii", "replace"))

    def _must(self, error: int) -> None:
        if error:
            raise Failed(self._name(error))

    def wait(self) -> str:
        """Until the device has finished; the name of its error, or ""."""
        error = int(self._cuda.cuCtxSynchronize())
        return self._name(error) if error else ""

    def function(self, name: str, kernel: Kernel) -> Any:
        """The kernel's handle, loaded once."""
        if name not in self._functions:
            module, function = ctypes.c_void_p(), ctypes.c_void_p()
            cuda = self._cuda
            self._must(cuda.cuModuleLoadData(ctypes.byref(module), kernel.code))
            entry = kernel.entry.encode()
            self._must(cuda.cuModuleGetFunction(ctypes.byref(function), module, entry))
            if kernel.shared > _FREE_SHARED:
                self._must(cuda.cuFuncSetAttribute(function, _MAX_SHARED, kernel.shared))
            self._functions[name] = function
        return self._functions[name]

    def launch(
        self,
        function: Any,
        kernel: Kernel,
        grid: Sequence[int],
        kinds: Sequence[str],
        values: Sequence[Any],
        stream: int,
    ) -> None:
        """Run the grid on a stream (0: the default one)."""
        given = [parameter(kind, value) for kind, value in zip(kinds, values, strict=True)]
        given += [ctypes.c_uint64(0), ctypes.c_uint64(0)]
        if len(given) != kernel.parameters:
            raise ValueError(f"{kernel.entry} takes {kernel.parameters} parameters")
        at = (ctypes.c_void_p * len(given))(
            *(ctypes.cast(ctypes.byref(one), ctypes.c_void_p) for one in given)
        )
        x, y, z = (*grid, 1, 1)[:3]
        self._must(
            self._cuda.cuLaunchKernel(
                function,
                x,
                y,
                z,
                kernel.threads,
                1,
                1,
                kernel.shared,
                ctypes.c_void_p(stream),
                at,
                None,
            )  # fmt: skip
        )


def runtime_name(name: str) -> str:
    """An error's name in the driver as the runtime has it: CUDA_ERROR_ILLEGAL_ADDRESS is
    cudaErrorIllegalAddress. Two differ by more."""
    other = {"CUDA_ERROR_OUT_OF_MEMORY": "cudaErrorMemoryAllocation",
             "CUDA_ERROR_LAUNCH_FAILED": "cudaErrorLaunchFailure"}  # fmt: skip
    if name in other:
        return other[name]
    words = re.findall(r"[A-Z0-9]+", name.removeprefix("CUDA_ERROR_"))
    return "cudaError" + "".join(word.capitalize() for word in words)
