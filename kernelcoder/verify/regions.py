# SPDX-License-Identifier: Apache-2.0
"""Shared memory between judge and child: inputs it can only read, outputs between guard pages.

Both regions are anonymous files. The input file is sealed against future writable mappings: the
judge keeps the only one. In both, each tensor has pages of its own and everything between is a
hole that the child maps without access, so a step over the edge is a fault, not a silent read.
"""

from __future__ import annotations

import ctypes
import fcntl
import itertools
import mmap
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from kernelcoder.verify import loops

PAGE = 4096
GUARD = 1 << 16  # bytes without access between tensors; protocol.h's NEAR says the same
MAX_TENSORS, MAX_SCALARS, MAX_DIMS = 8, 4, 8
MAGIC = 0x31726564726F434B

_HEADER = struct.Struct("<QII")
_CALL = struct.Struct("<IIII4d")
_TENSOR = struct.Struct("<QQiBBH8q8q")
_BLOCK = 512  # bytes in a unit of st_blocks
_PLACE = ctypes.sizeof(loops.Place)
_SEAL_FUTURE_WRITE = 0x10  # Linux 5.1; the fcntl module does not name it

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_CODES = {"f32": (2, 32), "f16": (2, 16), "bf16": (4, 16)}  # DLDataType code and bits
_ITEM = {"f32": 4, "f16": 2, "bf16": 2}
_BITS = {"f32": torch.int32, "f16": torch.int16, "bf16": torch.int16}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a kernel.

    ``inputs`` are CPU tensors of one of three float types with any strides; ``outputs`` are
    (shape, dtype) pairs. ``flush`` says which edge of a tensor is tight: with ``"start"`` it
    begins at a page (plus the input's own misalignment to 64 bytes), with ``"end"`` its last byte
    is the last before a guard page.
    """

    inputs: tuple[torch.Tensor, ...]
    outputs: tuple[tuple[tuple[int, ...], str], ...]
    scalars: tuple[float, ...] = ()
    flush: Literal["start", "end"] = "start"

    def __post_init__(self) -> None:
        if len(self.inputs) + len(self.outputs) > MAX_TENSORS or len(self.scalars) > MAX_SCALARS:
            raise ValueError(f"a call has at most {MAX_TENSORS} tensors and {MAX_SCALARS} scalars")
        if self.flush not in ("start", "end"):
            raise ValueError(f"flush is start or end, not {self.flush!r}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies: ``offset`` and ``bytes`` in the ``in`` or ``out`` region, strides in
    elements, ``first`` and ``last`` the bounds of its pages."""

    region: Literal["in", "out"]
    offset: int
    bytes: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    first: int
    last: int


def _up(n: int, to: int) -> int:
    return -(-n // to) * to


def extent(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Elements from the first to the last one addressed; 0 if the tensor is empty."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


def _row_major(shape: Sequence[int]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


class _Layout:
    """Hands out pages of one region, guards between."""

    def __init__(self, region: Literal["in", "out"], start: int) -> None:
        self.region: Literal["in", "out"] = region
        self.cursor = _up(start, PAGE) + GUARD

    def place(
        self, shape: Sequence[int], strides: Sequence[int], dtype: str, skew: int, flush: str
    ) -> Place:
        if len(shape) > MAX_DIMS:
            raise ValueError(f"a tensor has at most {MAX_DIMS} dimensions")
        size = extent(shape, strides) * _ITEM[dtype]
        first = self.cursor
        last = first + (_up(skew + size, PAGE) if size else 0)
        offset = last - size if flush == "end" else first + (skew if size else 0)
        self.cursor = last + GUARD
        return Place(self.region, offset, size, tuple(shape), tuple(strides), dtype, first, last)


class Regions:
    """The two regions of one candidate's calls, filled with the calls' inputs and poison.

    ``in_fd`` and ``out_fd`` may be handed to another process. Views returned by ``output`` and
    ``input`` are valid until ``close``; a closed region's memory goes with its last view.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = tuple(calls)
        self._places: list[tuple[Place, ...]] = []
        inputs = _Layout("in", _HEADER.size + len(calls) * self._record_size())
        outputs = _Layout("out", 0)
        for call in self.calls:
            self._places.append(self._place(call, inputs, outputs))
        self.in_bytes, self.out_bytes = _up(inputs.cursor, PAGE), _up(outputs.cursor, PAGE)
        self.in_fd, self._in_map = self._region("kernelcoder-in", self.in_bytes, sealed=True)
        self.out_fd, self._out_map = self._region("kernelcoder-out", self.out_bytes, sealed=False)
        self._in = torch.frombuffer(self._in_map, dtype=torch.uint8)
        self._out = torch.frombuffer(self._out_map, dtype=torch.uint8)
        self._at: dict[str, int] = {"in": self._in.data_ptr(), "out": self._out.data_ptr()}
        outs = [[place for place in places if place.region == "out"] for places in self._places]
        self._spans = [0]
        for group in outs:
            self._spans.append(self._spans[-1] + len(group))
        flat = [place for group in outs for place in group]
        self._table = (loops.Place * len(flat))(
            *(loops.Place(place.first, place.last, place.offset, place.bytes) for place in flat)
        )
        self._table_at = ctypes.addressof(self._table)
        self._pages = sum(place.last - place.first for place in flat)
        self._canaries = bytearray(len(self.calls))
        self._write_header()
        for index, call in enumerate(self.calls):
            for position, tensor in enumerate(call.inputs):
                self.refresh(index, position, tensor)
        self.poison(0xA5)

    @staticmethod
    def _record_size() -> int:
        return _CALL.size + MAX_TENSORS * _TENSOR.size

    @staticmethod
    def _place(call: Call, inputs: _Layout, outputs: _Layout) -> tuple[Place, ...]:
        places = []
        for tensor in call.inputs:
            dtype = _NAMES[tensor.dtype]
            skew = tensor.storage_offset() * _ITEM[dtype] % 64
            places.append(inputs.place(tensor.shape, tensor.stride(), dtype, skew, call.flush))
        for shape, dtype in call.outputs:
            places.append(outputs.place(shape, _row_major(shape), dtype, 0, call.flush))
        return tuple(places)

    @staticmethod
    def _region(name: str, size: int, sealed: bool) -> tuple[int, mmap.mmap]:
        fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        mapping = mmap.mmap(fd, size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
        # Our writable mapping exists already; after this nobody can make another.
        seals |= _SEAL_FUTURE_WRITE if sealed else 0
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals | fcntl.F_SEAL_SEAL)
        return fd, mapping

    def _write_header(self) -> None:
        parts = [_HEADER.pack(MAGIC, len(self.calls), 0)]
        for call, places in zip(self.calls, self._places, strict=True):
            scalars = [*call.scalars, *[0.0] * (MAX_SCALARS - len(call.scalars))]
            counts = len(call.inputs), len(call.outputs), len(call.scalars), 0
            parts.append(_CALL.pack(*counts, *scalars))
            for place in places:
                dims = len(place.shape)
                pad = [0] * (MAX_DIMS - dims)
                numbers = [*place.shape, *pad, *place.strides, *pad]
                code, bits = _CODES[place.dtype]
                parts.append(_TENSOR.pack(place.offset, place.bytes, dims, code, bits, 1, *numbers))
            parts.append(bytes(_TENSOR.size * (MAX_TENSORS - len(places))))
        header = b"".join(parts)
        self._in_map[: len(header)] = header

    def _flat(self, place: Place) -> torch.Tensor:
        if place.bytes == 0:
            return torch.empty(0, dtype=DTYPES[place.dtype])
        base = self._in if place.region == "in" else self._out
        return base[place.offset : place.offset + place.bytes].view(DTYPES[place.dtype])

    def _view(self, place: Place) -> torch.Tensor:
        flat = self._flat(place)
        if place.bytes == 0:
            return flat.reshape(place.shape)
        return flat.as_strided(place.shape, place.strides, flat.storage_offset())

    def address(self, region: Literal["in", "out"]) -> int:
        """Where a region starts in the judge's own mapping."""
        return self._at[region]

    def _span(self, calls: range) -> tuple[int, int]:
        """Address and number of the table's entries for the outputs of some calls."""
        first, last = self._spans[calls.start], self._spans[calls.stop]
        return self._table_at + first * _PLACE, last - first

    def poison(self, byte: int, calls: range | None = None) -> None:
        """Fills every output (of ``calls``) with ``byte``, the rest of its pages with its
        complement."""
        calls = range(len(self.calls)) if calls is None else calls
        loops.library().kc_poison(self._at["out"], *self._span(calls), byte)
        self._canaries[calls.start : calls.stop] = bytes([byte ^ 0xFF]) * len(calls)

    def scrub(self) -> None:
        """Wipes the output memory, poisoned as before: no page of it may carry a message to the
        next child, neither an output nor a gap between them, which a child may open for itself. An
        opened gap shows as memory the outputs do not account for; then all of it is given back."""
        self._poison_again()
        if os.fstat(self.out_fd).st_blocks * _BLOCK != self._pages:
            self._out_map.madvise(mmap.MADV_REMOVE)
            self._poison_again()

    def _poison_again(self) -> None:
        start = 0
        for canary, group in itertools.groupby(bytes(self._canaries)):
            stop = start + len(list(group))
            self.poison(canary ^ 0xFF, range(start, stop))
            start = stop

    def output(self, call: int, index: int = 0) -> torch.Tensor:
        """Contiguous view of an output in the judge's mapping."""
        return self._view(self._places[call][len(self.calls[call].inputs) + index])

    def input(self, call: int, index: int) -> torch.Tensor:
        """Writable view of an input, strided as the child sees it."""
        return self._view(self._places[call][index])

    def refresh(self, call: int, index: int, tensor: torch.Tensor) -> None:
        """Copies a tensor of the same strides into an input, with whatever lies in its gaps."""
        place = self._places[call][index]
        if place.bytes:
            flat = (place.bytes // _ITEM[place.dtype],)
            source = tensor.detach().as_strided(flat, (1,), tensor.storage_offset())
            self._flat(place).copy_(source)

    def canaries_intact(self, calls: int | range) -> bool:
        """Whether the bytes around the outputs of a call, or of calls that were poisoned alike,
        are as ``poison`` left them."""
        group = range(calls, calls + 1) if isinstance(calls, int) else calls
        canary = self._canaries[group.start]
        return bool(loops.library().kc_intact(self._at["out"], *self._span(group), canary))

    def inputs_intact(self, call: int, expected: Sequence[torch.Tensor] | None = None) -> bool:
        """Whether the call's inputs are bit for bit ``expected`` (default: what it was made of).

        True by construction while the seal holds; a check of the seal, not of the candidate."""
        wanted = self.calls[call].inputs if expected is None else expected
        for index, tensor in enumerate(wanted):
            place = self._places[call][index]
            bits = _BITS[place.dtype]
            if place.bytes and not torch.equal(self._view(place).view(bits), tensor.view(bits)):
                return False
        return True

    def offsets(self, call: int) -> tuple[Place, ...]:
        """Places of the call's inputs, then outputs, for a trusted process that maps the same
        descriptors."""
        return self._places[call]

    def close(self) -> None:
        """Gives back the descriptors and, once no view is left, the memory."""
        if self.in_fd < 0:
            return
        os.close(self.in_fd)
        os.close(self.out_fd)
        self.in_fd = self.out_fd = -1
        del self._in, self._out, self._in_map, self._out_map

    def __enter__(self) -> Regions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
