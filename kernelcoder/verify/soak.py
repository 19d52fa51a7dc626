# SPDX-License-Identifier: Apache-2.0
"""Thousands of candidates in one go: is any verdict lost or wrong, and does anything pile up?

A stream of distinct candidates is judged in rounds, each under another key: the first time
compiled, then again from the cache on other hidden cases. Meanwhile, if asked to, a thread kills
slots and candidates at random, which must change no verdict. What the verifier holds is counted at
intervals and a line is fitted to each figure.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.records import Candidate, Verdict
from kernelcoder.task import Task
from kernelcoder.verify import cgroups, leftovers
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.stream import KINDS, Item, stream
from kernelcoder.verify.work import EXAMS_KEPT

# A figure is flat if the line through its second half rises by less than this over all candidates.
FLAT = {
    "judge RSS KiB": 16384.0, "slots RSS KiB": 4096.0, "judge fds": 2.0, "slot fds": 2.0,
    "processes": 2.0, "threads": 2.0, "temporary files": 2.0, "shared memory files": 2.0,
    "control groups": 2.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """What the verifier held after so many candidates."""

    done: int
    seconds: float
    held: dict[str, int]


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure over the second half of a run: first and last value, and the rise of the fitted line
    in units per 1000 candidates."""

    name: str
    first: int
    last: int
    slope: float
    flat: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """A whole run. ``statuses`` counts verdicts, ``misjudged`` lists (kind, status, reason) of
    those that are not what the kind asks for, infra_error included."""

    candidates: int
    distinct: int
    workers: int
    seconds: float
    cpu_seconds: float
    lost: int
    statuses: dict[str, int]
    kinds: dict[str, int]
    shared: int
    misjudged: tuple[tuple[str, str, str], ...]
    kills: dict[str, int]
    samples: tuple[Sample, ...]
    trends: tuple[Trend, ...]

    @property
    def passed(self) -> bool:
        """No verdict lost, none wrong, nothing piled up."""
        return not (self.lost or self.misjudged) and all(trend.flat for trend in self.trends)


class Killer(threading.Thread):
    """Sends SIGKILL to a random process below this one that is a slot or a candidate, again and
    again; ``hits`` counts them. Compilers are left alone."""

    def __init__(self, seed: int, every: float) -> None:
        super().__init__(daemon=True)
        self._rng, self._every = random.Random(seed), every
        self._over = threading.Event()
        self.calm = threading.Lock()  # held while nothing may be killed
        self.hits = {"slot": 0, "candidate": 0}

    def run(self) -> None:
        """Until ``stop``; kills are ``every`` seconds apart on average."""
        while not self._over.wait(self._rng.expovariate(1 / self._every)):
            slots, children = helpers()
            kind = self._rng.choice(("slot", "candidate"))
            found = slots if kind == "slot" else children
            with self.calm, contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(self._rng.choice(found), signal.SIGKILL)
                self.hits[kind] += 1

    def stop(self) -> None:
        """Ends it."""
        self._over.set()
        if self.is_alive():
            self.join()


