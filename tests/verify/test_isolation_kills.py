# SPDX-License-Identifier: Apache-2.0
"""Slots, children and judges die at any moment: a verdict is the same or made again, and nothing
of theirs stays behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from leftovers import census, settled

from benchmarks import core
from kernelcoder.records import Candidate
from kernelcoder.verify import VerifyOptions, cgroups, leftovers, sandbox
from kernelcoder.verify.compile import Compiler
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.slots import Died, Limits, Slot, TimedOut

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported())
OPTIONS = VerifyOptions(
    timing=False, timeout_seconds=5, compile_timeout_seconds=60, memory_mb=512, threads=1,
    baseline="eager", measure_compile=False, retime_blocks=4,
)  # fmt: skip
RELU = """#include <kernelcoder.h>
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  for (volatile int i = 0; i < 300000; ++i) {}
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    const int64_t n = kc::cols(x), rows = kc::numel(x) ? kc::rows(x) : 0;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < n; ++i) {
        const float v = float(kc::data<T>(x)[kc::row_offset(x, r) + i * kc::col_stride(x)]);
        kc::data<T>(y)[r * n + i] = T(v < LEAST ? 0.0f : v);
      }
  });
}
"""
STREAM = {
    "verified": RELU.replace("LEAST", "0"),
    "incorrect": RELU.replace("LEAST", "0.5f"),
    "crashed": RELU.replace("LEAST", "*(volatile int *)8"),
}


class Killer(threading.Thread):
    """Sends SIGKILL to a slot or its child, whichever chance names, at moments chance names; but
    then waits for a verdict, so that none is killed more often than it is tried again."""

    def __init__(self, most: int) -> None:
        super().__init__(name="killer", daemon=True)
        self._most, self._chance = most, random.Random(7)
        self.hits = {"slot": 0, "child": 0}
        self.verdicts = 0

    def run(self) -> None:
        """Until all kills are spent."""
        while sum(self.hits.values()) < self._most:
            time.sleep(self._chance.uniform(0.0, 0.06))
            slots = [pid for pid in leftovers.children(os.getpid()) if _is_slot(pid)]
            children = [below for pid in slots for below in leftovers.children(pid)]
            whom = "child" if children and self._chance.random() < 0.6 else "slot"
            chosen = children if whom == "child" else slots
            if chosen:
                try:
                    os.kill(self._chance.choice(chosen), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.hits[whom] += 1
                seen = self.verdicts
                while self.verdicts == seen:
                    time.sleep(0.001)


def _is_slot(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("slot-")
    except OSError:
        return False


@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_killing_slots_and_children_changes_no_verdict(kills: int, shared_cache: Path) -> None:
    task = core.load("relu")
    before = census()
    verifier = KernelVerifier(OPTIONS, shared_cache, 1)
    for source in STREAM.values():
        verifier.verify(task, Candidate(source, "cpp", "cpu"), "aa", timing=False)
    killer = Killer(kills)
    killer.start()
    wrong = []
    while killer.is_alive():
        for status, source in STREAM.items():
            verifier.twins.clear()  # or it would not be run again
            verdict = verifier.verify(task, Candidate(source, "cpp", "cpu"), "aa", timing=False)
            killer.verdicts += 1
            if verdict.status != status:
                wrong.append((status, verdict.status, verdict.reason))
    verifier.close()
    assert wrong == []
    assert killer.hits["slot"] + killer.hits["child"] == kills
    assert min(killer.hits.values()) > 0, killer.hits
    assert settled(before) == []


JUDGE = """
import sys, time
from pathlib import Path
import torch
from kernelcoder.verify.compile import Compiler
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.slots import Limits, Slot
import threading, os
compiler = Compiler(Path(sys.argv[1]), use_cache=False)
forever = '#include <dlpack/dlpack.h>\\nextern "C" void kernel() { for (;;) asm(""); }'
slot, regions = Slot(), Regions([Call((torch.ones(1),), (((1,), "f32"),))])
child = slot.start(compiler.build(forever).path, regions, Limits(cpu_seconds=60))
child.loaded(20)
bomb = '''template <int N, long K> struct F {
  static constexpr long v = F<N - 1, 2 * K>::v + F<N - 1, 2 * K + 1>::v; };
template <long K> struct F<0, K> { static constexpr long v = K; };
long x = F<40, 1>::v;'''
threading.Thread(target=compiler.build, args=(bomb,), daemon=True).start()
from kernelcoder.verify import leftovers
while len(list(leftovers.descendants(os.getpid()))) < 5:
    time.sleep(0.01)
