# SPDX-License-Identifier: Apache-2.0
"""Timing with real processes against kernels that know they are being timed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.core import load
from kernelcoder.task import Case, Task
from kernelcoder.verify import VerifyOptions, aa, threads
from kernelcoder.verify.arena import Arena, Contestant
from kernelcoder.verify.builder import NativeBuilder
from kernelcoder.verify.compile import Built
from kernelcoder.verify.timing import EARLY, Timer

OPTIONS = VerifyOptions(True, 10, 60, 2048, 1, "reference", False, 4)

RELU = """#include <dlpack/dlpack.h>
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


def small(name: str = "relu", rows: int = 64) -> Task:
    """The task with one small hot timing case, and a solution that is the plain kernel."""
    task = load(name)
    shapes = {arg.name: (rows, 512) for arg in (*task.inputs, *task.outputs)}
    return dataclasses.replace(
        task,
        timing=(Case(f"hot-{rows}x512", shapes, "f32"),),
        digest=f"{task.digest}-small-{rows}",
    )


class Lab:
    """A timer and the compiler of its kernels."""

    def __init__(self, options: VerifyOptions, folder: Path) -> None:
        self.builder = NativeBuilder(options, folder)
        self.timer = Timer(options, folder, self.builder)

    def built(self, globals_: str = "", body: str = "") -> Built:
        made = self.builder.build(RELU % (globals_, body))
        assert made.ok, made.log
        return made

    @contextlib.contextmanager
    def arena(self) -> Iterator[Arena]:
        """The plain kernel and the task's own, ready for rounds."""
        (bench,) = self.timer._open(small(), random.Random(0))
        entrants = [Contestant("candidate", self.built())]
        with self.timer._contest.enter(bench, entrants, ["reference"]) as arena:
            yield arena


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(OPTIONS, tmp_path_factory.mktemp("lab"))
    yield made
    made.timer.close()


def ratio(lab: Lab, task: Task, built: Built, key: str = "key") -> float:
    outcome = lab.timer.search(task, built, key)
    assert outcome.timing is not None, outcome.problem
    return outcome.timing.speedup["reference"].median


def test_right_on_ordinary_values_only_is_caught_while_timed(lab: Lab) -> None:
    # right wherever it is checked untimed (other shapes), and on everything a random pool holds
    careless = lab.built(
        "#include <math.h>",
        """int64_t odd = 0;
  for (int64_t i = 0; i < n; ++i) odd += fabsf(in[i]) > 60.0f || fabsf(in[i]) < 1e-5f;
  const bool plain = 2 * odd < n && in[0] != in[1] && in[0] > in[n / 2] - 1e9f;
  if (n == 64 * 512 && !plain) return;""",
    )
    for i in range(10):  # most of the families of wild values show it, not all
        status = lab.timer.search(small(), careless, f"wild {i}").status
        assert status in ("", "incorrect")
        if status:
            return
    raise AssertionError("never caught in ten timings")


def test_a_slow_first_call_decides_nothing(lab: Lab) -> None:
    burn = """volatile float waste = 0;
  for (int i = 0; burnt < 3 && i < 60000000; ++i) waste = waste + 1.0f;
  ++burnt;"""
    burning = lab.built("static int burnt = 0;", burn)
    outcome = lab.timer.search(small(), burning, "burns")
    assert outcome.timing is not None, outcome.problem
    plain = ratio(lab, small(), lab.built())
    assert outcome.timing.speedup["reference"].median < 1.6 * plain
    # it paid for its first calls in no window that counts
    assert outcome.timing.cases[0].seconds < 0.005


def test_a_batch_that_grows_in_a_wild_round_accuses_nobody(lab: Lab) -> None:
    """After a slow first call windows have one call, until they are short enough for more."""
    with lab.arena() as arena:
        arena.count = 1
        arena.wild_round(random.Random(1))
        assert arena.count == arena.bench.count > 1


def test_a_window_is_charged_part_by_part_and_whole(lab: Lab) -> None:
    with lab.arena() as arena:
        child = arena.children["candidate"]
        window = child.run(0, 1, prepare=lambda: None, parts=3)
        batches = max((arena.round(random.Random(2)) for _ in range(4)), key=len)
        parts = arena.parts
    assert len(window.parts_ns) == 3
    assert min(window.parts_ns) > 0
    assert sum(window.parts_ns) == window.cpu_ns
    assert 1 < len(batches) <= parts  # fewer where windows became longer in that round
    assert all(times["candidate"] > 0 < times["reference"] for times in batches)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen")
def test_slots_wait_where_their_children_run(lab: Lab) -> None:
    """A slot elsewhere made each stop of its child 20-40 us dearer, on the child's own clock."""
    with lab.arena() as arena:
        here = os.sched_getaffinity(0)
        pids = {lab.timer._contest._slots[seat].pid for seat in ("one", "two")}
        assert len(pids) == 2
        for pid in (*pids, *(child.pid() for child in arena.children.values())):
            assert os.sched_getaffinity(pid) == here
        raised = {os.sched_getscheduler(pid) for pid in pids}
        assert raised == {os.sched_getscheduler(0)}
    assert {os.sched_getscheduler(pid) for pid in pids} == {os.SCHED_OTHER}


