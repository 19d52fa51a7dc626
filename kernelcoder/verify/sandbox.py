# SPDX-License-Identifier: Apache-2.0
"""The verifier's native helpers, built once per machine, and the way into the compile sandbox."""

from __future__ import annotations

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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder import paths
from kernelcoder.errors import CannotRun

NATIVE = Path(__file__).resolve().parent / "native"
INCLUDE = Path(__file__).resolve().parent.parent / "backends" / "include"
LINUX_ONLY = (
    "native C++ candidates need Linux on x86-64 or aarch64 for now: elsewhere there is no sandbox "
    "beyond plain process limits (level L0)"
)

_SOURCES = {
    "slot": ("slot.c", "child.c", "hint.c", "sandbox.c", "seccomp.c"),
    "launch": ("launch.c", "sandbox.c", "seccomp.c"),
}
# Candidates are linked without libraries: what they may need is loaded in the slot already.
_LIBRARIES = {"slot": ("-fopenmp", "-Wl,--no-as-needed", "-lstdc++", "-lm", "-lgcc_s", "-ldl")}
_LOG_BYTES = 1 << 16


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
    """The executable ``slot`` or ``launch``, built at first use; raises CannotRun.

    Named by the hash of its sources, so an edit builds a new one and old ones may be deleted."""
    if reason := supported():
        raise CannotRun(reason)
    sources = sorted(NATIVE.glob("*.[ch]")) + [INCLUDE / "dlpack" / "dlpack.h"]
    digest = hashlib.sha256(platform.machine().encode())
    for source in sources:
        digest.update(source.name.encode() + source.read_bytes())
    target = paths.cache() / "native" / f"{name}-{digest.hexdigest()[:16]}"
    if not target.exists():
        _build(name, target)
    return target


def _build(name: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        built = Path(work) / name
        command = [_c_compiler(), "-std=gnu11", "-O2", f"-I{INCLUDE}", "-o", str(built)]
        command += [str(NATIVE / source) for source in _SOURCES[name]]
        command += _LIBRARIES.get(name, ())
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
    (as ``/proc/self/fd/9``) and read and execute ``readable``; nothing else."""
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
        code, cpu = _wait(process, seconds)
        elapsed = time.monotonic() - start
        text = os.pread(log.fileno(), _LOG_BYTES, 0).decode(errors="replace")
    return Outcome(code, text, elapsed, cpu)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> tuple[int | None, float]:
    """Exit code (None: killed at the limit) and CPU seconds of the process and its descendants."""
    ended = False
    pidfd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        ended = bool(poll.poll(seconds * 1000))
    finally:  # an interrupt must not leave a compiler behind either
        os.close(pidfd)
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # reaped here, so Popen must not wait
    return (process.returncode if ended else None), usage.ru_utime + usage.ru_stime
