# SPDX-License-Identifier: Apache-2.0
"""What a verifier leaves when it is killed, and how the next one finds it.

Whatever outlives a process (a folder under the temporary directory, a control group) carries the
name of its owner: process namespace, process id and start time. A name whose owner is gone belongs
to nobody and is removed at the next start. Process trees are walked through /proc; where that is
not offered (macOS) names hold the process id alone and trees are not walked.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_PREFIX = "kernelcoder-"
_NAME = re.compile(r"kernelcoder-(\d+)-(\d+)-(\d+)-")


def owner() -> str:
    """``kernelcoder-<process namespace>-<process id>-<start time>-``: the beginning of the name of
    everything this process makes that could outlive it."""
    return f"{_PREFIX}{_namespace()}-{os.getpid()}-{_started(os.getpid())}-"


def abandoned(name: str) -> bool:
    """Whether a name was given by ``owner`` in a process of this namespace that is gone."""
    found = _NAME.match(name)
    if not found:
        return False
    namespace, pid, started = (int(part) for part in found.groups())
    return namespace == _namespace() and (not _alive(pid) or _started(pid) != started)


@functools.cache
def _namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _started(pid: int) -> int:
    """Clock ticks from boot to the start of a process; 0 where that cannot be known."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on (proc(5), field 3)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sweep_folders(base: Path | None = None) -> int:
    """Removes folders in ``base`` (default: where temporary files lie) whose owner is gone; returns
    how many. Those of other users, which we may not remove, stay."""
    removed = 0
    base = base or Path(tempfile.gettempdir())
    for entry in base.glob(f"{_PREFIX}*"):
        if abandoned(entry.name) and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
            removed += not entry.exists()
    return removed


def descendants(pid: int) -> Iterator[int]:
    """Process ids below ``pid`` that still run (zombies do not), parents first. Processes that were
    left behind by their parent are found only if ``pid`` or one below it takes orphans
    (PR_SET_CHILD_SUBREAPER)."""
    for child in children(pid):
        fields = _stat(child)
        if fields and fields[0] not in "ZX":
            yield child
        yield from descendants(child)


def children(pid: int) -> list[int]:
    """Direct children of all threads of a process (/proc/PID/task/*/children)."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    except OSError:
        pass  # it is gone, or this system keeps no such lists
    return found


def resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory of processes. Pages that several of them share are counted for each, so the
    figure is never too low."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for one in pids:
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * page
        except (OSError, IndexError):
            continue  # it ended meanwhile
    return total


def kill_below(pid: int, seconds: float = 2.0) -> bool:
    """Kills everything below a process, again and again until nothing is left, because what is
    killed may have forked before; False if something still runs after ``seconds``."""
    deadline = time.monotonic() + seconds
    while found := list(descendants(pid)):
        for one in found:
            _kill(one)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
