# SPDX-License-Identifier: Apache-2.0
"""How fast and how repeatable the verifier itself is: candidates per minute and A/A error.

CPU figures are those of the whole process tree: wall time on a shared machine says more about the
neighbors. Nothing here decides anything; ``bench-verify`` prints it.
"""

from __future__ import annotations

import dataclasses
import math
import os
import random
import statistics
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.errors import CannotRun
from kernelcoder.records import Candidate, Verdict
from kernelcoder.task import Case, Task
from kernelcoder.verify import VerifyOptions, peers
from kernelcoder.verify.builder import NativeBuilder
from kernelcoder.verify.compile import FLAGS
from kernelcoder.verify.contest import Contest, Contestant
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.rounds import over_batches
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
extern "C" const int variant = %d;
"""
PEER = "peer: spawn python, import torch, g++, ctypes, allclose"
COMPILED, PRECOMPILED = "no header, 5 holdouts, compiled", "no header, 5 holdouts, precompiled"
_AGAIN = ("kernelcoder.h, all holdouts, precompiled",)
_INCLUDE = Path(__file__).resolve().parent.parent / "backends" / "include"
_AA_BLOCKS, _AA_ROUNDS = 8, 16


@dataclass(frozen=True, slots=True)
class Rate:
    """One throughput figure over ``n`` distinct candidates judged ``workers`` at a time: wall and
    CPU milliseconds per candidate, and the CPU milliseconds spent compiling."""

    name: str
    n: int
    workers: int
    verified: int
    wall_ms: float
    cpu_ms: float
    compile_ms: float

    @property
    def per_minute(self) -> float:
        """Candidates per wall minute."""
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
        task,
        visible=task.visible[:1],
        holdout=holdout,
        digest=task.digest + "-five",
        timing=(),  # held-out copies of the timed shapes, and what properties derive, are cases too
        properties=(),
    )


def rate(
    name: str,
    verifier: KernelVerifier,
    task: Task,
    candidates: Sequence[Candidate],
    key: str,
    workers: int = 1,
) -> Rate:
    """Verify each candidate once, without timing, ``workers`` at a time, and account for it; the
    last ``workers`` ones only warm up."""

    def one(candidate: Candidate) -> Verdict:
        return verifier.verify(task, candidate, key, timing=False)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, candidates[-workers:]))  # slots, answers and shared memory
        candidates = candidates[:-workers]
        verifier.twins.clear()
        cpu, wall = tree_cpu(), time.perf_counter()
        verdicts = list(pool.map(one, candidates))
        spent, waited = tree_cpu() - cpu, time.perf_counter() - wall
    n = len(candidates)
    return Rate(
        name, n, workers, sum(verdict.verified for verdict in verdicts),
        waited * 1e3 / n, spent * 1e3 / n,
        sum(verdict.seconds.get("compile_cpu", 0.0) for verdict in verdicts) * 1e3 / n,
    )  # fmt: skip


def bare_compiler(sources: list[str], folder: Path) -> Rate:
    """The floor: the same files through ``g++ -c`` and ``ld``, unsandboxed, and nothing else."""
    source, target = folder / "floor.cpp", folder / "floor.o"
    cpu, wall = tree_cpu(), time.perf_counter()
    for text in sources:
        source.write_text(text)
        command = ["g++", *FLAGS, f"-I{_INCLUDE}", "-c", str(source), "-o", str(target)]
        subprocess.run(command, check=True)
        subprocess.run(["ld", "-shared", str(target), "-o", str(folder / "floor.so")], check=True)
    n = len(sources)
    spent, waited = tree_cpu() - cpu, time.perf_counter() - wall
    each = waited * 1e3 / n, spent * 1e3 / n, spent * 1e3 / n
    return Rate("floor: bare g++ and ld", n, 1, 0, *each)


def peer(sources: list[str], folder: Path, workers: int) -> Rate:
    """The usual evaluator (peers.py) on the same files."""
    cpu, wall = tree_cpu(), time.perf_counter()
    right = peers.evaluate(sources, folder, [*FLAGS, f"-I{_INCLUDE}"], workers)
    spent, waited = tree_cpu() - cpu, time.perf_counter() - wall
    n = len(sources)
    return Rate(PEER, n, workers, right, waited * 1e3 / n, spent * 1e3 / n, 0.0)


def _native(sources: list[str]) -> list[Candidate]:
    return [Candidate(source, "cpp", "cpu") for source in sources]


def rates(task: Task, options: VerifyOptions, cache: Path, n: int) -> list[Rate]:
    """Floor, peer, and ours: header-free with five holdouts as the peer has five cases, and real
    (helper header, all hidden cases), each compiled afresh and again from the compile cache.
    ``task`` must be relu; ``cache`` must start empty.

    Every candidate is distinct as a program, not only as a text, so that none is spared."""
    few = max(4, n // 10)
    small = five_holdouts(task)
    full = [f'{task.solutions["cpu"]}\nextern "C" const int variant = {i};\n' for i in range(n + 1)]
    found = [bare_compiler([_RELU % i for i in range(n)], cache)]
    for workers in (1, 2):
        sources = [_RELU % i for i in range(2 * workers * n, 2 * workers * n + n + workers)]
        found.append(peer(sources[:few], cache, workers))
        verifier = KernelVerifier(dataclasses.replace(options, timing=False), cache, workers)
        try:
            for name in (COMPILED, PRECOMPILED):
                found.append(rate(name, verifier, small, _native(sources), "few", workers))
            if workers == 1:
                for name in ("kernelcoder.h, all holdouts, compiled", *_AGAIN):
                    found.append(rate(name, verifier, task, _native(full), "all"))
        finally:
            verifier.close()
    return [*found, *python_rates(small, options, cache, n)]


def python_rates(task: Task, options: VerifyOptions, cache: Path, n: int) -> list[Rate]:
    """Distinct Python candidates through the warm zygote; none where that cannot run."""
    from kernelcoder.verify.python_builder import PythonBuilder  # loads torch's zygote code

    options = dataclasses.replace(options, timing=False, library="allowed")
    sources = [f"def kernel(x, y):\n    y.copy_(x.relu())  # {i}\n" for i in range(n + 1)]
    try:
        verifier = KernelVerifier(options, cache, 1, PythonBuilder(options, cache))
    except CannotRun:
        return []
    try:
        candidates = [Candidate(source, "python", "torch") for source in sources]
        return [rate("Python, 5 holdouts", verifier, task, candidates, "few")]
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
                    rounds = [over_batches(arena.round(rng)) for _ in range(_AA_ROUNDS + 4)][4:]
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
