# SPDX-License-Identifier: Apache-2.0
"""Measures the machine's roofs through the same slots, clocks and flags as candidates."""

from __future__ import annotations

import contextlib
import platform
from pathlib import Path

import torch

from kernelcoder.verify.compile import FLAGS, Compiler
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.roofline import COPY_SOURCE, PEAK_ROUNDS, PEAK_SOURCE, READ_SOURCE
from kernelcoder.verify.slots import Limits, Slot

_WINDOWS = 15
_CALLS = 4
_SOURCES = {"copy": COPY_SOURCE, "read": READ_SOURCE, "peak": PEAK_SOURCE}
# Bytes moved per element of x: read and written, or only read.
_TRAFFIC = {"copy": 8, "read": 4}
_LIMITS = Limits(memory_mb=4096, cpu_seconds=300)


def machine_key(compiler: Compiler) -> str:
    """Processor, compiler and flags: what a measured roof is valid for."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        model = next(names, model)
    return " | ".join((model, compiler.version, " ".join(FLAGS)))


class Probe:
    """Best bytes/s of streaming over ``size`` bytes in all, or best flop/s in registers."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler

    def measure(self, kind: str, size: int) -> float:
        """``copy`` and ``read`` give bytes per second, ``peak`` float32 operations per second."""
        calls = 1 if kind == "peak" else _CALLS
        n = 16 if kind == "peak" else max(size // (_TRAFFIC[kind] * calls), 16)
        # Copies with plain and with streaming stores: whichever is faster is the roof.
        variants = {"copy": (0.0, 1.0), "read": (0.0,), "peak": (float(PEAK_ROUNDS),)}[kind]
        return max(self._best(kind, calls, n, scalar) for scalar in variants)

    def _best(self, kind: str, calls: int, n: int, scalar: float) -> float:
        built = self._compiler.build(_SOURCES[kind])
        if built.path is None:
            raise RuntimeError(f"the roofline kernel does not compile: {built.log}")
        out = ((16,) if kind == "read" else (n,), "f32")
        x = torch.full((n,), 0.5)
        with (
            Regions([Call((x,), (out,), (scalar,)) for _ in range(calls)]) as regions,
            Slot(threads=1) as slot,
        ):
            child = slot.start(built.path, regions, _LIMITS)
            child.loaded(30.0)
            windows = [
                child.run(0, calls, touch=True, timeout=60.0, prepare=_nothing)
                for _ in range(_WINDOWS)
            ]
            width = float(regions.output(0)[1])
            child.finish()
        seconds = max(min(window.cpu_ns for window in windows), 1) * 1e-9
        if kind == "peak":
            return 2.0 * 12 * width * PEAK_ROUNDS / seconds
        return float(_TRAFFIC[kind] * n * calls) / seconds


def _nothing() -> None:
    """Prepares a timed run whose inputs stay as they are."""
