# SPDX-License-Identifier: Apache-2.0
"""How far the final timing can be trusted: identical kernels, and kernels that truly differ.

Both go through the real final timing (finals.py): fresh slots, changed roles, shared pages. *A/A*
times a task's own solution against itself, so every deviation of the ratio from one is error.
*Difference* times a kernel that does one twentieth of its rows twice; it is called right if it
comes out slower. Everything may run under a load this module makes itself. ``aa`` prints it;
nothing here decides anything.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.records import Ratio
from kernelcoder.task import Case, Task
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.builder import NativeBuilder
from kernelcoder.verify.intervals import half_width
from kernelcoder.verify.timing import Timer, regime

# Copies 16 MiB to and fro: keeps a processor busy and the memory too, as compilers and tests do.
_BUSY = "a = bytearray(1 << 24)\nwhile True: b = bytes(a); a = bytearray(b)"
# Rows that twenty divides, and no other size of the case equals.
_ROWS = {"relu": 160, "softmax": 160, "matmul": 260}

_PARTS = """
#include <omp.h>
#include <vector>
namespace {
// Rows [from, from + n) of a tensor, or all of it.
struct Part {
  DLTensor tensor;
  std::vector<int64_t> shape;
  Part(const DLTensor *t, bool divided, int64_t from, int64_t n)
      : tensor(*t), shape(t->shape, t->shape + t->ndim) {
    if (divided) {
      shape[0] = n;
      tensor.data = (char *)t->data + from * t->strides[0] * (t->dtype.bits / 8);
    }
    tensor.shape = shape.data();
  }
};
}  // namespace
"""
_TWICE = """
extern "C" void kernel(%(declared)s) {
  const int64_t rows = y->shape[0];
  fine(%(names)s);
  %(parts_some)s
  fine(%(passed)s);
}
"""
_TOGETHER = """
extern "C" void kernel(%(declared)s) {
  const int64_t rows = y->shape[0];
#pragma omp parallel
  {
    const int64_t k = omp_get_num_threads(), i = omp_get_thread_num();
    %(parts_share)s
    fine(%(passed)s);
  }
}
"""


@dataclass(frozen=True, slots=True)
class Repeatability:
    """A/A of one case: ``n`` trials; ``median`` and ``p95`` of |ratio - 1|, ``covered`` the number
    of trials whose interval contains 1; medians of the half ``width`` that a trial's interval has
    and of its ``blocks``; ``seconds`` of wall time per trial."""

    case: str
    regime: str
    threads: int
    n: int
    median: float
    p95: float
    covered: int
    width: float
    blocks: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A kernel with 5 % more work: in ``n`` trials, how often its median is on the right side, how
    often its whole interval is, and how often the interval is on the wrong side."""

    case: str
    threads: int
    n: int
    right: int
    sure: int
    wrong: int
    median: float
    seconds: float


def edited(task: Task, template: str) -> str:
    """The task's own C++ solution with another entry that calls it by rows. The first dimension of
    what is divided is the output's."""
    names = [arg.name for arg in (*task.inputs, *task.outputs)]
    own = task.solutions["cpu"].replace('extern "C" void kernel(', "static void fine(")
    if task.scalars or len(task.outputs) != 1:
        raise ValueError(f"{task.id} takes more than tensors")
    letters = [*(f"t{i}" for i in range(len(names) - 1)), "y"]
    some = "0, rows / 20"
    share = "rows * i / k, rows * (i + 1) / k - rows * i / k"
    # The rows of a result come from those of the first input; a second matrix is needed whole.
    divided = {name: "true" if name in (letters[0], "y") else "false" for name in letters}
    fields = {
        "declared": ", ".join(
            f"{'' if name == 'y' else 'const '}DLTensor *{name}" for name in letters
        ),
        "names": ", ".join(letters),
        "parts_some": " ".join(
            f"Part p_{name}({name}, {divided[name]}, {some});" for name in letters
        ),
        "parts_share": " ".join(
            f"Part p_{name}({name}, {divided[name]}, {share});" for name in letters
        ),
        "passed": ", ".join(f"&p_{name}.tensor" for name in letters),
    }
    return own + _PARTS + template % fields


