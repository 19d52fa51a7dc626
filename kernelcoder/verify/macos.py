# SPDX-License-Identifier: Apache-2.0
"""Running one program on macOS behind what that system offers: L0 and sandbox-exec.

NOT RUN ON A MAC. The text of the profile, the limits, the watchdog and the runner are tested on
Linux with the parts of the system replaced that are macOS's own; nothing here says that a Mac
enforces them. ``sandbox.supported`` therefore refuses native candidates there.

What is missing compared with Linux: no filter of system calls, no sealed inputs, no address space
limit (RLIMIT_AS is not enforced, and setting it has been an error since macOS 12), no parent death
signal. So memory is watched from outside (``proc_pid_rusage``), the end of the judge is noticed by
a pipe that closes, and what a program started is killed by process group. ``sandbox-exec`` is
deprecated and still the only entry a program has to that sandbox.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.verify.watchdog import Watchdog

SANDBOX_EXEC = "/usr/bin/sandbox-exec"
_FLAVOR, _FOOTPRINT, _WORDS = 4, 72, 64  # RUSAGE_INFO_V4; byte offset of ri_phys_footprint


def quoted(path: Path) -> str:
    """A path as a string of the profile language; raises ValueError for control characters."""
    text = str(path)
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError(f"a path with a control character: {text!r}")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def profile(job: Path, secrets: Sequence[Path], program: Path) -> str:
    """What ``sandbox-exec -p`` takes: everything is denied but what follows.

    ``job`` is the only folder that may be written, by its real path (/tmp is a link to
    /private/tmp there, and rules match real paths). Reading stays open, because the shared cache of
    libraries and the frameworks cannot be listed; ``secrets`` are closed again, by file-read-data:
    a later rule wins, but a rule for file-read* loses against a narrower one that allows."""
    lines = [
        "(version 1)",
        "(deny default)",
        "(allow file-read*)",
        *(f"(deny file-read-data (subpath {quoted(path.resolve())}))" for path in secrets),
        f"(allow file-read-data file-write* (subpath {quoted(job.resolve())}))",
        f"(allow process-exec (literal {quoted(program.resolve())}))",
        "(allow sysctl-read)",
        "(allow signal (target self))",
        "(deny process-fork)",
        "(deny network*)",
        "(deny mach-lookup)",
    ]
    return "\n".join(lines) + "\n"


def arguments(job: Path, secrets: Sequence[Path], command: Sequence[str]) -> list[str]:
    """The command line that runs ``command`` (its program by absolute path) under the profile."""
    return [SANDBOX_EXEC, "-p", profile(job, secrets, Path(command[0])), *command]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one program: wall and CPU seconds, MiB of memory, KiB of any one file."""

    seconds: float
    cpu_seconds: int
    memory_mb: int
    file_kb: int


def limits(bounds: Bounds) -> tuple[tuple[int, int], ...]:
    """(resource, value) pairs to set. RLIMIT_NPROC counts all processes of the user on a Mac, so it
    is left alone."""
    return (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, bounds.cpu_seconds),
        (resource.RLIMIT_FSIZE, bounds.file_kb << 10),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_AS, bounds.memory_mb << 20),
    )


def limiting(pairs: Sequence[tuple[int, int]]) -> str:
    """Python text that sets limits, soft and hard, in the process that runs it (with ``resource``
    imported). Only RLIMIT_AS may fail (EINVAL since macOS 12).

    As text, because a function between fork and exec is not safe in a process with threads."""
    return f"""for name, value in {tuple(pairs)!r}:
    hard = resource.getrlimit(name)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(name, (value, value))
    except (OSError, ValueError):
        if name != {resource.RLIMIT_AS}:
            raise
"""


def footprint(pid: int) -> int | None:
    """Bytes of physical memory charged to a process, memory files included; None when it is gone.

    ``ri_phys_footprint`` of ``proc_pid_rusage`` (libproc.h, sys/resource.h): the eighth 64-bit
    word after the 16 bytes of the identifier."""
    words = (ctypes.c_uint64 * _WORDS)()
    if ctypes.CDLL("/usr/lib/libproc.dylib").proc_pid_rusage(pid, _FLAVOR, ctypes.byref(words)):
        return None
    return int(words[_FOOTPRINT // 8])


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code (negative: the signal), or why it was killed (``timeout``
    or ``memory``); the most memory that was seen, bytes; at most 64 KiB of what it said."""

    code: int
    killed: str
    peak_bytes: int
    text: str


# A process beside the program waits for a pipe whose other end only the judge holds: its end is the
# judge's. It is in the same group, so it goes with the program.
_CHILD = """import os, resource, sys
LIMITS
group = os.getpid()
if os.fork() == 0:
    os.read(PIPE, 1)
    os.killpg(group, 9)
os.close(PIPE)
os.execv(sys.argv[1], sys.argv[1:])
"""


def run(
    command: Sequence[str],
    job: Path,
    bounds: Bounds,
    secrets: Sequence[Path] = (),
    read: Callable[[int], int | None] = footprint,
    sandboxed: bool = True,
) -> Ended:
    """Runs a program in ``job`` with an empty environment and no descriptor but its output; kills
    its process group when it ends, takes too long, or ``read`` finds it too large.

    ``sandboxed`` false leaves sandbox-exec out (L0), for systems that have none."""
    inner = arguments(job, secrets, command) if sandboxed else list(command)
    ours, theirs = os.pipe()
    code = _CHILD.replace("LIMITS", limiting(limits(bounds))).replace("PIPE", str(ours))
    log = job / "output.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, *inner], cwd=job, env={"TMPDIR": str(job)},
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            pass_fds=(ours,),
        )  # fmt: skip
    os.close(ours)

    def bite() -> None:
        _kill(process.pid)

    try:
        with Watchdog(lambda: read(process.pid), bounds.memory_mb << 20, bite) as dog:
            ended = _wait(process.pid, bounds.seconds)
            # Not reaped yet, so the group is still its own: nobody of it may stay.
            _kill(process.pid)
            process.wait()
    finally:
        os.close(theirs)
    killed = "memory" if dog.bitten else "" if ended else "timeout"
    with log.open("rb") as said:
        text = said.read(1 << 16).decode(errors="replace")
    return Ended(process.returncode, killed, dog.peak, text)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _wait(pid: int, seconds: float) -> bool:
    """Whether a child ended within a time; it stays unreaped. By kqueue on a Mac."""
    if sys.platform == "darwin":
        queue = select.kqueue()
        event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        try:
            return bool(queue.control([event], 1, seconds))
        except ProcessLookupError:
            return True  # it ended before we could ask
        finally:
            queue.close()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return True
        time.sleep(0.005)
    return False
