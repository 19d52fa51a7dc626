# SPDX-License-Identifier: Apache-2.0
"""Timing with real processes: honest kernels get ratios, dishonest ones a problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.core import load
from kernelcoder.task import Case, Task
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.builder import NativeBuilder
from kernelcoder.verify.compile import Built, Compiler
from kernelcoder.verify.roofline import Roof, Roofs
from kernelcoder.verify.timing import Timer

OPTIONS = VerifyOptions(True, 10, 60, 2048, 1, "eager", False, 4)

RELU = """#include <dlpack/dlpack.h>
#include <time.h>
%s
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const float *in = (const float *)((char *)x->data + x->byte_offset);
  float *out = (float *)((char *)y->data + y->byte_offset);
  int64_t n = 1;
  for (int i = 0; i < x->ndim; ++i) n *= x->shape[i];
  %s
  for (int64_t i = 0; i < n; ++i) out[i] = in[i] < 0.0f ? 0.0f : in[i];
}
"""


def small(task: Task) -> Task:
    """The task with one small hot timing case: these tests are about honesty, not about speed."""
    shapes = {arg.name: (64, 512) for arg in (*task.inputs, *task.outputs)}
    return dataclasses.replace(
        task, timing=(Case("hot-64x512", shapes, "f32"),), digest=task.digest + "-small"
    )


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("cache"), 60)


@pytest.fixture(scope="module")
def timer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timer]:
    folder = tmp_path_factory.mktemp("timer")
    timer = Timer(OPTIONS, folder, NativeBuilder(OPTIONS, folder))
    yield timer
    timer.close()


@pytest.fixture(scope="module")
def task() -> Task:
    return small(load("relu"))


def built(compiler: Compiler, globals_: str = "", body: str = "") -> Built:
    made = compiler.build(RELU % (globals_, body))
    assert made.ok, made.log
    return made


def test_an_honest_kernel_gets_a_ratio_with_an_interval(
    timer: Timer, compiler: Compiler, task: Task
) -> None:
    outcome = timer.search(task, built(compiler), "honest")
    assert outcome.problem == ""
    assert outcome.timing is not None
    assert outcome.timing.kind == "search"
    ratio = outcome.timing.speedup["eager"]
    assert ratio.lo <= ratio.median <= ratio.hi
    assert ratio.n >= 6
    assert outcome.timing.roofline_fraction is not None
    assert outcome.timing.cases[0].regime == "hot"


def test_skipping_work_once_it_is_timed_is_incorrect(
    timer: Timer, compiler: Compiler, task: Task
) -> None:
    lazy = built(compiler, "static int calls = 0;", "if (++calls > 40) return;")
    outcome = timer.search(task, lazy, "lazy")
    assert outcome.status == "incorrect"
    assert "timed output" in outcome.problem


def test_replaying_the_first_answer_is_incorrect(
    timer: Timer, compiler: Compiler, task: Task
) -> None:
    replay = built(
        compiler,
        "static float kept[1 << 20]; static int64_t have = 0;",
        "if (have == n) { for (int64_t i = 0; i < n; ++i) out[i] = kept[i]; return; }\n"
        "for (int64_t i = 0; i < n; ++i) kept[i] = in[i] < 0.0f ? 0.0f : in[i];\nhave = n;",
    )
    assert timer.search(task, replay, "replay").status == "incorrect"


def test_storing_outputs_and_finding_the_window_again_is_of_no_use(
    timer: Timer, compiler: Compiler
) -> None:
    # Outputs of earlier inputs, looked up by their first values: right only for shifted copies.
    store = """#include <dlpack/dlpack.h>
#include <math.h>
#include <string.h>
static float in_[1 << 21], out_[1 << 21]; static int64_t have;
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const float *in = (const float *)((char *)x->data + x->byte_offset);
  float *out = (float *)((char *)y->data + y->byte_offset);
  int64_t n = 1;
  for (int i = 0; i < x->ndim; ++i) n *= x->shape[i];
  for (int64_t s = 0; s + 64 <= have; ++s)
    if (in_[s] == in[0] && !memcmp(in_ + s, in, 256)) {
      const int64_t k = have - s < n ? have - s : n;
      memcpy(out, out_ + s, 4 * k);
      for (int64_t i = k; i < n; ++i) out[i] = tanhf(in[i]);
      return;
    }
  for (int64_t i = 0; i < n; ++i) out[i] = tanhf(in[i]);
  if (have + n > 1 << 21) return;
  memcpy(in_ + have, in, 4 * n);
  memcpy(out_ + have, out, 4 * n);
  have += n;
}
"""
    plain = store.replace("s + 64 <= have", "s < 0").replace("have + n > 1 << 21", "1")
    tanh = small(load("tanh"))
    times = []
    for source in (plain, store):
        made = compiler.build(source)
        assert made.ok, made.log
        outcome = timer.search(tanh, made, "store")
        assert outcome.timing is not None, outcome.problem
        times.append(outcome.timing.speedup["eager"])
    assert times[1].median < times[0].hi * 1.2


def test_a_helper_thread_cannot_work_while_the_clock_stands(
    timer: Timer, compiler: Compiler, task: Task
) -> None:
    helper = compiler.build(
        """#include <dlpack/dlpack.h>