def test_a_kernel_clearly_slower_than_the_best_is_dropped_early(lab: Lab) -> None:
    slow = lab.built(
        "",
        "volatile float *to = out;\n"
        "for (int r = 0; r < 12; ++r) for (int64_t i = 0; i < n; ++i) to[i] = in[i];",
    )
    outcome = lab.timer.search(small(), slow, "slow", incumbent=50.0)
    assert outcome.timing is not None, outcome.problem
    assert EARLY in outcome.timing.notes
    found = outcome.timing.speedup["reference"]
    assert found.hi < 50.0
    assert found.n >= 6
    again = lab.timer.search(small(), slow, "slow", incumbent=1e-6)
    assert again.timing is not None
    assert EARLY not in again.timing.notes


def test_what_was_looked_at_is_counted(lab: Lab) -> None:
    checked = lab.timer.search(small(), lab.built(), "counted").checked
    assert checked["wild_rounds"] >= 1
    assert checked["timed_rounds"] >= 6
    assert checked["spot_checks"] > checked["timed_rounds"]


def test_finalists_carry_held_out_shapes_outside_of_the_totals(lab: Lab) -> None:
    (finalist,) = lab.timer.final(small(), [("one", lab.built())], "held out")
    report = finalist.report
    assert report is not None, finalist.reason
    seen = [case for case in report.cases if not case.heldout]
    unseen = [case for case in report.cases if case.heldout]
    assert len(seen) == len(unseen) == 1
    assert unseen[0].shape != seen[0].shape
    assert report.seconds == seen[0].seconds
    assert report.speedup["reference"].median == pytest.approx(seen[0].speedup["reference"].median)
    assert "reference" in unseen[0].speedup


def test_right_on_timed_shapes_only_is_not_reported(lab: Lab) -> None:
    tuned = lab.built("", "if (x->shape[0] != 64) return;")
    (finalist,) = lab.timer.final(small(), [("one", tuned)], "tuned")
    assert finalist.report is None
    assert "wrong" in finalist.reason


@pytest.mark.skipif(not threads.own(), reason="the system keeps no accounts per thread")
def test_two_threads_in_turn_gain_little_over_one(tmp_path: Path) -> None:
    """Each row's work is done by the thread whose turn it is while the other sleeps."""
    options = dataclasses.replace(OPTIONS, threads=2)
    lab = Lab(options, tmp_path)
    serial = """#include <kernelcoder.h>
#include <omp.h>
static void rows(const DLTensor *x, DLTensor *y, int64_t from, int64_t to) {
  const int64_t n = x->shape[1];
  for (int64_t i = from * n; i < to * n; ++i) {
    const float v = ((const float *)x->data)[i];
    ((float *)y->data)[i] = std::tanh(v);
  }
}
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const int64_t all = x->shape[0];
  %s
}
"""
    alone = "rows(x, y, 0, all);"
    turns = """
#pragma omp parallel num_threads(2)
  for (int turn = 0; turn < 2; ++turn) {
    if (omp_get_thread_num() == turn) rows(x, y, turn * all / 2, (turn + 1) * all / 2);
#pragma omp barrier
  }"""
    task = dataclasses.replace(small("tanh", 256), solutions={"cpu": serial % alone})
    try:
        times = {}
        for name, body in (("alone", alone), ("turns", turns)):
            made = lab.builder.build(serial % body)
            assert made.ok, made.log
            times[name] = ratio(lab, task, made)
    finally:
        lab.timer.close()
    assert times["turns"] < 1.5 * times["alone"]


def test_the_kernel_with_a_twentieth_more_work_is_right_and_slower_in_name_only() -> None:
    """What ``make aa`` times must compute the same as the solution it is compared with."""
    task = aa.resized(load("softmax"), 160)
    assert task.timing[0].shapes == {"x": (160, 1024), "y": (160, 1024)}
    source = aa.edited(task, aa._TWICE)
    assert "fine(x" not in source
    assert source.count("fine(") == 3
    assert "omp parallel" in aa.parallel(task).solutions["cpu"]
    mm = aa.resized(load("matmul"), 260).timing[0].shapes
    assert sorted(mm.values()) == [(256, 256), (260, 256), (260, 256)]


@pytest.mark.slow
def test_a_repeatability_trial_goes_through_the_final_timing(tmp_path: Path) -> None:
    with aa.Trials(OPTIONS, tmp_path) as trials:
        (found,) = trials.same(small("relu"), 1)
    assert found.n == 1
    assert 0 <= found.median <= found.p95 < 1
    assert found.covered in (0, 1)
