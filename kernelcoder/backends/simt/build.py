# SPDX-License-Identifier: Apache-2.0
"""The emulation runtime, built once per machine, and how kernels are compiled for it.

``library()`` is to be preloaded into the process that forks candidates (``LD_PRELOAD`` or a global
``dlopen``), so that its thread state is in place before the sandbox is.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import subprocess
import tempfile
from pathlib import Path

from kernelcoder import paths
from kernelcoder.errors import CannotRun
from kernelcoder.verify import leftovers, sandbox

HERE = Path(__file__).resolve().parent
INCLUDE = HERE / "include"
RUNTIME = HERE / "runtime"
_EXPORTS = RUNTIME / "exports.map"
_FLAGS = (
    "-std=c++17", "-O2", "-fPIC", "-shared", "-fno-exceptions", "-pthread", "-DSIMT_RUNTIME",
)  # fmt: skip

# Line tables of version 4 hold the names of files themselves (runtime/lines.cpp reads them).
# -fstack-clash-protection: a large local array must touch the guard page, not jump over it.
# Without unique symbols an object is nothing but itself when it is loaded a second time.
KERNEL_FLAGS: tuple[str, ...] = (
    "-O1", "-g1", "-gdwarf-4", "-fPIC", "-fstack-clash-protection", "-fno-gnu-unique",
    "-fno-strict-aliasing",
)  # fmt: skip
# Instrumentation only: nothing is linked, the runtime defines the callbacks.
CHECKED_FLAGS: tuple[str, ...] = (
    "-fsanitize=thread",
    "-fsanitize=alignment,bounds,shift,integer-divide-by-zero,signed-integer-overflow",
    "-fsanitize=float-cast-overflow",
)
# ``include`` is where the compile sandbox shows the include directory (verify/compile.py).
LINE_TABLE = "simt/lines.ld"
# What the runtime reads of the slot's environment (runtime/launch.cpp).
SEED, THREADS, ORDER, POISON = "SIMT_SEED", "SIMT_THREADS", "SIMT_ORDER", "SIMT_POISON"


def link_flags(include: str) -> tuple[str, ...]:
    """Flags for ``ld`` that keep the line table where the runtime finds it."""
    return ("-T", f"{include}/{LINE_TABLE}")


@functools.cache
def library() -> Path:
    """``libsimt.so``, built at first use; raises CannotRun.

    Named by the hash of its sources, so an edit builds a new one and old ones may be deleted."""
    if reason := sandbox.supported():
        raise CannotRun(reason)
    sources = sorted((*RUNTIME.iterdir(), INCLUDE / "simt" / "rt.h"))
    digest = hashlib.sha256(f"{platform.machine()} {' '.join(_FLAGS)}".encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    target = paths.cache() / "native" / f"libsimt-{digest.hexdigest()[:16]}.so"
    if not target.exists():
        _build([str(source) for source in sources if source.suffix == ".cpp"], target)
    return target


def _build(sources: list[str], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    leftovers.sweep_folders(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=leftovers.owner()) as work:
        built = Path(work) / "libsimt.so"
        command = [sandbox.compiler(), *_FLAGS, f"-I{INCLUDE}", f"-Wl,--version-script={_EXPORTS}"]
        command += ["-o", str(built), *sources]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise CannotRun(f"building the SIMT runtime failed: {done.stderr.strip()[-1000:]}")
        built.chmod(0o755)
        built.replace(target)  # atomic: a second builder replaces it by the same bytes


@functools.cache
def exports() -> frozenset[str]:
    """Names of the runtime that kernels may use: its own and the sanitizers' callbacks."""
    from kernelcoder.verify import elf

    image = elf.read(library().read_bytes())
    kept = ("simt_", "__tsan_", "__ubsan_")
    return frozenset(
        symbol.name for symbol in image.symbols if symbol.defined and symbol.name.startswith(kept)
    )
