# SPDX-License-Identifier: Apache-2.0
"""A ``.cu`` file to a shared object by nvcc: in the compile sandbox, kept by content.

The object is linked without libraries, like every candidate's: CUDA's runtime is in the child
already, and what of it a kernel may call is decided by the audit of its symbols.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from kernelcoder.backends.gpu.devices import Toolkit
from kernelcoder.verify import elf, sandbox, symbols
from kernelcoder.verify.compile import Built, Compiler
from kernelcoder.verify.recipe import Recipe
from kernelcoder.verify.symbols import Audit
from kernelcoder.verify.toolchain import toolchain

FLAGS: tuple[str, ...] = ("-std=c++17", "-O3", "--expt-relaxed-constexpr", "-Xcompiler", "-fPIC")
_HEADERS = ("kernelcoder_cuda.h", "dlpack/dlpack.h")
_PLACE = re.compile(r"kernel\.cpp\((\d{1,7})\)")
_MEMORY_MB = 6144
# What a kernel has no business with in CUDA's own runtime, and why; first match counts.
_FORBIDDEN = tuple(
    (re.compile(f"(?:{names})(?:_v\\d+|_ptsz|_ptds)*$"), reason)
    for names, reason in (
        (
            r"cudaHost(?:Alloc|Register|Unregister|Get\w+)|cudaMallocHost|cudaMallocManaged"
            r"|__cudaRegisterManagedVar",
            "memory that host and device share is not taken: the work is done on the device",
        ),
        (r"cudaIpc\w+|cudaImport\w+|cuda\w*External\w+|cuda\w*Peer\w*",
         "a kernel shares no memory with others"),
        (r"cudaGraph\w+|cudaStream\w*Capture\w*", "CUDA graphs are not taken"),
        (r"cudaLaunchHostFunc\w*|cudaStreamAddCallback|cudaUserObject\w+|cudaThreadExchange\w+",
         "the host does nothing while kernels run"),
        (r"cudaDevice(?:Reset|Set\w+)|cudaSetDevice\w*|cudaInitDevice|cudaThread\w+",
         "the device is the harness's to set up"),
        (r"cudaProfiler\w+|cudaGetDriverEntryPoint\w*|__cudaGetProcAddress|cudaLibrary\w+"
         r"|cudaGetExportTable|cudaGetFuncBySymbol|cudaMemPool(?:Export|Import)\w+",
         "a kernel calls CUDA by its own names only"),
        (r"cudaEventElapsedTime", "a kernel has no use for a clock of the device"),
    )
)  # fmt: skip
_OURS = frozenset({"atexit"})  # native/cuda.c: nvcc's objects call it, and libc has no such name
_INITIALIZER = "runs code when it is loaded (1 initializer)"  # the registration of kernels


class GpuCompiler:
    """Builds candidates for one architecture (as nvcc names it); thread-safe. ``include`` is a
    directory that holds our helper header."""

    def __init__(
        self, cache: Path, seconds: int, toolkit: Toolkit, arch: str, include: Path
    ) -> None:
        self._toolkit = toolkit
        self.version, self.flags = toolkit.version, (*FLAGS, f"-arch={arch}")
        root = str(toolkit.nvcc.parent.parent)
        recipe = Recipe(
            f"cuda-{arch}-{toolkit.version}",
            self.flags,
            _own(cache, include),
            readable=(root,),
        )
        self._compiler = _Nvcc(toolkit.nvcc, cache, seconds, recipe)

    def build(self, source: str) -> Built:
        """Compile, or take from the cache, and audit what came out."""
        built = self._compiler.build(source)
        if built.path is None:
            return dataclasses.replace(built, log=_PLACE.sub(r"kernel.cu:\1", built.log))
        data = built.path.read_bytes()
        audit = audited(data, runtime_names(self._toolkit.runtime))
        return dataclasses.replace(built, audit=audit)


class _Nvcc(Compiler):
    """The compile service with nvcc in place of g++, which it calls for host code."""

    def __init__(self, nvcc: Path, cache: Path, seconds: int, recipe: Recipe) -> None:
        self._nvcc = nvcc
        super().__init__(cache, seconds, _MEMORY_MB, recipe=recipe)

    def _compiling(self, prelude: Sequence[str]) -> list[str]:
        host = str(Path(toolchain().cxx).resolve())
        # nvcc gives it a PATH of its own, in which there is no assembler.
        tools = f"-B{Path(toolchain().ld).parent}"
        command = [str(self._nvcc), *self._recipe.flags, "-ccbin", host, "-Xcompiler", tools]
        return [*command, "-I/proc/self/fd/9", "-x", "cu", "-c", "kernel.cpp", "-o", "kernel.o"]


def _own(cache: Path, include: Path) -> Path:
    """A directory with our own headers alone: CUDA's are nvcc's."""
    target = cache / "headers" / f"nvcc-{include.name}"
    for name in _HEADERS:
        if not (target / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(include / name, target / name)
    return target


@functools.cache
def runtime_names(library: Path) -> frozenset[str]:
    """What CUDA's runtime library defines."""
    image = elf.read(library.read_bytes())
    return frozenset(one.name for one in image.symbols if one.defined and "cuda" in one.name)


def audited(data: bytes, lent: frozenset[str]) -> Audit:
    """As of any candidate; CUDA's runtime is lent to it, but for what no kernel needs."""
    audit = symbols.audit(data, lent=lent | _OURS)
    if audit.status is not None:
        return audit
    for symbol in elf.read(data).symbols:
        if symbol.defined:
            continue
        for pattern, reason in _FORBIDDEN:
            if pattern.match(symbol.name):
                return Audit("refused", f"it uses `{symbol.name}`: {reason}", audit.symbols)
    evidence = tuple(line for line in audit.evidence if line != _INITIALIZER)
    return dataclasses.replace(audit, evidence=evidence)


def supported(toolkit: Toolkit) -> str:
    """Empty where candidates can be compiled at all, else why not."""
    if reason := sandbox.supported():
        return reason
    try:
        names = runtime_names(toolkit.runtime)
    except (OSError, elf.Malformed) as problem:
        return f"CUDA's runtime library cannot be read: {problem}"
    return "" if "cudaLaunchKernel" in names else "CUDA's runtime library has no cudaLaunchKernel"
