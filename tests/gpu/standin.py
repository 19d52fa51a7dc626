# SPDX-License-Identifier: Apache-2.0
"""A machine with a GPU for tests on machines without: a library in place of CUDA's runtime and the
emulator's compiler in place of nvcc. Everything between them is the real path: slot, child,
sandbox, protocol, judge, clocks."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from kernelcoder.backends import ttir
from kernelcoder.backends.cuda_builder import CudaBuilder
from kernelcoder.backends.gpu.cuda_native import NativeCudaBuilder
from kernelcoder.backends.gpu.devices import Device, Toolkit
from kernelcoder.backends.gpu.lease import Lease
from kernelcoder.backends.gpu.triton_native import GUEST, NativeTritonBuilder
from kernelcoder.backends.simt import build as simt
from kernelcoder.backends.triton_kernels import Kernels
from kernelcoder.verify import VerifyOptions, sandbox
from kernelcoder.verify.compile import Built
from kernelcoder.verify.compile import Compiler as ObjectCompiler
from kernelcoder.verify.recipe import Recipe
from kernelcoder.verify.wants import Want

SOURCE = Path(__file__).with_name("standin.cpp")
TRITON_GUEST = Path(__file__).with_name("triton_guest_standin.py")
DEVICE = Device("a stand-in of host memory", (9, 0), "none", "0")


@functools.cache
def library() -> Path:
    """The library, built once."""
    emulator = simt.library()
    digest = hashlib.sha256(SOURCE.read_bytes() + emulator.name.encode()).hexdigest()
    target = emulator.with_name(f"standin-{digest[:16]}.so")
    if not target.exists():
        staged = target.with_suffix(f".{digest[-8:]}.tmp")
        command = [sandbox.compiler(), "-O2", "-fPIC", "-shared", f"-I{simt.INCLUDE}"]
        command += ["-DSIMT_RUNTIME", str(SOURCE), str(emulator), "-ldl", "-o", str(staged)]
        subprocess.run(command, check=True, capture_output=True)
        staged.chmod(0o755)
        staged.replace(target)
    return target


class Compiler:
    """The emulator's; ``edit`` may change each source before it is compiled."""

    version, flags = "stand-in", ("emulated",)

    def __init__(self, options: VerifyOptions, cache: Path) -> None:
        self._builder = CudaBuilder(options, cache, static=False)
        self.edit: Callable[[str], str] = str

    def build(self, source: str) -> Built:
        """Candidates of tests may call the stand-in, so what they call is not audited."""
        return dataclasses.replace(self._builder.build(self.edit(source)), audit=None)


Builder = NativeCudaBuilder


def builder(options: VerifyOptions, cache: Path, locks: Path) -> NativeCudaBuilder:
    """The native CUDA builder on the stand-in."""
    lease = Lease("standin", locks)
    return NativeCudaBuilder(
        options,
        cache,
        DEVICE,
        Toolkit(Path("nvcc"), library(), "stand-in"),
        compiler=Compiler(options, cache),
        preload=library(),
        lease=lease,
    )


class LoweredCode:
    """In place of cubins: kernels as C++ made of their TTIR."""

    target = "the processor"

    def __init__(self, options: VerifyOptions, cache: Path) -> None:
        recipe = Recipe("ttir", ttir.FLAGS, ttir.INCLUDE, ttir.HEADER)
        compiler = ObjectCompiler(cache, options.compile_timeout_seconds, recipe=recipe)
        self._kernels = Kernels(cache / "triton-standin", compiler)

    def library(self, source: str) -> bytes:
        """All that was asked for."""
        return self._kernels.of(source).library

    def tail(self, source: str) -> str:
        """Nothing."""
        return ""

    def add(self, source: str, wanted: Sequence[Want]) -> str | None:
        """Lower and compile."""
        texts = [one.text for one in wanted if one.kind == "ttir"]
        return "" if self._kernels.add(source, texts) else None

    def close(self) -> None:
        """There is nothing to end."""


def triton_builder(options: VerifyOptions, cache: Path, locks: Path) -> NativeTritonBuilder:
    """The native Triton builder on the stand-in."""
    made = NativeTritonBuilder(
        options, cache, DEVICE, Lease("standin", locks), LoweredCode(options, cache), TRITON_GUEST
    )
    made.variables["KC_STANDIN_NATIVE"] = str(GUEST)
    return made
