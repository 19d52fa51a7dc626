# SPDX-License-Identifier: Apache-2.0
"""C++ source to shared object: sandboxed, bounded, cached by content.

A compiler is an interpreter for whatever the source says: it can be made to read files, to run for
ever and to write terabytes. So it runs confined (see sandbox.py), as another user if we are root.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.verify import leftovers, sandbox
from kernelcoder.verify.canonical import canonical
from kernelcoder.verify.recipe import CPU, FLAGS, Recipe
from kernelcoder.verify.shelf import Shelf
from kernelcoder.verify.symbols import Audit
from kernelcoder.verify.toolchain import processor, toolchain

__all__ = ["FLAGS", "MAX_SOURCE", "Built", "Compiler", "trim"]

MAX_SOURCE = 256 * 1024
_MAX_OBJECT = 64 << 20
_INCLUDE = "/proc/self/fd/9"  # where launch.c puts the include directory
_DIAGNOSTICS = ("-fmax-errors=8", "-ftemplate-backtrace-limit=4", "-fdiagnostics-color=never")
# One mapping less to make for each candidate where code needs no pages of its own.
_LINK = ("-z", "noexecstack", "-z", "noseparate-code")
_RECIPE = "4"  # part of the cache key: raise it when the commands below change
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


class Compiler:
    """Builds candidates. Thread-safe; results lie in ``cache`` and survive the process."""

    def __init__(
        self,
        cache: Path,
        timeout_seconds: int = 30,
        memory_mb: int = 4096,
        use_cache: bool = True,
        recipe: Recipe = CPU,
    ) -> None:
        self._cache, self._shelf, self._recipe = cache, Shelf(cache / "objects"), recipe
        self._timeout, self._memory, self._use_cache = timeout_seconds, memory_mb, use_cache
        self._lock = threading.Lock()
        self._include: dict[bool, Path] = {}
        headers = sorted(path for path in recipe.include.rglob("*") if path.is_file())
        digest = hashlib.sha256()
        known = (_RECIPE, recipe.name, recipe.header, *recipe.flags, *recipe.link)
        for part in (*known, toolchain().version, processor()):
            digest.update(part.encode() + b"\0")
        for header in headers:
            digest.update(str(header.relative_to(recipe.include)).encode() + b"\0")
            digest.update(header.read_bytes())
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
        stem = self._cache / f"objects/{sha[:2]}/{sha}"
        if self._use_cache and (known := self._lookup(stem, sha, start)):
            return known
        stem.parent.mkdir(parents=True, exist_ok=True)
        built = self._build(data, sha, stem)
        if built.status == "compile_error":
            _write(stem.with_suffix(".json"), json.dumps({"log": built.log}).encode())
        self._shelf.added()
        return built

    def _lookup(self, stem: Path, sha: str, start: float) -> Built | None:
        path = Path(f"{stem}.so")
        if self._shelf.has(path):
            return Built(True, "ok", path, "", time.monotonic() - start, 0.0, True, sha)
        with contextlib.suppress(OSError, ValueError, KeyError):
            log = json.loads(stem.with_suffix(".json").read_text())["log"]
            self._shelf.has(stem.with_suffix(".json"))
            return Built(
                False, "compile_error", None, log, time.monotonic() - start, 0.0, True, sha
            )
        return None

    def assemble(self, sources: Sequence[str]) -> Built:
        """One shared object of several texts, each compiled by itself and cached; the first that
        does not compile decides. Two that define the same name cannot be linked."""
        start = time.monotonic()
        cpu, objects, log = 0.0, [], ""
        digest = hashlib.sha256(self._key + b"assembled")
        for source in sources:
            data = source.encode(errors="surrogateescape")
            sha = hashlib.sha256(self._key + data).hexdigest()
            digest.update(sha.encode())
            stem = self._cache / "objects" / sha[:2] / sha
            built = self._piece(data, sha, stem)
            if not built.ok or built.path is None:
                return built
            cpu, log = cpu + built.cpu_seconds, log + built.log
            objects.append(built.path)
        sha = digest.hexdigest()
        stem = self._cache / "objects" / sha[:2] / sha
        if self._use_cache and (known := self._lookup(stem, sha, start)):
            return known
        with self._job() as job:
            names = [f"{index}.o" for index in range(len(objects))]
            for name, path in zip(names, objects, strict=True):
                shutil.copyfile(path, job / name)
            built = self._link_all(job, [self._linking(names)], sha, stem)
        seconds = time.monotonic() - start
        return dataclasses.replace(
            built, seconds=seconds, cpu_seconds=cpu + built.cpu_seconds, log=log + built.log
        )

    def _piece(self, data: bytes, sha: str, stem: Path) -> Built:
        """A text's object file."""
        path = stem.with_suffix(".o")
        if reason := _refuse(data):
            return Built(False, "refused", None, reason, 0.0, 0.0, False, sha)
        if self._use_cache and self._shelf.has(path):
            return Built(True, "ok", path, "", 0.0, 0.0, True, sha)
        with self._job() as job:
            (job / "kernel.cpp").write_bytes(data)
            (job / "kernel.cpp").chmod(0o644)
            outcome = self._confined(job, [self._compiling(self._always())], False)
            status = _status(outcome)
            if status == "ok":
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, _fetch(job / "kernel.o"))
                self._shelf.added()
        spent = outcome.seconds, outcome.cpu_seconds
        found = path if status == "ok" else None
        return Built(status == "ok", status, found, outcome.log, *spent, False, sha)

    def _always(self) -> list[str]:
        return ["-include", self._recipe.header] if self._recipe.header else []

    def _build(self, data: bytes, sha: str, stem: Path) -> Built:
        if self._recipe is not CPU:
            return self._attempt(data, sha, stem, self._always(), False)
        text = data.decode(errors="replace")
        heavy, plain = bool(_HEAVY.search(text)), not _INTRINSIC.search(text)
        prelude = self._always() if heavy else []
        built = self._attempt(data, sha, stem, prelude, plain)
        if plain and built.status == "compile_error":
            # Perhaps an intrinsic with an unusual name: its author was promised all of them.
            built = self._attempt(data, sha, stem, prelude, False)
        return built

    def _attempt(self, data: bytes, sha: str, stem: Path, prelude: list[str], plain: bool) -> Built:
        prelude = [*([_PLAIN] if plain else []), *prelude]
        with self._job() as job:
            (job / "kernel.cpp").write_bytes(data)
            (job / "kernel.cpp").chmod(0o644)
            commands = [self._compiling(prelude), self._linking(["kernel.o"])]
            return self._link_all(job, commands, sha, stem, plain)

    @contextlib.contextmanager
    def _job(self) -> Iterator[Path]:
        """A folder for one confined job."""
        with tempfile.TemporaryDirectory(
            prefix=leftovers.owner(), ignore_cleanup_errors=True
        ) as work:
            yield Path(work)

    def _compiling(self, prelude: list[str]) -> list[str]:
        named = ["-c", "kernel.cpp", "-o", "kernel.o"]
        options = [*self._recipe.flags, *_DIAGNOSTICS, f"-I{_INCLUDE}", *prelude]
        return [toolchain().cxx, *options, *named]

    def _linking(self, objects: list[str]) -> list[str]:
        tools = toolchain()
        parts = [*tools.before, *objects, *tools.after, *self._recipe.link]
        return [tools.ld, "-shared", "--eh-frame-hdr", *_LINK, *parts, "-o", "kernel.so"]

    def _confined(self, job: Path, commands: list[list[str]], plain: bool) -> sandbox.Outcome:
        readable = (*toolchain().readable, *self._recipe.readable)
        include = self.include(plain)
        return sandbox.confined(commands, job, include, readable, self._timeout, self._memory)

    def _link_all(
        self, job: Path, commands: list[list[str]], sha: str, stem: Path, plain: bool = False
    ) -> Built:
        """Run commands that leave ``kernel.so``, and keep it."""
        outcome = self._confined(job, commands, plain)
        status = _status(outcome)
        path = None
        if status == "ok":
            path = stem.with_suffix(".so")
            path.parent.mkdir(parents=True, exist_ok=True)
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
                made = f"{self._recipe.header}.gch" if self._recipe.header else ""
                if not (target / made).exists():
                    self._precompile(target, [_PLAIN] if plain else [])
                self._include[plain] = target
            return self._include[plain]

    def _precompile(self, target: Path, flags: list[str]) -> None:
        """A failure leaves the plain headers: right, only slower."""
        target.parent.mkdir(parents=True, exist_ok=True)
        leftovers.sweep_folders(target.parent)
        staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=leftovers.owner()))
        shutil.copytree(self._recipe.include, staging, dirs_exist_ok=True)
        for path in (staging, *staging.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        header = self._recipe.header
        command = [toolchain().cxx, *self._recipe.flags, *flags, "-x", "c++-header"]
        command += [f"{_INCLUDE}/{header}", f"-I{_INCLUDE}", "-o", "made.gch"]
        with self._job() as job:
            readable = (*toolchain().readable, *self._recipe.readable)
            if header:
                outcome = sandbox.confined([command], job, staging, readable, 120, 4096, 512)
                if outcome.code == 0:
                    shutil.copyfile(job / "made.gch", staging / f"{header}.gch")
                    (staging / f"{header}.gch").chmod(0o644)
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