print(leftovers.owner(), *leftovers.descendants(os.getpid()), flush=True)
child.run(0, 1, timeout=100)
"""


def test_a_killed_judge_leaves_nothing_for_long(shared_cache: Path) -> None:
    """Processes end with it; folders and groups go when the next judge starts."""
    command = [sys.executable, "-c", JUDGE, str(shared_cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as judge:
        assert judge.stdout is not None
        name, *pids = judge.stdout.readline().split()
        judge.kill()
    assert len(pids) >= 4  # a slot, its child, the compiler's launcher and the compiler
    deadline = time.monotonic() + 20
    while alive := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.02)
    assert _folders(name), "it was killed while compiling"
    Compiler(shared_cache)
    with Slot():
        assert _folders(name) == []
        assert _groups(name) == []


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def _folders(name: str) -> list[Path]:
    return list(Path("/tmp").glob(f"{name}*"))


def _groups(name: str) -> list[Path]:
    return [folder for tree in cgroups.trees() for folder in tree.base.glob(f"{name}*")]


@pytest.fixture
def regions() -> Iterator[Regions]:
    with Regions([Call((torch.ones(4),), (((4,), "f32"),))]) as made:
        yield made


@pytest.mark.parametrize("skip", [(), ("uid",), ("uid", "namespaces", "groups")])
def test_a_child_ends_with_its_slot(
    skip: tuple[str, ...], shared_cache: Path, regions: Regions
) -> None:
    """By the parent death signal, which a change of user clears and so is set after it."""
    built = Compiler(shared_cache).build(STREAM["verified"])
    assert built.path is not None
    with Slot(skip) as slot:
        child = slot.start(built.path, regions, Limits())
        child.loaded(20)
        assert slot._process is not None
        slot._process.kill()
        slot._process.wait()
        deadline = time.monotonic() + 5
        while _runs(str(child.pid())):
            assert time.monotonic() < deadline
            time.sleep(0.005)


def test_a_kill_from_outside_is_told_from_a_death(shared_cache: Path, regions: Regions) -> None:
    built = Compiler(shared_cache).build(STREAM["verified"])
    assert built.path is not None
    with Slot() as slot:
        child = slot.start(built.path, regions, Limits())
        child.loaded(20)
        os.kill(child.pid(), signal.SIGKILL)
        with pytest.raises(Died) as died:
            child.run(0, 1)
    assert died.value.exit.killed
    assert not died.value.exit.oom


def test_memory_that_no_limit_of_one_process_sees(shared_cache: Path, regions: Regions) -> None:
    """Without the filter a candidate may fork: only the group adds up what its processes take."""
    source = """#include <dlpack/dlpack.h>
    #include <cstdlib>
    #include <unistd.h>
    extern "C" void kernel(const DLTensor *x, DLTensor *y) {
      for (int i = 0; i < 5; ++i) if (fork() == 0) break;
      volatile char *p = (volatile char *)malloc(100 << 20);
      for (long i = 0; i < 100 << 20; i += 4096) p[i] = 1;
      for (;;) usleep(1000);
    }"""
    built = Compiler(shared_cache).build(source)
    assert built.path is not None, built.log
    with Slot(("seccomp", "uid")) as slot:
        if slot.group is None or "memory" not in slot.group.controllers:
            pytest.skip("this machine lets us make no groups that count memory")
        child = slot.start(built.path, regions, Limits(memory_mb=256, cpu_seconds=30))
        child.loaded(20)
        with pytest.raises((TimedOut, Died)) as ended:
            child.run(0, 1, timeout=3)
        exit = ended.value.exit
        assert exit.oom or slot.group.starved(), "nothing was killed for want of memory"
        assert leftovers.children(slot._process.pid if slot._process else 0) == []
