# SPDX-License-Identifier: Apache-2.0
"""The verifier's native helpers, built once per machine, and the way into the compile sandbox."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder import paths
from kernelcoder.errors import CannotRun
from kernelcoder.verify import leftovers
from kernelcoder.verify.watchdog import Folder

NATIVE = Path(__file__).resolve().parent / "native"
INCLUDE = Path(__file__).resolve().parent.parent / "backends" / "include"
LINUX_ONLY = (
    "native C++ candidates need Linux on x86-64 or aarch64 for now: elsewhere there would be "
    "limits, a watchdog and sandbox-exec (verify/macos.py), which nobody has run on a Mac yet"
)

_SOURCES = {
    "slot": ("slot.c", "child.c", "calls.c", "hint.c", "pack.c", "sandbox.c", "seccomp.c"),
    "slot_gpu": (
        "slot.c",
        "gpu_child.c",
        "gpu.c",
        "cuda.c",
        "driver.c",
        "calls.c",
        "hint.c",
        "pack.c",
        "sandbox.c",
        "seccomp.c",
    ),
    "launch": ("launch.c", "sandbox.c", "seccomp.c"),
    "judge": ("judge.c",),
    "zygote": ("slot.c", "zygote.c", "driver.c", "calls.c", "hint.c", "sandbox.c", "seccomp.c"),
}
# Candidates are linked without libraries: what they may need is loaded in the slot already.
_LIBRARIES = {
    "slot": ("-fopenmp", "-Wl,-z,now", "-Wl,--no-as-needed", "-lstdc++", "-lm", "-lgcc_s", "-ldl"),
    # Only launches are offered by the program itself, which comes before CUDA's runtime (cuda.c).
    "slot_gpu": (
        "-Wl,-z,now",
        "-Wl,--export-dynamic-symbol=*cudaLaunch*",
        "-Wl,--export-dynamic-symbol=atexit",
        "-Wl,--no-as-needed",
        "-lstdc++",
        "-lm",
        "-lgcc_s",
        "-lpthread",
        "-lrt",
        "-ldl",
    ),
    "judge": ("-O3", "-shared", "-fPIC", "-lm"),
    "zygote": (
        "-shared",
        "-fPIC",
        "-Dmain=kc_slot",
        "-fopenmp",
        "-Wl,--no-as-needed",
        "-lstdc++",
        "-lm",
        "-lgcc_s",
        "-ldl",
    ),
}
VECTOR_MATH = "libmvec.so.1"
_LOG_BYTES = 1 << 16
_FILES = 32  # a compile makes five,
_PROCESSES = 64  # and runs at most four programs at a time
_LOOK = 0.05  # seconds between looks at what a compile uses


def supported() -> str:
    """Empty where the native sandbox can be built at all, else the reason why not."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64", "arm64"):
        return LINUX_ONLY
    if not compiler():
        return "no C++ compiler: install g++"
    return ""


@functools.cache
def compiler() -> str:
    """Absolute path of g++, empty if there is none."""
    return shutil.which("g++") or ""


def _c_compiler() -> str:
    """The C compiler; g++ would compile C as C++ and brings gcc with it everywhere we know."""
    found = shutil.which("gcc") or shutil.which("cc")
    if not found:
        raise CannotRun("no C compiler: install gcc")
    return found


@functools.cache
def helper(name: str) -> Path:
    """The executable ``slot`` or ``launch``, the library ``judge`` or ``zygote``: built at first
    use; raises CannotRun.

    Named by the hash of its sources, so an edit builds a new one and old ones may be deleted."""
    if reason := supported():
        raise CannotRun(reason)
    sources = sorted(NATIVE.glob("*.[ch]")) + [INCLUDE / "dlpack" / "dlpack.h"]
    digest = hashlib.sha256(platform.machine().encode())
    for source in sources:
        digest.update(source.name.encode() + source.read_bytes())
    digest.update(" ".join(_libraries(name)).encode())
    target = paths.cache() / "native" / f"{name}-{digest.hexdigest()[:16]}"
    if not target.exists():
        _build(name, target)
    return target


