# SPDX-License-Identifier: Apache-2.0
"""The naive arm: it believes what compiles, and its claims are held against the verdicts."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import pytest
from doubles import CELL, Lab, ScriptedModel, ToldVerifier, attempt, fenced, kernel
from report import synthetic

from kernelcoder.history import STOP, History
from kernelcoder.ledger import Ledger
from kernelcoder.methods import naive as method
from kernelcoder.records import Proposal, Request
from kernelcoder.report import compare, naive, source
from kernelcoder.report.compare import Side


def history(*statuses: str) -> History:
    """A history of attempts with these statuses."""
    past = tuple(attempt(i, status, None) for i, status in enumerate(statuses))
    return History("core/relu", len(past), past, (), 8, 1, "eager")


@pytest.mark.parametrize(
    ("statuses", "compiles", "examples"),
    [
        ((), False, False),
        (("compile_error", "no_candidate"), False, False),
        (("compile_error", "runtime_error"), True, False),
        (("incorrect",), True, True),
        (("verified",), True, True),
    ],
)
def test_it_ends_with_the_first_kernel_that_came_far_enough(
    statuses: tuple[str, ...], compiles: bool, examples: bool
) -> None:
    for option, ends in ((False, compiles), (True, examples)):
        found = method.propose(history(*statuses), random.Random(0), method.Options(option))
        assert found is STOP if ends else found == Proposal("draft")


def run_of(tmp_path: Path, *outcomes: str) -> source.CellRun:
    """A cell of the naive method on one task, whose kernels are told to come out like this."""
    left = list(outcomes)

    def script(request: Request) -> str:
        return fenced(kernel(left.pop(0), str(len(left))))

    lab = Lab(tmp_path, method, method.Options(False), ScriptedModel(script), ToldVerifier())
    path = dataclasses.replace(lab, workers=1).run().path
    with Ledger(path) as ledger:
        ledger.append("control", {"op": "close"})
    axes = {"method": "naive", "model": "recipe"}
    meta = {"cell": CELL, "axes": axes, "values": {"VERIFY_TIMING": True}, "tasks": ["core/relu"]}
    (path.parent / "cell.json").write_text(json.dumps(meta))
    return source.load(path.parent)


def test_a_wrong_kernel_is_claimed_and_has_no_speed(tmp_path: Path) -> None:
    run = run_of(tmp_path, "compile_error", "incorrect", "verified 2.0")
    (task,) = run.tasks
    assert [t.ordinal for t in task.tries] == [0, 1], "the right one was never asked for"
    found = naive.claims_of(run)
    (claim,) = found.claims
    assert (claim.ordinal, claim.truth, claim.why, claim.speedup) == (1, "wrong", "incorrect", None)
    assert found.real
    assert "1 of 1 task claimed right" in naive.sentence(found)
    assert "0 right, 1 wrong, 0 unknown" in naive.sentence(found)
    assert "not measured" in naive.lines(found)[1]


def test_a_right_kernel_has_its_measured_speed(tmp_path: Path) -> None:
    run = run_of(tmp_path, "compile_error", "verified 2.0")
    (claim,) = naive.claims_of(run).claims
    final = run.tasks[0].final
    assert final is not None
    assert (claim.truth, claim.speedup) == ("right", final.speedup["eager"].median)
    assert naive.claims_of(run_of(tmp_path / "b", *["compile_error"] * 8)).silent == 1


def test_what_the_machine_failed_or_did_not_hold_is_unknown(tmp_path: Path) -> None:
    run = run_of(tmp_path, "verified 2.0")
    (task,) = run.tasks
    (final,) = task.finals
    gone = dataclasses.replace(final, select=None, report=None, reason="incorrect: 3 of 40 differ")
    shaken = dataclasses.replace(task, finals=(gone,), chosen=None)
    assert shaken.outcome == "not reproduced"
    first = task.tries[0]
    assert first.verdict is not None
    ours = dataclasses.replace(first.verdict, status="infra_error", stage="compiled", timing=None)
    failed = dataclasses.replace(
        task, tries=(dataclasses.replace(first, verdict=ours),), finals=(), chosen=None
    )
    for changed in (shaken, failed):
        found = naive.claims_of(dataclasses.replace(run, tasks=(changed,)))
        assert [(one.truth, one.speedup) for one in found.claims] == [("unknown", None)]
        assert "0 right, 0 wrong, 1 unknown" in naive.sentence(found)


def test_comparing_the_arm_says_what_it_claimed_and_what_was_true(tmp_path: Path) -> None:
    a = source.load(synthetic.cell(tmp_path, synthetic.Spec("naive", rate=0.4, rng_seed=3)))
    b = source.load(synthetic.cell(tmp_path, synthetic.Spec("best_of_n", rng_seed=4)))
    found = compare.compare([Side("A", "naive", (a,)), Side("B", "smoke", (b,))])
    (note,) = [text for text in found.notes if "measured afterwards" in text]
    assert note.startswith(a.id)
    claims = naive.claims_of(a)
    firsts = [
        next(t for t in task.tries if t.verdict is not None and t.verdict.stage != "generated")
        for task in a.tasks
    ]
    right = sum(t.verdict is not None and t.verdict.verified for t in firsts)
    ours = sum(t.quarantined for t in firsts)
    assert claims.count("right") == right
    assert claims.count("unknown") == ours
    assert f"{len(firsts)} of 20 tasks" in note
    assert not naive.claims_of(b).real
    assert "would have been claimed" in naive.sentence(naive.claims_of(b))
