# SPDX-License-Identifier: Apache-2.0
"""How fast and how repeatable the verifier itself is: candidates per minute and A/A error.

Figures are CPU time of the whole process tree, because wall time on a shared machine says more
about the neighbors. Nothing here decides anything; ``bench-verify`` prints it.
"""

from __future__ import annotations

import dataclasses
import math
import os
import random
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.records import Candidate
from kernelcoder.task import Case, Task
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.builder import NativeBuilder
from kernelcoder.verify.compile import FLAGS
from kernelcoder.verify.contest import Contest, Contestant
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.service import KernelVerifier

# Header-light on purpose: the floor of what compiling a kernel costs. f32, contiguous.
_RELU = """#include <dlpack/dlpack.h>
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const float *in = (const float *)((char *)x->data + x->byte_offset);
  float *out = (float *)((char *)y->data + y->byte_offset);
  int64_t n = 1;
  for (int i = 0; i < x->ndim; ++i) n *= x->shape[i];
  for (int64_t i = 0; i < n; ++i) out[i] = in[i] < 0.0f ? 0.0f : in[i];
}
// variant %d
"""
_AA_BLOCKS, _AA_ROUNDS = 8, 16


@dataclass(frozen=True, slots=True)
class Rate:
    """One throughput figure over ``n`` candidates: wall and CPU milliseconds per candidate, and the
    CPU milliseconds spent compiling."""

    name: str
    n: int
    verified: int
    wall_ms: float
    cpu_ms: float
    compile_ms: float

    @property
    def per_minute(self) -> float:
        """Candidates per wall minute, one worker."""
        return 60_000 / self.wall_ms


@dataclass(frozen=True, slots=True)
class Repeatability:
    """A/A: identical kernels against each other, ``n`` trials; errors are |ratio - 1|."""

    case: str
    n: int
    median: float
    p95: float
    seconds: float


def tree_cpu() -> float:
    """CPU seconds of this process, its ended children, and its living ones with theirs (Linux)."""
    tick = os.sysconf("SC_CLK_TCK")
    spent = sum(os.times()[:4])
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended while we looked
            continue
        if int(fields[1]) == os.getpid():
            spent += sum(int(value) for value in fields[11:15]) / tick
    return spent


def five_holdouts(task: Task) -> Task:
    """The task with one visible case and five plain f32 holdouts, comparable across systems."""

    def holdout(rng: random.Random) -> tuple[Case, ...]:
        shapes = [(rng.randrange(50, 200), rng.randrange(50, 300)) for _ in range(5)]
        names = [arg.name for arg in (*task.inputs, *task.outputs)]
        return tuple(
            Case(f"hidden-{i}", {name: shape for name in names}, "f32", hidden=True)
            for i, shape in enumerate(shapes)
        )

    return dataclasses.replace(
        task, visible=task.visible[:1], holdout=holdout, digest=task.digest + "-five"
    )


def rate(name: str, verifier: KernelVerifier, task: Task, sources: list[str], key: str) -> Rate:
    """Verify each source once, without timing, and account for it."""
    verifier.verify(task, Candidate(sources[0] + "// warm-up\n", "cpp", "cpu"), key, timing=False)
    cpu, wall, compiling, verified = tree_cpu(), time.perf_counter(), 0.0, 0
    for source in sources:
        verdict = verifier.verify(task, Candidate(source, "cpp", "cpu"), key, timing=False)
        verified += verdict.verified
        compiling += verdict.seconds.get("compile_cpu", 0.0)
    n = len(sources)
    spent, waited = tree_cpu() - cpu, time.perf_counter() - wall
    return Rate(name, n, verified, waited * 1e3 / n, spent * 1e3 / n, compiling * 1e3 / n)


def bare_compiler(sources: list[str], folder: Path) -> Rate:
    """The floor: the same files through ``g++ -c`` and ``ld``, unsandboxed, and nothing else."""
    include = Path(__file__).resolve().parent.parent / "backends" / "include"
    source, target = folder / "floor.cpp", folder / "floor.o"
    cpu, wall = tree_cpu(), time.perf_counter()
    for text in sources:
        source.write_text(text)
        command = ["g++", *FLAGS, f"-I{include}", "-c", str(source), "-o", str(target)]
        subprocess.run(command, check=True)
        subprocess.run(["ld", "-shared", str(target), "-o", str(folder / "floor.so")], check=True)
    n = len(sources)
    spent, waited = tree_cpu() - cpu, time.perf_counter() - wall
    return Rate("floor: bare g++ and ld", n, 0, waited * 1e3 / n, spent * 1e3 / n, spent * 1e3 / n)


def rates(task: Task, options: VerifyOptions, cache: Path, n: int) -> list[Rate]:
    """Floor (header-free, five holdouts) and real (helper header, all hidden cases), each compiled
    afresh and again from the compile cache. ``cache`` must start empty for the first to mean it."""
    verifier = KernelVerifier(dataclasses.replace(options, timing=False), cache, 1)
    small = five_holdouts(task)
    floor = [_RELU % i for i in range(n)]
    full = [f"{task.solutions['cpu']}\n// variant {i}\n" for i in range(n)]
    try:
        return [
            bare_compiler(floor, cache),
            rate("no header, 5 holdouts, compiled", verifier, small, floor, "throughput"),
            rate("no header, 5 holdouts, precompiled", verifier, small, floor, "throughput"),
            rate("kernelcoder.h, all holdouts, compiled", verifier, task, full, "throughput"),
            rate("kernelcoder.h, all holdouts, precompiled", verifier, task, full, "throughput"),
        ]
    finally:
        verifier.close()


def repeatability(
    task: Task, case: Case, calls: int, options: VerifyOptions, cache: Path, trials: int
) -> Repeatability:
    """Time the task's own solution against itself, in fresh slots, ``trials`` times."""
    rng = random.Random(case.name)
    builder = NativeBuilder(options, cache)
    built = builder.build(task.solutions["cpu"])
    contest, bench = Contest(options, cache, builder), Bench(task, case, calls, rng)
    errors, start = [], time.perf_counter()
    try:
        for _ in range(trials):
            blocks = []
            for block in range(_AA_BLOCKS):
                # swapped roles: whoever was started first in one block is second in the next
                pair = [Contestant("candidate", built), Contestant("twin", built)]
                with contest.enter(
                    bench, pair if block % 2 else pair[::-1], [], fresh=True
                ) as arena:
                    rounds = [arena.round(rng) for _ in range(_AA_ROUNDS + 4)][4:]
                blocks.append(
                    statistics.median(math.log(r["candidate"] / r["twin"]) for r in rounds)
                )
            errors.append(abs(math.exp(statistics.fmean(blocks)) - 1.0))
    finally:
        contest.close()
        bench.close()
    ranked = sorted(errors)
    p95 = ranked[min(len(ranked) - 1, math.ceil(0.95 * len(ranked)) - 1)]
    each = (time.perf_counter() - start) / trials
    return Repeatability(f"{task.id} {case.name}", trials, statistics.median(errors), p95, each)
