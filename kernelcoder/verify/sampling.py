# SPDX-License-Identifier: Apache-2.0
"""Where a child's threads are, seen from outside: program counters, and whose code they are in.

The judge freezes the child at random moments of a run and reads ``/proc/PID/task/*/syscall`` and
``/proc/PID/maps``, both written by the kernel of the system: nothing a candidate does in its own
process changes them. A statistical profile by program counter is the oldest one there is (prof,
Bell Laboratories 1973).
"""

from __future__ import annotations

import bisect
import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from kernelcoder.verify.child import Child

# Kinds of code. The first three count as computing; what waits in the kernel is not counted.
OWN, LIBRARY, ANONYMOUS = "own C++", "libraries", "anonymous memory"
INTERPRETER, SYSTEM = "the interpreter", "the C library"
COMPUTING = (OWN, LIBRARY, ANONYMOUS)
# A call is repeated for about so long and looked at with gaps of this length, drawn anew each time,
# until this many samples are in computing code: a share of forty has a standard error of at most 8
# percentage points. Where little of the time is spent in such code, half as many of three times as
# many samples do, and nine times as many in any case.
_RUN_NS, _GAPS, _WANTED = 50_000_000, (0.0005, 0.0025), 40
# Seconds of the child's own time, and of anybody's: on a busy machine it gets little of them.
_RUNS, _MOST_REPETITIONS, _OWN_SECONDS, _SECONDS = 80, 100_000, 3.0, 15.0


@dataclass(slots=True)
class Profile:
    """Samples by kind of code, and by kind and file; ``problem`` says why there are none."""

    kinds: Counter[str] = field(default_factory=Counter)
    files: Counter[tuple[str, str]] = field(default_factory=Counter)
    problem: str = ""

    @property
    def count(self) -> int:
        """Samples in user code."""
        return self.kinds.total()

    @property
    def computing(self) -> int:
        """Samples in code that could do the work of a kernel."""
        return sum(self.kinds[kind] for kind in COMPUTING)

    def share(self, kind: str) -> float:
        """Part of the computing samples that are of a kind; 0 if there are none."""
        return self.kinds[kind] / self.computing if self.computing else 0.0

    def summary(self) -> str:
        """One phrase: the shares of all samples, largest first."""
        parts = [f"{100 * n / self.count:.0f} % {kind}" for kind, n in self.kinds.most_common()]
        return f"{self.count} samples from outside: {', '.join(parts)}"


def kind_of(path: str, site: Path) -> str:
    """Whose code a mapped file is. ``site`` is where packages are installed."""
    name = path.rpartition("/")[2]
    if path.startswith("/memfd:candidate"):
        return OWN
    if not path or path.startswith(("[heap", "[stack", "[anon", "/memfd:")):
        return ANONYMOUS
    if Path(path).is_relative_to(site):
        return LIBRARY
    if name.startswith(("libmkl", "libopenblas", "libblas", "libcblas", "liblapack", "libblis")):
        return LIBRARY
    if name.startswith(("python", "libpython", "libffi", "zygote-")) or "/lib-dynload/" in path:
        return INTERPRETER
    return SYSTEM


class Maps:
    """The executable mappings of a process, read when an address is not in those known."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/maps")
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._files: list[str] = []

    def file(self, address: int) -> str | None:
        """Path of the mapping at an address, "" if it has none; None if there is no mapping."""
        found = self._find(address)
        if found is None:
            self._read()
            found = self._find(address)
        return found

    def _find(self, address: int) -> str | None:
        at = bisect.bisect_right(self._starts, address) - 1
        return self._files[at] if at >= 0 and address < self._ends[at] else None

    def _read(self) -> None:
        self._starts, self._ends, self._files = [], [], []
        for line in self._path.read_text(errors="replace").splitlines():
            fields = line.split(maxsplit=5)
            if "x" not in fields[1]:
                continue
            first, _, last = fields[0].partition("-")
            self._starts.append(int(first, 16))
            self._ends.append(int(last, 16))
            self._files.append(fields[5] if len(fields) > 5 else "")


def counters(pid: int) -> list[int]:
    """Program counters of a frozen process's threads; of those that are in a system call, none."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "syscall").read_text().split()
        if fields and fields[0] == "-1":
            found.append(int(fields[-1], 16))
    return found


def sample(child: Child, maps: Maps, site: Path, found: Profile) -> None:
    """Add one look at a frozen child to a profile."""
    with contextlib.suppress(OSError):  # it was killed just now: the run will say so
        for address in counters(child.pid()):
            path = maps.file(address)
            if path is not None:
                kind = kind_of(path, site)
                found.kinds[kind] += 1
                found.files[kind, path.rpartition("/")[2] or "(no file)"] += 1


def profile(
    child: Child,
    first: int,
    timeout: float,
    site: Path,
    seed: random.Random | None = None,
    count: int = 1,
) -> Profile:
    """Repeat ``count`` calls from ``first`` on for a while and sample them. Died and TimedOut of
    the child pass through."""
    rng = seed or random.SystemRandom()
    found, maps = Profile(), Maps(child.pid())
    try:
        counters(child.pid())
        maps.file(0)
    except OSError as problem:
        found.problem = f"the system does not let us look ({problem.strerror})"
        return found

    def look() -> None:
        sample(child, maps, site, found)

    def enough() -> bool:
        several = found.count >= 3 * _WANTED and found.computing >= _WANTED // 2
        return found.computing >= _WANTED or several or found.count >= 9 * _WANTED

    def over() -> bool:
        return time.monotonic() > end or child.cpu_ns() - began > _OWN_SECONDS * 1e9

    def watch() -> None:
        while not enough() and not over():
            time.sleep(rng.uniform(*_GAPS))
            child.forget_text(said)
            if not child.glimpse(look):
                return

    repetitions, began, end = 1, child.cpu_ns(), time.monotonic() + _SECONDS
    said = child.text_bytes()  # with the census
    for _ in range(_RUNS):
        spent = child.run(first, count, repetitions, timeout=timeout, watch=watch).cpu_ns
        if enough() or over():
            break
        longer = round(repetitions * min(100.0, _RUN_NS / max(1, spent)))
        repetitions = min(_MOST_REPETITIONS, max(repetitions, longer))
    return found