def helpers() -> tuple[list[int], list[int]]:
    """Process ids of our slots, and of the candidates below them."""
    slots = [pid for pid in leftovers.children(os.getpid()) if _comm(pid).startswith("slot-")]
    return slots, [child for slot in slots for child in leftovers.children(slot)]


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def _rss(pid: int) -> int:
    """Resident KiB."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _entries(path: Path, pattern: str = "*") -> int:
    try:
        return sum(1 for _ in path.glob(pattern))
    except OSError:
        return 0


def held() -> dict[str, int]:
    """What this process and its slots hold now. Call it while no candidate runs."""
    slots, _ = helpers()
    return {
        "judge RSS KiB": _rss(os.getpid()),
        "slots RSS KiB": sum(map(_rss, slots)),
        "judge fds": _entries(Path("/proc/self/fd")),
        "slot fds": sum(_entries(Path(f"/proc/{pid}/fd")) for pid in slots),
        "processes": sum(1 for _ in leftovers.descendants(os.getpid())),
        "threads": _entries(Path("/proc/self/task")),
        "temporary files": _entries(Path(tempfile.gettempdir()), f"{leftovers.owner()}*"),
        "shared memory files": _entries(Path("/dev/shm")),
        "control groups": sum(
            _entries(tree.base, f"{leftovers.owner()}*") for tree in cgroups.trees()
        ),
    }


def trends(samples: Sequence[Sample]) -> tuple[Trend, ...]:
    """A line through the second half of each figure: the first half fills caches of known size."""
    late = samples[len(samples) // 2 :]
    if len(late) < 2:
        return ()
    found = []
    for name in late[0].held:
        values = [float(sample.held[name]) for sample in late]
        places = [sample.done / 1000 for sample in late]
        slope = statistics.linear_regression(places, values).slope
        rise = slope * samples[-1].done / 1000
        found.append(Trend(name, int(values[0]), int(values[-1]), slope, rise < FLAT[name]))
    return tuple(found)


def soak(
    verifier: KernelVerifier,
    task: Task,
    candidates: int,
    rounds: int,
    workers: int,
    seed: int,
    kill_every: float | None = None,
    say: Callable[[Sample], None] = lambda _: None,
) -> Outcome:
    """Judges ``candidates`` of relu (``task`` must be that) in ``rounds`` over the same sources,
    ``workers`` at a time, killing something every ``kill_every`` seconds."""
    distinct = -(-candidates // rounds)
    items = [(f"{seed}-{turn}", item) for turn in range(rounds) for item in stream(distinct, seed)]
    items = items[:candidates]
    run = _Run(verifier, task, workers)
    killer = Killer(seed, kill_every or 1.0)
    began, cpu = time.monotonic(), sum(os.times()[:4])
    samples, step = [], max(1, min(500, candidates // 8))
    with ThreadPoolExecutor(workers) as pool:
        for key in range(EXAMS_KEPT):
            run.warm(pool, f"{seed}-warm-{key}")
        if kill_every:
            killer.start()
        try:
            for start in range(0, len(items), step):
                list(pool.map(run.judge, items[start : start + step]))
                with killer.calm:
                    run.warm(pool, items[start][0])  # slots that were killed are back
                    samples.append(Sample(run.count, time.monotonic() - began, held()))
                say(samples[-1])
        finally:
            killer.stop()
    verifier.close()
    return Outcome(
        len(items), distinct, workers, time.monotonic() - began, sum(os.times()[:4]) - cpu,
        len(items) - run.count, dict(run.statuses), dict(run.kinds), run.shared,
        tuple(run.misjudged), killer.hits if kill_every else {}, tuple(samples), trends(samples),
    )  # fmt: skip


class _Run:
    """Judges items and keeps count; shared by the workers."""

    def __init__(self, verifier: KernelVerifier, task: Task, workers: int) -> None:
        self._verifier, self._task = verifier, task
        self._workers, self._barrier = workers, threading.Barrier(workers)
        self._lock = threading.Lock()
        self.count = self.shared = 0
        self.statuses: collections.Counter[str] = collections.Counter()
        self.kinds: collections.Counter[str] = collections.Counter()
        self.misjudged: list[tuple[str, str, str]] = []

    def warm(self, pool: ThreadPoolExecutor, key: str) -> None:
        """Every worker judges a right kernel: each has a slot then, and memory for that key."""

        def one(worker: int) -> None:
            candidate = Candidate(KINDS[0].source(-1 - worker), "cpp", "cpu")
            self._barrier.wait()
            self._verifier.verify(self._task, candidate, key, timing=False)

        self._verifier.twins.clear()
        list(pool.map(one, range(self._workers)))

    def judge(self, item: tuple[str, Item]) -> None:
        """One verdict, counted, and kept if it is not a right one."""
        key, one = item
        candidate = Candidate(one.source, "cpp", "cpu")
        verdict: Verdict = self._verifier.verify(self._task, candidate, key, timing=False)
        with self._lock:
            self.count += 1
            self.statuses[verdict.status] += 1
            self.kinds[one.kind.name] += 1
            self.shared += any("same machine code" in text for text in verdict.evidence)
            if verdict.status not in one.kind.statuses:
                what = verdict.log or verdict.reason
                told = verdict.reason if verdict.status != "infra_error" else what[-300:]
                self.misjudged.append((one.kind.name, verdict.status, told))
