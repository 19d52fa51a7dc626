# SPDX-License-Identifier: Apache-2.0
"""What NVIDIA's own compiler says of a CUDA candidate, where it is installed; it needs no GPU.

It settles what our headers take too freely, and tells registers, spills and shared memory, from
which follows how many threads a multiprocessor holds at a time.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from kernelcoder.verify import leftovers, sandbox
from kernelcoder.verify.compile import trim
from kernelcoder.verify.toolchain import toolchain

ABSENT = "nvcc was not found: that NVIDIA's compiler takes it was not tried"
ARCHITECTURES = ("sm_80", "sm_90")
FLAGS = ("-std=c++17", "-O3", "--expt-relaxed-constexpr", "-cubin", "-Xptxas", "-v")
_OURS = ("kernelcoder_cuda.h", "dlpack/dlpack.h")
_MEMORY_MB, _FILE_MB, _SHOWN = 4096, 64, 4
_ENTRY = re.compile(
    r"Compiling entry function '(?P<symbol>\w+)' for '(?P<arch>sm_\d+)'.*?"
    r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)
_SHARED = re.compile(r"(\d+) bytes smem")
_PLACE = re.compile(r"kernel\.cu\((\d{1,7})\)")
_ERROR = re.compile(r"\berror\b|ptxas fatal", re.IGNORECASE)

# Of one multiprocessor: registers, threads, blocks, bytes of shared memory, of which one block
# takes 1 KiB for itself (CUDA C++ Programming Guide, technical specifications per compute
# capability; registers come in 256 to a warp).
_LIMITS = {"sm_80": (65536, 2048, 32, 164 << 10), "sm_90": (65536, 2048, 32, 228 << 10)}
_REGISTERS_AT_ONCE, _RESERVED, _WARP = 256, 1024, 32
BLOCK = 256  # threads of the block that occupancy is told for


@dataclass(frozen=True, slots=True)
class Kernel:
    """One compiled instance: its name without parameters, bytes of spills (stores and loads) and of
    static shared memory, registers per thread."""

    name: str
    arch: str
    registers: int
    spills: int
    shared: int


@dataclass(frozen=True, slots=True)
class Seen:
    """``problem`` is a compile error in one line, or ""; ``evidence`` sentences for the verdict."""

    problem: str
    evidence: tuple[str, ...]


@functools.cache
def found() -> str:
    """Absolute path of nvcc itself, "" where there is none that runs."""
    named = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    real = Path(named).resolve()
    if not real.is_file():
        return ""
    if inner := _wrapped(real):
        real = inner
    return str(real) if (real.parent / "cudafe++").exists() else ""


def _wrapped(script: Path) -> Path | None:
    """The nvcc that a small script on the path calls."""
    with script.open("rb") as file:
        text = file.read(4096).decode(errors="replace")
    if not text.startswith("#!"):
        return None
    paths = [Path(one) for one in re.findall(r"/[\w./+-]+/nvcc\b", text)]
    return next((one.resolve() for one in paths if one.is_file()), None)


@functools.cache
def version() -> str:
    """The release nvcc names, "" without nvcc."""
    if not found():
        return ""
    asked = [found(), "--version"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    match = re.search(r"release [\d.]+, V([\d.]+)", done.stdout)
    return match[1] if match else "unknown"


def occupancy(registers: int, shared: int, block: int = BLOCK, arch: str = "sm_90") -> float:
    """Share of a multiprocessor's threads that blocks of ``block`` threads can fill, by registers
    per thread, bytes of shared memory per block and the limits on blocks and threads (CUDA C++ Best
    Practices Guide, "Occupancy")."""
    file, threads, blocks, memory = _LIMITS[arch]
    warps = -(-block // _WARP)
    per_warp = -(-registers * _WARP // _REGISTERS_AT_ONCE) * _REGISTERS_AT_ONCE
    fits = min(
        blocks,
        threads // (warps * _WARP),
        (file // per_warp) // warps if per_warp else blocks,
        memory // (shared + _RESERVED),
    )
    return fits * warps * _WARP / threads


def read(log: str) -> tuple[Kernel, ...]:
    """The kernels in what ``ptxas -v`` prints."""
    kernels = []
    for match in _ENTRY.finditer(log):
        shared = _SHARED.search(match["rest"])
        kernels.append(
            Kernel(
                _plain(match["symbol"]),
                match["arch"],
                int(match["registers"]),
                int(match["stores"]) + int(match["loads"]),
                int(shared[1]) if shared else 0,
            )
        )
    return tuple(kernels)


def _plain(symbol: str) -> str:
    """The last plain name of a mangled one, with what tells instances apart left out."""
    rest = symbol.removeprefix("_Z")
    nested = rest.startswith("N")
    rest, name = rest.lstrip("NL"), ""
    while match := re.match(r"(\d{1,3})", rest):
        end = match.end() + int(match[1])
        name, rest = rest[match.end() : end], rest[end:]
        if not nested:
            break
    return name or symbol


class StaticCheck:
    """Compiles candidates with nvcc in the compile sandbox; results lie in ``cache``. Thread-safe.
    ``include`` is a directory that holds our helper header, ``compiler`` the path of nvcc, "" for
    none."""

    def __init__(
        self, cache: Path, include: Path, seconds: int, compiler: str | None = None
    ) -> None:
        self._cache, self._seconds = cache, seconds
        self._compiler = found() if compiler is None else compiler
        self.version = version() if self._compiler else "none"
        self._include = cache / "headers" / f"nvcc-{include.name}"
        for name in _OURS:
            target = self._include / name
            if self._compiler and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(include / name, target)

    def look(self, source: str) -> Seen:
        """Compile for each architecture; the first error is the problem."""
        if not self._compiler:
            return Seen("", (ABSENT,))
        key = " ".join((self.version, *FLAGS, *ARCHITECTURES, self._include.name, "\0", source))
        name = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
        path = self._cache / "nvcc" / name[:2] / f"{name}.json"
        try:
            return _restored(path.read_text())
        except (OSError, ValueError, TypeError, KeyError):
            pass
        seen, kernels = self._compile(source)
        if seen.problem or kernels:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = {"problem": seen.problem, "kernels": [asdict(one) for one in kernels]}
            staged = path.with_suffix(f".{name[-8:]}.tmp")
            staged.write_text(json.dumps(kept))
            staged.replace(path)
        return seen

    def _compile(self, source: str) -> tuple[Seen, tuple[Kernel, ...]]:
        kernels: tuple[Kernel, ...] = ()
        for arch in ARCHITECTURES:
            outcome = self._run(source, arch)
            if outcome.code != 0:
                log = trim(_PLACE.sub(r"kernel.cu:\1", outcome.log), 600)
                if outcome.code is None or not _ERROR.search(outcome.log):
                    return Seen("", (f"nvcc did not finish for {arch}: not judged by it",)), ()
                line = next((one for one in log.splitlines() if _ERROR.search(one)), log)
                return Seen(f"nvcc refuses it for {arch}: {line[:300]}", ()), ()
            kernels += read(outcome.log)
        return Seen("", _told(kernels)), kernels

    def _run(self, source: str, arch: str) -> sandbox.Outcome:
        root = Path(self._compiler).parent.parent
        with tempfile.TemporaryDirectory(prefix=leftovers.owner()) as work:
            job = Path(work)
            (job / "kernel.cu").write_bytes(source.encode(errors="surrogateescape"))
            (job / "kernel.cu").chmod(0o644)
            tools = str(Path(toolchain().cxx).resolve())
            command = [
                self._compiler,
                *FLAGS,
                f"-arch={arch}",
                "-ccbin",
                tools,
                "-I/proc/self/fd/9",
            ]
            command += ["kernel.cu", "-o", "kernel.cubin"]
            readable = (*toolchain().readable, str(root))
            return sandbox.confined(
                [command], job, self._include, readable, self._seconds, _MEMORY_MB, _FILE_MB
            )


def _restored(text: str) -> Seen:
    kept = json.loads(text)
    return Seen(str(kept["problem"]), _told(tuple(Kernel(**one) for one in kept["kernels"])))


def _told(kernels: tuple[Kernel, ...]) -> tuple[str, ...]:
    """One sentence per kernel (its hungriest instance, for the newest architecture) and one that
    sums up."""
    newest = [one for one in kernels if one.arch == ARCHITECTURES[-1]]
    hungriest: dict[str, Kernel] = {}
    for one in newest:
        known = hungriest.get(one.name)
        if known is None or (one.spills, one.registers) > (known.spills, known.registers):
            hungriest[one.name] = one
    told = [f"nvcc {version()} compiles it for {' and '.join(ARCHITECTURES)}"]
    for one in list(hungriest.values())[:_SHOWN]:
        share = occupancy(one.registers, one.shared, arch=one.arch)
        spills = f"{one.spills} bytes of spills" if one.spills else "no spills"
        told.append(
            f"{one.name} on {one.arch}: {one.registers} registers, {spills}, {one.shared} bytes of "
            f"static shared memory; blocks of {BLOCK} threads fill {100 * share:.0f} % of a "
            "multiprocessor"
        )
    return tuple(told)
