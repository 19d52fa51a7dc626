# SPDX-License-Identifier: Apache-2.0
"""The feedback text: bounded, specific, and without anything that must stay with the judge."""

from __future__ import annotations

from kernelcoder.records import CaseResult, CaseTiming, Ratio, Timing, Verdict
from kernelcoder.verify.feedback import LIMIT, feedback


def case(number: int = 0, ok: bool = False, hidden: bool = True) -> CaseResult:
    return CaseResult(
        name=f"hidden-{number:02d}-grid",
        shape=(37, 79),
        dtype="f16",
        layout="strided",
        ok=ok,
        hidden=hidden,
        max_abs=0.25,
        max_rel=0.5,
        max_ulp=1234.0,
        mismatches=12,
        total=2923,
        cause="" if ok else f"output not written in the last {number + 1} columns",
    )


def incorrect(*cases: CaseResult, evidence: tuple[str, ...] = ()) -> Verdict:
    return Verdict("incorrect", "smoke_passed", "1 case is wrong", evidence=evidence, cases=cases)


def test_failing_cases_are_described() -> None:
    text = feedback(incorrect(case(3), case(1, ok=True)), "cpp")
    for part in ("incorrect", "hidden-03-grid", "37x79", "f16", "strided", "12 of 2923", "1 of 2"):
        assert part in text
    assert "last 4 columns" in text
    assert "hidden-01" not in text


def test_many_failures_stay_within_the_limit() -> None:
    text = feedback(incorrect(*(case(n) for n in range(60)), evidence=("x" * 500,) * 20), "cpp")
    assert len(text) <= LIMIT
    assert "and 54 more" in text


def test_a_giant_reason_is_cut() -> None:
    assert len(feedback(Verdict("refused", "generated", "r" * 10_000), "cpp")) <= LIMIT


def test_compile_errors_show_the_first_error_only_from_the_log() -> None:
    log = (
        "kernel.cpp:3:5: error: 'foo' was not declared\n  3 | foo\nkernel.cpp:9:1: error: second\n"
    )
    verdict = Verdict("compile_error", "generated", "'foo' was not declared", log=log)
    text = feedback(verdict, "cpp")
    assert "'foo' was not declared" in text
    assert "second" not in text


def test_the_log_of_a_run_is_never_shown() -> None:
    for status in ("crashed", "runtime_error", "timeout", "oom", "cheating"):
        verdict = Verdict(status, "smoke_passed", "it ended", log="hidden value 42.5")  # type: ignore[arg-type]
        assert "42.5" not in feedback(verdict, "cpp")


def test_timing_comes_with_its_uncertainty_and_the_room_left() -> None:
    ratio = Ratio(1.5, 1.25, 1.75, 9)
    cases = tuple(
        CaseTiming(name, (4, 5), "f32", name, 2e-5, {"eager": ratio}, fraction)
        for name, fraction in (("hot", 0.3), ("cold", 0.9))
    )
    timing = Timing("search", {"eager": ratio}, 0.5, 4e-5, cases)
    good = Verdict("verified", "measured", "all right", cases=(case(ok=True),), timing=timing)
    text = feedback(good, "cpp")
    for part in ("1.50x eager", "1.25 to 1.75", "n = 9", "20.0 us", "30 %", "little left"):
        assert part in text
    assert text.count("little left") == 1


def test_our_fault_is_not_blamed_on_the_kernel() -> None:
    text = feedback(Verdict("infra_error", "compiled", "disk full"), "cpp")
    assert "disk" not in text