#include <thread>
static void idle() { for (;;) std::this_thread::yield(); }
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  static std::thread helper(idle);
  const float *in = (const float *)((char *)x->data + x->byte_offset);
  float *out = (float *)((char *)y->data + y->byte_offset);
  int64_t n = 1;
  for (int i = 0; i < x->ndim; ++i) n *= x->shape[i];
  for (int64_t i = 0; i < n; ++i) out[i] = in[i] < 0.0f ? 0.0f : in[i];
}
"""
    )
    assert helper.ok, helper.log
    assert timer.search(task, helper, "helper").status == "crashed"


def test_dying_while_timed_is_a_crash_and_the_next_is_unaffected(
    timer: Timer, compiler: Compiler, task: Task
) -> None:
    dies = built(compiler, "static int calls = 0;", "if (++calls > 20) *(volatile int *)8 = 1;")
    assert timer.search(task, dies, "dies").status == "crashed"
    assert timer.search(task, built(compiler), "after").problem == ""


def test_a_slower_kernel_measures_slower(timer: Timer, compiler: Compiler, task: Task) -> None:
    slow = built(
        compiler,
        "",
        "volatile float *slow = out;\n"
        "for (int r = 0; r < 8; ++r) for (int64_t i = 0; i < n; ++i) slow[i] = in[i];",
    )
    fast = timer.search(task, built(compiler), "fast").timing
    slower = timer.search(task, slow, "slow").timing
    assert fast is not None
    assert slower is not None
    assert slower.speedup["eager"].hi < fast.speedup["eager"].lo


def test_finalists_are_selected_on_one_half_and_reported_on_the_other(
    timer: Timer, compiler: Compiler, task: Task
) -> None:
    one, two = built(compiler, "// a"), built(compiler, "// b")
    finalists = timer.final(task, [("one", one), ("two", two)], "final", unseen_too=False)
    assert [f.sha for f in finalists] == ["one", "two"]
    for finalist in finalists:
        assert finalist.select is not None
        assert finalist.report is not None
        assert finalist.report.kind == "final"
        assert finalist.report.speedup["eager"].n == OPTIONS.retime_blocks // 2
        assert {"eager", "reference"} <= set(finalist.report.speedup)


def test_a_lone_finalist_reports_every_block(timer: Timer, compiler: Compiler, task: Task) -> None:
    (finalist,) = timer.final(task, [("one", built(compiler))], "lone", unseen_too=False)
    assert finalist.select is None
    assert finalist.report is not None
    assert finalist.report.speedup["eager"].n == OPTIONS.retime_blocks


@pytest.mark.slow  # the compiler of the baseline is started and fails
def test_a_baseline_that_fails_is_named_and_the_others_remain(
    compiler: Compiler, tmp_path: Path, task: Task, monkeypatch: Any
) -> None:
    ops = tmp_path / "ops"
    ops.mkdir()
    source = (Path(__file__).parents[2] / "benchmarks/core/relu.py").read_text()
    (ops / "broken_relu.py").write_text(
        source.replace('name="relu"', 'name="broken_relu"').replace(
            "return torch.relu(x)", "return torch.relu(x) if float(x.sum()) < 1e300 else x"
        )
    )
    monkeypatch.setenv("KERNELCODER_OPS_PATH", str(ops))
    broken = small(load("broken_relu"))
    options = dataclasses.replace(OPTIONS, measure_compile=True)
    timer = Timer(options, tmp_path / "cache", NativeBuilder(options, tmp_path / "cache"))
    try:
        (finalist,) = timer.final(broken, [("one", built(compiler))], "broken")
    finally:
        timer.close()
    assert finalist.report is not None
    assert "eager" in finalist.report.speedup
    assert "compile" not in finalist.report.speedup
    assert any("no compile baseline" in note for note in finalist.report.notes)


def test_a_time_below_the_roof_is_cheating(timer: Timer, compiler: Compiler, task: Task) -> None:
    impossible = dataclasses.replace(task, bytes=lambda case: 1 << 40, digest=task.digest + "-tb")
    outcome = timer.search(impossible, built(compiler), "impossible")
    assert outcome.status == "cheating"
    assert "bandwidth" in outcome.problem


def test_a_roof_is_kept_and_only_ever_raised(tmp_path: Path) -> None:
    # copy and read at two sizes each, then peak
    answers = iter([1.0, 10.0, 2.0, 3.0, 4.0, 1.0, 7.0, 1.0, 1.0, 20.0])
    roofs = Roofs(tmp_path / "roofs.json", "machine", lambda kind, size: next(answers))
    assert roofs.roof(1 << 22) == Roof(10.0, 4.0)
    assert Roofs(tmp_path / "roofs.json", "machine", lambda kind, size: 1 / 0).roof(
        1 << 22
    ) == Roof(10.0, 4.0)
    assert roofs.roof(1 << 22, again=True) == Roof(10.0, 20.0)
    assert Roof(10.0, 20.0).bound(100, 100) == 10.0


def test_timed_inputs_are_new_every_round(task: Task) -> None:
    import random

    from kernelcoder.verify.refresh import Bench

    bench = Bench(task, task.timing[0], 2, random.Random(1))
    try:
        seen = []
        for _ in range(4):
            bench.refresh()
            seen.append(torch.stack([bench.regions.input(call, 0).clone() for call in range(2)]))
        flat = torch.cat(seen)
        assert len({tuple(row[0, :16].tolist()) for row in flat}) == len(flat)
        bench.poison()
        check = bench.choose(0, 2)
        assert bench.wrong(check) != ""
        for row in check.rows:
            bench.regions.output(check.call)[row] = torch.relu(
                bench.regions.input(check.call, 0)[row]
            )
        assert bench.wrong(check) == ""
    finally:
        bench.close()
