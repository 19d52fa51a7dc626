# SPDX-License-Identifier: Apache-2.0
"""C++ source to shared object: sandboxed, bounded, cached by content.

A compiler is an interpreter for whatever the source says: it can be made to read files, to run for
ever and to write terabytes. So it runs confined (see sandbox.py), as another user if we are root.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.errors import CannotRun
from kernelcoder.verify import leftovers, sandbox
from kernelcoder.verify.canonical import canonical
from kernelcoder.verify.shelf import Shelf
from kernelcoder.verify.symbols import Audit

FLAGS: tuple[str, ...] = ("-O3", "-march=native", "-std=c++20", "-fPIC", "-fopenmp")
MAX_SOURCE = 256 * 1024
_MAX_OBJECT = 64 << 20
_INCLUDE = "/proc/self/fd/9"  # where launch.c puts the include directory
_DIAGNOSTICS = ("-fmax-errors=8", "-ftemplate-backtrace-limit=4", "-fdiagnostics-color=never")
# One mapping less to make for each candidate where code needs no pages of its own.
_LINK = ("-z", "noexecstack", "-z", "noseparate-code")
_RECIPE = "4"  # part of the cache key: raise it when the commands below change
_READABLE = (
    "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/include", "/usr/local/include",
    "/usr/local/lib", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/proc/cpuinfo",
)  # fmt: skip
# Parsing these is 70 to 75 % of a kernel's compile; the precompiled header holds them all.
_HEAVY = re.compile(
    r"^[ \t]*#[ \t]*include[ \t]*[<\"]"
    r"(?:kernelcoder\.h|immintrin\.h|algorithm|cmath|vector|omp\.h)[>\"]",
    re.MULTILINE,
)
# Intrinsics are a quarter of what remains; few kernels use them, and these are their names.
_INTRINSIC = re.compile(r"_mm|__m|_MM|immintrin\.h")
_PLAIN = "-DKERNELCODER_PLAIN"


@dataclass(frozen=True, slots=True)
class Built:
    """One compile. ``status`` is ok, compile_error, timeout, oom or refused; ``path`` the shared
    object if ok; ``log`` the raw (untrusted) diagnostics; ``sha`` the cache key; ``audit`` what
    its symbols tell, where somebody looked (builder.py)."""

    ok: bool
    status: str
    path: Path | None
    log: str
    seconds: float
    cpu_seconds: float
    cached: bool
    sha: str
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Absolute paths of what a build runs and links."""

    cxx: str
    ld: str
    version: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    readable: tuple[str, ...]


