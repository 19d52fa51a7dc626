# SPDX-License-Identifier: Apache-2.0
"""A verdict in at most twelve lines: what a diagnosis is made from.

Of a kernel that fails, the feedback is the digest: it says no more of hidden cases than may leave
the judge. Of one that is timed, the figures are put in the order in which they matter.
"""

from __future__ import annotations

from kernelcoder.records import Attempt, CaseTiming

LINES = 12
_WIDEST = 240  # characters of a line


def digest(attempt: Attempt, feedback: str, baseline: str) -> str:
    """The figures of an attempt. ``feedback`` is what the next prompt says of it anyway."""
    timing = attempt.verdict.timing
    if timing is None:
        lines = feedback.strip().splitlines() or [attempt.verdict.reason]
        return _fit(lines)
    lines = [
        f"Speed over {name}: {ratio.median:.2f} (95 % interval {ratio.lo:.2f} to {ratio.hi:.2f},"
        f" n = {ratio.n})."
        for name, ratio in sorted(timing.speedup.items(), key=lambda one: one[0] != baseline)
    ]
    if timing.roofline_fraction:
        lines.append(f"Over all timed cases: {_headroom(timing.roofline_fraction)}.")
    cases = sorted(timing.cases, key=lambda case: _speedup(case, baseline))
    if cases:
        lines.append("Timed cases, the worst first:")
    lines += [_case(case, baseline) for case in cases]
    return _fit([*lines, *timing.notes])


def _case(case: CaseTiming, baseline: str) -> str:
    shape = "x".join(str(size) for size in case.shape)
    text = f"- {shape} {case.dtype}, {case.regime} cache: {case.seconds * 1e6:.1f} us per call"
    if ratio := case.speedup.get(baseline):
        text += f", {ratio.median:.2f} of {baseline} ({ratio.lo:.2f} to {ratio.hi:.2f})"
    return f"{text}, {_headroom(case.roofline_fraction)}" if case.roofline_fraction else text


def _speedup(case: CaseTiming, baseline: str) -> float:
    ratio = case.speedup.get(baseline)
    return ratio.median if ratio else float("inf")


def _headroom(fraction: float) -> str:
    """``fraction`` of the roofline reached, and the factor that is left."""
    return (
        f"{100 * fraction:.0f} % of what memory and arithmetic allow"
        f" (at most {max(1.0, 1.0 / fraction):.1f} times faster)"
    )


def _fit(lines: list[str]) -> str:
    return "\n".join(line[:_WIDEST] for line in lines[:LINES])
