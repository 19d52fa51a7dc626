# SPDX-License-Identifier: Apache-2.0
"""The builder of CUDA candidates on a machine with a GPU: nvcc, and children that open the device.

What runs on the device is what is judged and timed. What a device does not tell (races, reads past
an end that hit something, memory nobody wrote) the emulator looks for as it does without a GPU: the
checked build of ``cuda_builder.py`` is the witness, on a few small cases, once all results are
right.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kernelcoder.backends.cuda_builder import CudaBuilder, headers
from kernelcoder.backends.cuda_module_builder import is_module
from kernelcoder.backends.gpu import devices
from kernelcoder.backends.gpu.compiler import GpuCompiler
from kernelcoder.backends.gpu.devices import Device, Toolkit
from kernelcoder.backends.gpu.lease import Lease
from kernelcoder.backends.gpu.slots import GpuSlot
from kernelcoder.backends.simt.cuda_guards import check
from kernelcoder.records import Mode
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.census import Finding
from kernelcoder.verify.compile import Built
from kernelcoder.verify.slots import Child, Exit, Limits, Slot

if TYPE_CHECKING:
    from kernelcoder.verify.exam import Exam

_NULL = """#include <kernelcoder_cuda.h>
extern "C" void kernel() {}
"""
_MODULE = (
    "Python modules with load_inline run on the emulator only: set KERNELCODER_CUDA_MODE=emulated"
)
_LAUNCHES = re.compile(r"^launches: (\d{1,9})$", re.MULTILINE | re.ASCII)
_NO_LAUNCH = "no kernel was launched: the work is not done on the device"
# Seconds for nvcc at the least: it compiles for three element types.
_COMPILE_SECONDS = 90
_PATIENCE = 5  # as backends/cuda.py grants the emulator


class Compiles(Protocol):
    """What makes shared objects of ``.cu`` files for the device."""

    @property
    def version(self) -> str:
        """Of the compiler."""
        ...

    @property
    def flags(self) -> tuple[str, ...]:
        """What it is called with."""
        ...

    def build(self, source: str) -> Built:
        """One object, audited."""
        ...


class NativeCudaBuilder:
    """Implements ``verify.builder.Builder``; thread-safe. ``compiler`` is nvcc by default;
    ``preload`` a library for the slot, none on a real device."""

    backend = "cuda"
    null = _NULL
    renews = False
    mode: Mode = "native"
    text_kb = 64

    def __init__(
        self,
        options: VerifyOptions,
        cache: Path,
        device: Device,
        toolkit: Toolkit,
        compiler: Compiles | None = None,
        preload: Path | None = None,
        lease: Lease | None = None,
    ) -> None:
        seconds = max(_COMPILE_SECONDS, options.compile_timeout_seconds)
        self.device, self._toolkit = device, toolkit
        self.variables = devices.environment(device, toolkit)
        self.lease = lease or Lease(device.visible)
        self._preload = preload
        self._compiler = compiler or GpuCompiler(
            cache, seconds, toolkit, device.arch, headers(cache)
        )
        seconds = options.timeout_seconds * _PATIENCE
        slow = dataclasses.replace(options, timing=False, timeout_seconds=seconds)
        self._emulated = CudaBuilder(slow, cache, static=False)
        self._sources: dict[str, str] = {}

    @property
    def versions(self) -> Mapping[str, str]:
        """Compiler, flags, device and driver; and the emulator that looks for defects."""
        return {
            "compiler": f"nvcc {self._compiler.version}",
            "flags": " ".join(self._compiler.flags),
            "device": self.device.name,
            "driver": self.device.driver,
            "device sandbox": "Landlock to the driver's files, deny-list of system calls",
            "witness": self._emulated.versions["emulator"],
        }

    def refuse(self, source: str) -> str:
        """The static guard's sentence: the same contract as without a GPU."""
        if is_module(source):
            return _MODULE
        refusal = check(source)
        return str(refusal) if refusal else ""

    def build(self, source: str) -> Built:
        """Compile for this device, or take from the cache, and audit."""
        built = self._compiler.build(source)
        if len(self._sources) > 4096:
            self._sources.clear()
        self._sources[built.sha] = source
        return built

    def slot(self) -> Slot:
        """A slot whose children wait until nobody measures."""
        return GpuSlot(self.variables, self.lease, self._preload)

    def timing_slot(self) -> GpuSlot:
        """A slot for who holds the device alone."""
        return GpuSlot(self.variables, None, self._preload)

    def extend(self, built: Built, ended: Exit) -> Built | None:
        """All there is, is built beforehand."""
        return None

    def diagnose(self, exam: Exam, built: Built, slot: Slot, limits: Limits) -> str:
        """What the emulator's checked build sees."""
        return self._looked(exam, built, limits).refusal

    def witness(
        self, exam: Exam, child: Child, built: Built, slot: Slot, limits: Limits
    ) -> Finding:
        """End the child and read how many kernels it launched (its own word: it convicts and never
        clears); then let the emulator look for what a device does not tell."""
        counted = _LAUNCHES.findall(child.finish().stderr)
        launches = int(counted[0]) if counted else 0
        checked = {"kernels launched": launches}
        if not launches:
            return Finding(_NO_LAUNCH, (), checked)
        seen = self._looked(exam, built, limits)
        return dataclasses.replace(seen, checked={**checked, **seen.checked})

    def _looked(self, exam: Exam, built: Built, limits: Limits) -> Finding:
        with self._emulated.slot() as slot:
            wider = dataclasses.replace(limits, cpu_seconds=limits.cpu_seconds * _PATIENCE)
            return self._emulated.look(exam, slot, wider, self._sources[built.sha], Finding())