@functools.cache
def _libraries(name: str) -> tuple[str, ...]:
    """What a helper is linked with. A slot also has the C library's vector functions, where there
    are any: a compiler with fast-math calls them in place of exp and its like."""
    known = _LIBRARIES.get(name, ())
    if name not in ("slot", "zygote"):
        return known
    asked = [compiler(), f"-print-file-name={VECTOR_MATH}"]
    found = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
    return (*known, f"-l:{VECTOR_MATH}") if "/" in found.stdout else known


def _build(name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    leftovers.sweep_folders(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=leftovers.owner()) as work:
        built = Path(work) / name
        command = [_c_compiler(), "-std=gnu11", "-O2", f"-I{INCLUDE}", "-o", str(built)]
        command += [str(NATIVE / source) for source in _SOURCES[name]]
        command += _libraries(name)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise CannotRun(f"building {name} failed: {done.stderr.strip()[-1000:]}")
        built.chmod(0o755)
        built.replace(target)  # atomic: a second builder replaces it by the same bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """How confined commands ended: ``code`` as a shell gives it, or None past the time limit;
    ``cpu_seconds`` of all of them; ``log`` is untrusted text, at most 64 KiB."""

    code: int | None
    log: str
    seconds: float
    cpu_seconds: float


def confined(
    commands: Sequence[Sequence[str]],
    directory: Path,
    include: Path,
    readable: Sequence[str],
    seconds: float,
    memory_mb: int,
    file_mb: int = 64,
) -> Outcome:
    """Runs commands one after the other in the compile sandbox.

    They may write ``directory`` (their working directory, which becomes theirs), read ``include``
    (as ``/proc/self/fd/9``) and read and execute ``readable``; nothing else. Each file they write
    has at most ``file_mb``, all of them twice that, and there may be 32; all processes together
    (64) have ``memory_mb``: seen to from outside, every 50 ms. The code is 1 or 137 then."""
    argv = [str(helper("launch")), str(memory_mb), str(int(seconds) + 1), str(file_mb)]
    argv += [str(include), *readable, "--"]
    for index, command in enumerate(commands):
        argv += [*(["--then"] if index else []), *command]
    start = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            argv, stdin=log, stdout=log, stderr=log, cwd=directory,
            env={"TMPDIR": ".", "LC_ALL": "C"}, start_new_session=True,
        )  # fmt: skip
        bounds = Folder(_FILES, file_mb << 21), memory_mb << 20
        ended, cpu, excess = _wait(
            process, seconds, lambda: _excess(process.pid, directory, *bounds)
        )
        elapsed = time.monotonic() - start
        text = os.pread(log.fileno(), _LOG_BYTES, 0).decode(errors="replace")
    if excess:
        return Outcome(137 if excess == _OOM else 1, f"error: {excess}\n{text}", elapsed, cpu)
    return Outcome(process.returncode if ended else None, text, elapsed, cpu)


_OOM = "out of memory"


def _excess(pid: int, directory: Path, folder: Folder, memory: int) -> str:
    below = [pid, *leftovers.descendants(pid)]
    if len(below) > _PROCESSES:
        return f"it started more than {_PROCESSES} processes"
    return _OOM if leftovers.resident_bytes(below) > memory else folder.exceeded(directory)


def _wait(
    process: subprocess.Popen[bytes], seconds: float, excess: Callable[[], str]
) -> tuple[bool, float, str]:
    """Whether it ended by itself, CPU seconds of it and its descendants, and what was too much.

    Whatever is still in its group of processes is killed: the sandbox lets none leave it."""
    ended, over = False, ""
    deadline = time.monotonic() + seconds
    pidfd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        while not (ended or over) and (left := deadline - time.monotonic()) > 0:
            ended = bool(poll.poll(min(left, _LOOK) * 1000))
            over = "" if ended else excess()
        over = over or excess()  # what it left when it ended, too
    finally:  # an interrupt must not leave a compiler behind either
        os.close(pidfd)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # reaped here, so Popen must not wait
    return ended, usage.ru_utime + usage.ru_stime, over
