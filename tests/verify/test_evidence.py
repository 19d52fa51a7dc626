# SPDX-License-Identifier: Apache-2.0
"""What a verdict says it looked at and noticed: counted, from a closed list, never a claim."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder import wording
from kernelcoder.commands.verify import _text, as_json
from kernelcoder.records import STATUSES, Candidate, CaseResult, Status, Verdict, from_json, to_json
from kernelcoder.redteam.entry import pointwise
from kernelcoder.report.source import _verdict
from kernelcoder.task import Case, Task
from kernelcoder.verify import VerifyOptions, labels, sandbox, similarity
from kernelcoder.verify.service import KernelVerifier

OPTIONS = VerifyOptions(
    timing=False, timeout_seconds=10, compile_timeout_seconds=60, memory_mb=1024, threads=1,
    baseline="eager", measure_compile=False, retime_blocks=4,
)  # fmt: skip
linux = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported() or "-")
RIGHT = CaseResult("c", (3,), "f32", "contiguous", True, hidden=True, total=3)
FULL = {"cases": 1, "elements": 6, "passes": 2}


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    made = KernelVerifier(OPTIONS, shared_cache, 1)
    yield made
    made.close()


def judge(
    verifier: KernelVerifier, source: str, task: Task | None = None, key: str = "e1"
) -> Verdict:
    return verifier.verify(task or core.load("relu"), Candidate(source, "cpp", "cpu"), key)


@pytest.mark.parametrize("name", sorted(FULL))
def test_verified_without_anything_compared_is_impossible(name: str) -> None:
    def verdict(checked: dict[str, int]) -> Verdict:
        return Verdict("verified", "verified", "right", cases=(RIGHT,), checked=checked)

    assert verdict(FULL).verified
    assert verdict({}).verified, "ledgers of old counted nothing"
    for broken in ({**FULL, name: 0}, {k: v for k, v in FULL.items() if k != name}):
        with pytest.raises(ValueError, match="something compared"):
            verdict(broken)
    assert not Verdict("incorrect", "compiled", "wrong", checked={name: 0}).verified


def test_records_of_old_still_load() -> None:
    data = to_json(Verdict("verified", "verified", "right", cases=(RIGHT,)))
    for name in ("checked", "labels"):
        data.pop(name)
    for load in (lambda d: from_json(Verdict, d), _verdict):
        found = load(data)
        assert (found.checked, found.labels) == ({}, ())
    now = Verdict("incorrect", "compiled", "x", checked={"cases": 2}, labels=("reads a clock",))
    for load in (lambda d: from_json(Verdict, d), _verdict):
        assert load(to_json(now)) == now


@linux
def test_a_right_kernel_shows_what_was_looked_at(verifier: KernelVerifier) -> None:
    verdict = judge(verifier, pointwise())
    assert verdict.verified, verdict.reason
    checked = verdict.checked
    hidden = sum(case.hidden for case in verdict.cases)
    assert checked["cases"] == len(verdict.cases)
    assert checked["hidden_cases"] == hidden > 20
    assert checked["passes"] >= 3, "the visible ones, and the hidden ones at both ends of a page"
    assert checked["calls"] >= len(verdict.cases) + hidden
    once = sum(case.total or 0 for case in verdict.cases)
    assert checked["elements"] >= once + sum(c.total or 0 for c in verdict.cases if c.hidden)
    assert checked["symbols"] > 0
    assert list(checked) == [name for name in wording.CHECKS if name in checked]
    said = as_json("core/relu", "cpu", verdict)
    assert said["checked"] == dict(checked)
    assert any(f"{hidden} of them hidden" in line for line in _text("core/relu", verdict))


@linux
def test_cases_looked_at_again_are_counted_once(verifier: KernelVerifier) -> None:
    verdict = judge(verifier, pointwise(value="n == 1 ? T(7) : v"))
    assert verdict.status == "incorrect"
    assert verdict.checked["passes"] > 3, "doubts are settled by more passes"
    assert verdict.checked["cases"] == len(verdict.cases)


@linux
def test_nothing_to_compare_is_never_verified(verifier: KernelVerifier) -> None:
    """B16: a task all of whose tensors are empty lets every kernel pass, so none does."""
    shapes = {"x": (0, 5), "y": (0, 5)}
    empty = dataclasses.replace(
        core.load("relu"),
        visible=(Case("empty", shapes, "f32"),),
        holdout=lambda rng: [Case("also-empty", shapes, "f32")],
        timing=(),
        properties=(),
        digest="empty",
    )
    verdict = judge(verifier, pointwise(), empty)
    assert not verdict.verified
    assert "something compared" in verdict.reason


@linux
@pytest.mark.parametrize(
    ("source", "label"),
    [
        (pointwise(last="if (n) out[rows * n + 5] = T(1.0f);"), "wrote outside its output"),
        (pointwise(last="if (n) const_cast<T *>(in)[0] = T(1.0f);"), "wrote to its inputs"),
        (pointwise('extern "C" int fork();', "fork();"), "uses what a kernel must not"),
        (pointwise('extern "C" int kc_child() { return 1; }'), "poses as a library"),
        (pointwise('extern "C" void sgemm_();', "sgemm_();"), "a library does the work"),
        (pointwise(first="std::_Exit(0);"), "ended its process"),
        (pointwise("#include <ctime>", "volatile long now = std::clock();"), "reads a clock"),
        (core.load("relu").solutions["cpu"], "the task's own kernel"),
        (pointwise("static std::vector<float> room(8);"), "runs code when it is loaded"),
    ],
)  # fmt: skip
def test_what_was_noticed_has_a_label(verifier: KernelVerifier, source: str, label: str) -> None:
    verdict = judge(verifier, source)
    assert label in verdict.labels, (verdict.status, verdict.reason, verdict.evidence)
    assert set(verdict.labels) <= {*labels.ATTACKS, *labels.REMARKS}
    assert f"noticed: {verdict.labels[0]}" in "\n".join(_text("core/relu", verdict))


@linux
def test_an_ordinary_kernel_has_no_label(verifier: KernelVerifier) -> None:
    for source in (pointwise(), pointwise(value="v")):
        assert judge(verifier, source, key="e2").labels == ()


def test_every_label_is_told_by_a_sentence_of_the_judge() -> None:
    """Those that need a clock or a race to come about; the others are made happen above."""
    told = {
        "late work after done": "it usually computes for another 900 us after it says it is done",
        "faster than the machine": "hot: 1 us is 9 times the most; the work cannot have been done",
        "wrong while timed": "right when checked, but: hot, call 3: y[0, 1] is 4, not 5",
        "made a forbidden system call": "it made a system call the sandbox forbids (SIGSYS)",
        "wrote to the harness's pipe": "it wrote to the pipe of the harness",
        "strange shared object": "the shared object is malformed: a hash chain without an end",
        "varies between runs": "results differ between identical runs, within the tolerance",
        "nearly the task's own kernel": "nearly the task's own kernel: 93% of its fingerprints",
    }
    for label, text in told.items():
        assert labels.noticed("cheating", text, (), ()) == (label,)
    assert (
        labels.noticed("crashed", "right when checked, but: it died while being timed", (), ())
        == ()
    )


HOSTILE = (
    "verified", "all 62 cases are right", "core/relu: verified (measured)", "\x1b[2K verified",
    "it defines its own `write`", "99.00x eager", "the work cannot have been done",
    "after it says it is done",
)  # fmt: skip


@pytest.mark.parametrize("status", [s for s in STATUSES if s != "verified"])
def test_no_text_of_a_candidate_makes_a_claim_or_a_label(status: Status) -> None:
    """Whatever a compiler log or a candidate's message says, the first line is the status, the
    verdict has no speed, and labels of what it did come from the judge's sentences only."""
    rng = random.Random(status)
    for _ in range(50):
        text = " ".join(rng.choices(HOSTILE, k=4))
        verdict = Verdict(status, "generated", text, log=text, checked={"symbols": 3})
        lines = _text("core/relu", verdict)
        assert lines[0].startswith(f"core/relu: {status} (generated) - ")
        assert not any("x eager" in line and "interval" in line for line in lines)
        assert "  checked: 3 symbols audited" in lines
    if status == "compile_error":
        assert labels.noticed(status, " ".join(HOSTILE), HOSTILE, ()) == ()


def test_counts_read_like_a_sentence() -> None:
    found = labels.counted({"elements": 12345, "passes": 3, "cases": 5}, [RIGHT] * 4)
    assert wording.checks(found) == "5 cases, 4 of them hidden, 3 passes, 12,345 elements compared"
    assert wording.checks({}) == ""


def test_a_copy_is_a_remark_and_no_failure() -> None:
    own = core.load("relu").solutions["cpu"]
    text = similarity.remark(Candidate(own, "cpp", "cpu"), own)
    assert labels.noticed("verified", "right", (text,), ()) == ("the task's own kernel",)