def parallel(task: Task) -> Task:
    """The task with a solution that divides the rows among the threads."""
    return dataclasses.replace(
        task,
        solutions={**task.solutions, "cpu": edited(task, _TOGETHER)},
        digest=task.digest + "-parallel",
    )


def resized(task: Task, rows: int) -> Task:
    """The task with one hot timing case whose output has so many rows."""
    case = next(case for case in task.timing if regime(case) == "hot")
    before = case.shapes[task.outputs[0].name][0]
    first = task.inputs[0].name
    moved = {arg.name for arg in task.outputs} | {
        name for name, shape in case.shapes.items() if name == first and shape[0] == before
    }
    shapes = {
        name: (rows, *shape[1:]) if name in moved else shape for name, shape in case.shapes.items()
    }
    name = "hot-" + "x".join(map(str, shapes[first]))
    one = Case(name, shapes, case.dtype, scalars=case.scalars)
    return dataclasses.replace(task, timing=(one,), digest=f"{task.digest}-{rows}")


@contextlib.contextmanager
def background(processes: int) -> Iterator[None]:
    """So many busy processes, ended afterwards."""
    busy = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


class Trials:
    """Runs trials with one timer per number of threads; a context manager."""

    def __init__(self, options: VerifyOptions, cache: Path) -> None:
        self._options = options
        self._builder = NativeBuilder(options, cache)
        self._timer = Timer(options, cache, self._builder)

    def __enter__(self) -> Trials:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.close()

    def same(self, task: Task, trials: int) -> list[Repeatability]:
        """A/A of every timing case of a task."""
        chosen = parallel(task) if self._options.threads > 1 else task
        found: list[Repeatability] = []
        for case in task.timing:
            one = dataclasses.replace(chosen, timing=(case,), digest=f"{chosen.digest}-{case.name}")
            ratios, seconds = self._ratios(one, one.solutions["cpu"], trials)
            errors = sorted(abs(ratio.median - 1.0) for ratio in ratios)
            found.append(
                Repeatability(
                    case=f"{task.id} {case.name}",
                    regime=regime(case),
                    threads=self._options.threads,
                    n=len(errors),
                    median=statistics.median(errors),
                    p95=errors[max(0, math.ceil(0.95 * len(errors)) - 1)],
                    covered=sum(ratio.lo <= 1.0 <= ratio.hi for ratio in ratios),
                    width=statistics.median(map(half_width, ratios)),
                    blocks=statistics.median(ratio.n for ratio in ratios),
                    seconds=seconds,
                )
            )
        return found

    def different(self, task: Task, trials: int) -> Difference:
        """A kernel with a twentieth of its rows done twice against the task's own."""
        chosen = resized(task, _ROWS[task.name])
        ratios, seconds = self._ratios(chosen, edited(chosen, _TWICE), trials)
        return Difference(
            case=f"{task.id} {chosen.timing[0].name}",
            threads=self._options.threads,
            n=len(ratios),
            right=sum(ratio.median < 1.0 for ratio in ratios),
            sure=sum(ratio.hi < 1.0 for ratio in ratios),
            wrong=sum(ratio.lo > 1.0 for ratio in ratios),
            median=statistics.median(ratio.median for ratio in ratios),
            seconds=seconds,
        )

    def _ratios(self, task: Task, source: str, trials: int) -> tuple[list[Ratio], float]:
        """Final ratios to the task's own solution, and wall seconds per trial."""
        built = self._builder.build(source)
        if not built.ok:
            raise RuntimeError(f"the kernel of the trial does not compile: {built.log}")
        ratios, start = [], time.perf_counter()
        for trial in range(trials):
            key = f"aa {trial}"
            (finalist,) = self._timer.final(task, [("aa", built)], key, unseen_too=False)
            if finalist.report is None:
                raise RuntimeError(f"a right kernel could not be timed: {finalist.reason}")
            ratios.append(finalist.report.speedup["reference"])
        return ratios, (time.perf_counter() - start) / max(1, trials)
