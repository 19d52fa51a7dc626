# SPDX-License-Identifier: Apache-2.0
"""Arrays of MLX in the emulator's guarded memory, and back."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from typing import Any

Output = tuple[str, tuple[int, ...], Any]  # name, shape, dtype


class Buffer(ctypes.Structure):
    """Python's Py_buffer."""

    _fields_ = (
        ("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p), ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)), ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )  # fmt: skip


class Runtime:
    """MLX as it is without our changes, and the emulator's library; one in the zygote."""

    def __init__(self) -> None:
        import mlx.core as mx

        self.mx = mx
        names = (
            "zeros", "full", "array", "eval", "contiguous", "as_strided", "view", "reshape",
            "flatten", "astype",
        )  # fmt: skip
        self.plain = {name: getattr(mx, name) for name in names if hasattr(mx, name)}
        self.library = ctypes.CDLL(os.environ["KC_LIBRARY"], mode=os.RTLD_NOW | os.RTLD_GLOBAL)
        self.library.simt_allocate.restype = ctypes.c_void_p
        self.library.simt_allocate.argtypes = [ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p]
        self.library.simt_release.argtypes = [ctypes.c_void_p]
        self.library.simt_copy.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
        ]  # fmt: skip
        self.library.simt_launches.restype = ctypes.c_long
        self.words: dict[int, Any] = {1: "B", 2: "H", 4: "I", 8: "Q"}
        self.differ = ctypes.CDLL(None).memcmp
        self.differ.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        self.names: dict[str, bytes] = {}  # of allocations, which have to live on

    def seen(self, array: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """Address of the first element, shape, strides in elements, of an evaluated array."""
        held, flags = Buffer(), 0x18 | 0x4  # PyBUF_STRIDES and _FORMAT
        ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(array), ctypes.byref(held), flags)
        shape = tuple(held.shape[: held.ndim]) if held.ndim else ()
        strides = tuple(n // held.itemsize for n in held.strides[: held.ndim]) if held.ndim else ()
        address = held.buf or 0
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(held))
        return address, shape, strides

    def array(self, address: int, nbytes: int, dtype: Any, shape: Sequence[int]) -> Any:
        """A new array of the bytes at an address."""
        if nbytes == 0:
            return self.plain["zeros"](shape, dtype)
        memory = (ctypes.c_char * nbytes).from_address(address)
        words = memoryview(memory).cast("B").cast(self.words[dtype.size])
        return self.plain["reshape"](self.plain["view"](self.plain["array"](words), dtype), shape)

    def take(self, nbytes: int, name: str) -> int:
        """Guarded memory of the emulator, filled with its poison."""
        known = self.names.setdefault(name, name.encode("ascii", "replace")[:60])
        at = self.library.simt_allocate(nbytes, 0, known)
        if not at:
            raise MemoryError("the emulator cannot allocate memory")
        return int(at)


_known: list[Runtime] = []


def load() -> Runtime:
    """Load MLX and the emulator, before anything is put in the place of MLX's functions."""
    _known[:] = [Runtime()]
    return _known[0]


def runtime() -> Runtime:
    """What ``load`` has loaded."""
    return _known[0]


def sizes(three: Sequence[int]) -> Any:
    """Three sizes for a kernel's entry."""
    return (ctypes.c_uint * 3)(*three)


class Arguments:
    """The memory of one launch: guarded copies of the inputs, room for the outputs."""

    def __init__(
        self,
        names: Sequence[str],
        contiguous: bool,
        arrays: Sequence[Any],
        outputs: Sequence[Output],
        init_value: float | None,
    ) -> None:
        self._names, self._contiguous, self._init = names, contiguous, init_value
        self._given, self._wanted = arrays, outputs
        self._taken: list[int] = []
        self._kept: list[Any] = []
        self._copies: list[tuple[str, int, int, int]] = []  # of inputs: name, copy, original, bytes
        self.inputs: Any = (ctypes.c_void_p * (4 * max(1, len(arrays))))()
        self.outputs: Any = (ctypes.c_void_p * len(outputs))()

    def __enter__(self) -> Arguments:
        runtime().plain["eval"](list(self._given))
        for place, array in enumerate(self._given):
            self._put(place, self._names[place], array)
        for place, (name, shape, dtype) in enumerate(self._wanted):
            self.outputs[place] = at = self._take(_bytes(shape, dtype), name)
            if self._init is not None and _bytes(shape, dtype):
                filled = runtime().plain["full"](shape, self._init, dtype)
                runtime().plain["eval"](filled)
                source = runtime().seen(filled)[0]
                runtime().library.simt_copy(at, source, _bytes(shape, dtype), 0)
        return self

    def __exit__(self, *_: object) -> None:
        for at in self._taken:
            runtime().library.simt_release(at)

    def _take(self, nbytes: int, name: str) -> int:
        at = runtime().take(nbytes, name)
        self._taken.append(at)
        return at

    def _put(self, place: int, name: str, array: Any) -> None:
        """Data, shape, strides and number of dimensions of an input."""
        here = runtime()
        if self._contiguous and not memoryview(array).c_contiguous:
            array = here.plain["contiguous"](array)
            here.plain["eval"](array)
            self._kept.append(array)
        address, shape, strides = here.seen(array)
        reach = [(n - 1) * step for n, step in zip(shape, strides, strict=True)]
        below, above = sum(min(0, one) for one in reach), sum(max(0, one) for one in reach)
        nbytes = (above - below + 1) * array.itemsize if array.size else 0
        at = self._take(nbytes, name)
        if nbytes:
            original = address + below * array.itemsize
            here.library.simt_copy(at, original, nbytes, 0)
            self._copies.append((name, at, original, nbytes))
        facts: tuple[Any, ...] = (
            (ctypes.c_int * max(1, len(shape)))(*shape),
            (ctypes.c_int64 * max(1, len(shape)))(*strides),
            ctypes.c_int(len(shape)),
        )
        self._kept.append(facts)
        self.inputs[4 * place] = at - below * array.itemsize
        for offset, fact in enumerate(facts, 1):
            self.inputs[4 * place + offset] = ctypes.addressof(fact)

    def changed(self) -> str:
        """The name of an input that the kernel has written to, or ""."""
        differ = runtime().differ
        return next((name for name, *places in self._copies if differ(*places)), "")

    def results(self) -> list[Any]:
        """The outputs as new arrays."""
        return [
            runtime().array(at, _bytes(shape, dtype), dtype, shape)
            for at, (_, shape, dtype) in zip(self.outputs, self._wanted, strict=True)
        ]


def _bytes(shape: Sequence[int], dtype: Any) -> int:
    size = int(dtype.size)
    for one in shape:
        size *= one
    return size
