# SPDX-License-Identifier: Apache-2.0
"""What a launch may touch, and who touched it: bounds, alignment, races, lanes that collide.

Bounds are those of the tensors passed, as far as their views reach. A lane outside them is left
out, so the run stays in one piece, and the launch is a defect.

Races are seen with a shadow: of each element, the program that wrote it last and the one that read
it last. Two programs of a launch run in no order, so an element that one writes and another reads
or writes is a race unless all of it is atomic. Writes of the value that is there already are
common and harmless: a note. So is what a program touches after an atomic operation of its own,
which may be how it knows that another is done.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernelcoder.backends.triton_interp.defects import Record
from kernelcoder.backends.triton_interp.values import Array

CANDIDATE = "kernel.py"  # what the zygote calls the candidate's file
NOBODY, ATOMIC, MANY = -1, -3, -2


@dataclass(slots=True)
class Extent:
    """One tensor argument, or several that overlap: addresses [low, high), bytes of an element."""

    low: int
    high: int
    name: str
    unit: int
    writers: Array = None
    readers: Array = None

    def shadows(self) -> tuple[Array, Array]:
        """Last writer and last reader of each element."""
        if self.writers is None:
            count = (self.high - self.low) // self.unit + 1
            self.writers = np.full(count, NOBODY, np.int32)
            self.readers = np.full(count, NOBODY, np.int32)
        return self.writers, self.readers


def line() -> int:
    """The line of the candidate's file that is being run, 0 if none is."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == CANDIDATE:
            return int(frame.f_lineno)
        frame = frame.f_back
    return 0


@dataclass(slots=True)
class Memory:
    """The tensors of the launch under way. Times of a lane's access are not kept, programs are."""

    record: Record
    kernel: str = ""
    extents: list[Extent] = field(default_factory=list)
    program: tuple[int, int, int] = (0, 0, 0)
    number: int = 0
    synchronized: bool = False
    poison: bool = False
    masked: bool = False
    lows: Array = None
    highs: Array = None

    def enter(self, kernel: str, tensors: Mapping[str, Any]) -> None:
        """A launch with these tensors by argument name begins."""
        spans = []
        for name, tensor in tensors.items():
            if tensor.numel() == 0:
                continue
            reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
            low, size = tensor.data_ptr(), tensor.element_size()
            spans.append(Extent(low, low + (1 + reach) * size, name, size))
        self.kernel, self.extents, self.masked = kernel, [], False
        for span in sorted(spans, key=lambda one: one.low):
            last = self.extents[-1] if self.extents else None
            if last is not None and span.low < last.high:
                last.high, last.unit = max(last.high, span.high), min(last.unit, span.unit)
                last.name = f"{last.name},{span.name}"
            else:
                self.extents.append(span)
        self.lows = np.array([one.low for one in self.extents], np.uint64)
        self.highs = np.array([one.high for one in self.extents], np.uint64)

    def turn(self, program: tuple[int, int, int], number: int) -> None:
        """Another program of the grid runs now."""
        self.program, self.number, self.synchronized = program, number, False

    def _facts(self, name: str) -> dict[str, object]:
        x, y, z = self.program
        found = {"line": line(), "kernel": self.kernel, "arg": name, "program": f"{x},{y},{z}"}
        return {key: value for key, value in found.items() if value}

    def checked(self, pointers: Array, mask: Array, size: int, access: str) -> Array:
        """The mask without lanes that touch nothing of ours. ``access`` is load, store or atomic;
        ``pointers`` and ``mask`` have one shape, ``size`` is in bytes."""
        mask = np.broadcast_to(mask, pointers.shape)
        flat = pointers[mask]
        if flat.size == 0:
            return mask
        if not self.extents:
            self.record.defect("bad-address", **self._facts(""))
            return np.zeros_like(mask)
        owner = np.searchsorted(self.lows, flat, side="right") - 1
        known = np.maximum(owner, 0)
        bad = (owner < 0) | (flat + np.uint64(size) > self.highs[known])
        if bad.any():
            self._outside(flat, known, bad, access)
            inside = np.array(mask)
            inside[mask] = ~bad
            mask, flat, known = inside, flat[~bad], known[~bad]
        if (flat % np.uint64(size)).any():
            facts = self._facts(self.extents[int(known[0])].name)
            self.record.defect("misaligned", **facts, size=size)
        for index in np.unique(known) if flat.size else ():
            mine = flat if len(self.extents) == 1 else flat[known == index]
            self._shadow(self.extents[int(index)], mine, size, access)
        self.synchronized |= access == "atomic"
        return mask

    def _outside(self, flat: Array, known: Array, bad: Array, access: str) -> None:
        first = int(np.argmax(bad))
        extent = self.extents[int(known[first])]
        self.record.defect(
            f"out-of-bounds-{'read' if access == 'load' else 'write'}",
            **self._facts(extent.name),
            offset=int(flat[first]) - extent.low,
            size=extent.high - extent.low,
            lanes=int(bad.sum()),
        )

    def _shadow(self, extent: Extent, flat: Array, size: int, access: str) -> None:
        at = ((flat - np.uint64(extent.low)) // np.uint64(extent.unit)).astype(np.int64)
        writers, readers = extent.shadows()
        me, written = self.number, writers[at]
        if access == "atomic":
            self._clash(extent, written)
            writers[at] = ATOMIC
            return
        if access == "load":
            self._clash(extent, written)
            seen = readers[at]
            readers[at] = np.where((seen == NOBODY) | (seen == me), me, MANY)
            return
        seen = readers[at]
        self._clash(extent, seen)
        writers[at] = me

    def _clash(self, extent: Extent, others: Array) -> None:
        """Whether another program of the launch was there before."""
        strange = (others != NOBODY) & (others != self.number) & (others != ATOMIC)
        if not self.synchronized and strange.any():
            self.record.defect("race", **self._facts(extent.name), lanes=int(strange.sum()))

    def stores(self, pointers: Array, mask: Array, values: Array, current: Array) -> None:
        """Look at a store before it is made: ``current`` is what the addresses hold. Lanes that
        meet, and what another program stored, count if the values differ."""
        flat = pointers[mask]
        if flat.size == 0:
            return
        new, old = values[mask], current[mask]
        places, first, back = np.unique(flat, return_index=True, return_inverse=True)
        if places.size != flat.size:
            differs = bool((new != new[first][back]).any())
            facts = self._facts(self._owner(int(flat[0])).name)
            if differs:
                lanes = flat.size - places.size
                self.record.defect("duplicate-write", **facts, lanes=lanes)
            else:
                self.record.note("same-value", line=line(), kernel=self.kernel)
        if self.synchronized:
            return
        for extent in self.extents:
            inside = (flat >= np.uint64(extent.low)) & (flat < np.uint64(extent.high))
            if not inside.any():
                continue
            at = ((flat[inside] - np.uint64(extent.low)) // np.uint64(extent.unit)).astype(np.int64)
            before = extent.shadows()[0][at]
            other = (before != NOBODY) & (before != self.number) & (before != ATOMIC)
            if (other & (new[inside] != old[inside])).any():
                self.record.defect("race", **self._facts(extent.name), lanes=int(other.sum()))
            elif other.any():
                self.record.note("same-value", line=line(), kernel=self.kernel)

    def _owner(self, address: int) -> Extent:
        return next(one for one in self.extents if one.low <= address < one.high)