def _ask(cxx: str, *flags: str) -> str:
    done = subprocess.run([cxx, *flags], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip()


@functools.cache
def toolchain() -> Toolchain:
    """What this machine compiles with; raises CannotRun if it cannot."""
    if reason := sandbox.supported():
        raise CannotRun(reason)
    cxx = sandbox.compiler()
    ld = _ask(cxx, "-print-prog-name=ld")
    ld = ld if Path(ld).is_absolute() else shutil.which(ld) or ""
    if not ld:
        raise CannotRun("no linker: install binutils")
    # crtbeginS.o defines __dso_handle, libgcc.a the helpers of half precision.
    begin, end = (_ask(cxx, f"-print-file-name={name}") for name in ("crtbeginS.o", "crtendS.o"))
    extra = (
        str(Path(cxx).resolve().parent.parent),
        str(Path(_ask(cxx, "-print-prog-name=cc1plus")).parent),
    )
    readable = tuple(path for path in extra if path.count("/") > 1 and path != "/usr/local")
    version = _ask(cxx, "--version").partition("\n")[0]
    after = (_ask(cxx, "-print-libgcc-file-name"), end)
    return Toolchain(cxx, ld, version, (begin,), after, (*_READABLE, *readable))


@functools.cache
def _processor() -> str:
    """What -march=native means here: objects of one machine may not run on another."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("flags", "features")):
                return f"{platform.machine()} {line}"
    return platform.machine()


class Compiler:
    """Builds candidates. Thread-safe; results lie in ``cache`` and survive the process."""

    def __init__(
        self, cache: Path, timeout_seconds: int = 30, memory_mb: int = 4096, use_cache: bool = True
    ) -> None:
        self._cache, self._shelf = cache, Shelf(cache / "objects")
        self._timeout, self._memory, self._use_cache = timeout_seconds, memory_mb, use_cache
        self._lock = threading.Lock()
        self._include: dict[bool, Path] = {}
        headers = sorted(sandbox.INCLUDE.rglob("*.h"))
        digest = hashlib.sha256()
        for part in (_RECIPE, *FLAGS, toolchain().version, _processor()):
            digest.update(part.encode() + b"\0")
        for header in headers:
            digest.update(header.name.encode() + b"\0" + header.read_bytes())
        self._key = digest.digest()
        leftovers.sweep_folders()

    @property
    def version(self) -> str:
        """The compiler's version line."""
        return toolchain().version

    def build(self, source: str) -> Built:
        """The shared object of a source, from the cache if it was built before."""
        start = time.monotonic()
        data = source.encode(errors="surrogateescape")
        sha = hashlib.sha256(self._key + data).hexdigest()
        if reason := _refuse(data):
            return Built(False, "refused", None, reason, 0.0, 0.0, False, sha)
        stem = self._cache / "objects" / sha[:2] / sha
        if self._use_cache and (known := self._lookup(stem, sha, start)):
            return known
        stem.parent.mkdir(parents=True, exist_ok=True)
        built = self._build(data, sha, stem)
        if built.status == "compile_error":
            _write(stem.with_suffix(".json"), json.dumps({"log": built.log}).encode())
        self._shelf.added()
        return built

    def _lookup(self, stem: Path, sha: str, start: float) -> Built | None:
        path = stem.with_suffix(".so")
        if self._shelf.has(path):
            return Built(True, "ok", path, "", time.monotonic() - start, 0.0, True, sha)
        with contextlib.suppress(OSError, ValueError, KeyError):
            log = json.loads(stem.with_suffix(".json").read_text())["log"]
            self._shelf.has(stem.with_suffix(".json"))
            return Built(
                False, "compile_error", None, log, time.monotonic() - start, 0.0, True, sha
            )
        return None

    def _build(self, data: bytes, sha: str, stem: Path) -> Built:
        text = data.decode(errors="replace")
        heavy, plain = bool(_HEAVY.search(text)), not _INTRINSIC.search(text)
        prelude = ["-include", "kernelcoder.h"] if heavy else []
        built = self._attempt(data, sha, stem, prelude, plain)
        if plain and built.status == "compile_error":
            # Perhaps an intrinsic with an unusual name: its author was promised all of them.
            built = self._attempt(data, sha, stem, prelude, False)
        return built

    def _attempt(self, data: bytes, sha: str, stem: Path, prelude: list[str], plain: bool) -> Built:
        tools, include = toolchain(), self.include(plain)
        prelude = [*([_PLAIN] if plain else []), f"-I{_INCLUDE}", *prelude]
        with tempfile.TemporaryDirectory(
            prefix=leftovers.owner(), ignore_cleanup_errors=True
        ) as work:
            job = Path(work)
            (job / "kernel.cpp").write_bytes(data)
            (job / "kernel.cpp").chmod(0o644)
            outcome = sandbox.confined(
                [
                    [tools.cxx, *FLAGS, *_DIAGNOSTICS, *prelude]
                    + ["-c", "kernel.cpp", "-o", "kernel.o"],
                    [tools.ld, "-shared", "--eh-frame-hdr", *_LINK, *tools.before]
                    + ["kernel.o", *tools.after, "-o", "kernel.so"],
                ],
                job, include, tools.readable, self._timeout, self._memory,
            )  # fmt: skip
            status = _status(outcome)
            path = None
            if status == "ok":
                path = stem.with_suffix(".so")
                data = _fetch(job / "kernel.so")
                _write(path, canonical(data) or data)  # what is malformed, the audit refuses
        spent = outcome.seconds, outcome.cpu_seconds
        return Built(status == "ok", status, path, outcome.log, *spent, False, sha)

    def include(self, plain: bool = False) -> Path:
        """The include directory with the precompiled header (``plain``: without intrinsics), made
        at first use."""
        with self._lock:
            if plain not in self._include:
                name = hashlib.sha256(self._key).hexdigest()[:16] + ("-plain" if plain else "")
                target = self._cache / "include" / name
                if not (target / "kernelcoder.h.gch").exists():
                    self._precompile(target, [_PLAIN] if plain else [])
                self._include[plain] = target
            return self._include[plain]

    def _precompile(self, target: Path, flags: list[str]) -> None:
        """A failure leaves the plain headers: right, only slower."""
        target.parent.mkdir(parents=True, exist_ok=True)
        leftovers.sweep_folders(target.parent)
        staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=leftovers.owner()))
        shutil.copytree(sandbox.INCLUDE, staging, dirs_exist_ok=True)
        for path in (staging, *staging.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        tools = toolchain()
        command = [tools.cxx, *FLAGS, *flags, "-x", "c++-header", f"{_INCLUDE}/kernelcoder.h"]
        command += [f"-I{_INCLUDE}", "-o", "kernelcoder.h.gch"]
        with tempfile.TemporaryDirectory(prefix=leftovers.owner()) as work:
            job = Path(work)
            outcome = sandbox.confined([command], job, staging, tools.readable, 120, 4096, 512)
            if outcome.code == 0:
                shutil.copyfile(job / "kernelcoder.h.gch", staging / "kernelcoder.h.gch")
                (staging / "kernelcoder.h.gch").chmod(0o644)
        try:
            staging.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(staging)


def _refuse(data: bytes) -> str:
    if len(data) > MAX_SOURCE:
        return f"the source has {len(data)} bytes; at most {MAX_SOURCE} are compiled"
    if b"\0" in data:
        return "the source contains a NUL byte"
    return "" if data.strip() else "the source is empty"


def _status(outcome: sandbox.Outcome) -> str:
    if outcome.code == 0:
        return "ok"
    log = outcome.log
    # 152 and 137: SIGXCPU and the SIGKILL that follows it.
    if outcome.code is None or outcome.code == 152 or "CPU time limit exceeded" in log:
        return "timeout"
    if re.search(
        r"virtual memory exhausted|out of memory|[Cc]annot allocate memory|bad_alloc", log
    ):
        return "oom"
    if outcome.code == 137 or "Killed signal terminated program" in log:
        return "oom"
    return "compile_error"


def _fetch(path: Path) -> bytes:
    """Reads what a sandboxed command left, trusting neither its kind nor its size."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _MAX_OBJECT:
            raise OSError(f"{path.name} is not a file of at most {_MAX_OBJECT} bytes")
        return file.read()


def _write(path: Path, data: bytes) -> None:
    fd, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    Path(name).chmod(0o644)
    Path(name).replace(path)


_CONTROL = re.compile(
    r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
_PATHS = re.compile(r"(?<![\w.])/(?:[\w.+-]+/)+")


def trim(log: str, limit: int = 2000) -> str:
    """The first error of a compiler log with its context: no control characters, no directories,
    at most ``limit`` characters. The text stays untrusted."""
    lines = _PATHS.sub("", _CONTROL.sub("", log)).splitlines()
    errors = [n for n, line in enumerate(lines) if re.search(r"\berror: |undefined |: fatal", line)]
    if not errors:
        return "\n".join(lines)[:limit].strip()
    first = errors[0]
    start = first
    while start and re.match(
        r"In file included|\s+from |.*: (In |At )|.*: +required", lines[start - 1]
    ):
        start -= 1
    end = errors[1] if len(errors) > 1 else len(lines)
    text = "\n".join(lines[start:end])[:limit].strip()
    more = len(errors) - 1
    return f"{text}\n({more} more error{'s' if more > 1 else ''})" if more else text
