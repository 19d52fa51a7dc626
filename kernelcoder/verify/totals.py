# SPDX-License-Identifier: Apache-2.0
"""From times to records: one case against the roofline floor, and the mean over the cases."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from kernelcoder.records import CaseTiming, Ratio, Timing
from kernelcoder.task import Case
from kernelcoder.verify.arena import Unfair
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.roofline import Roofs

# A kernel may look this much faster than the measured roof before it is called impossible. Roofs
# are measured on data that nobody has just rewritten, with the same compiler and clock, at the best
# of the working sets around the case's own, and again before anybody is accused: on a busy machine
# they come out too low, never too high. A hot working set may in part lie in a faster cache.
IMPOSSIBLE = {"hot": 2.0, "cold": 1.25}
AGAIN = 3  # roofs are measured so often again before a kernel is accused of beating them


def regime(case: Case) -> str:
    """``hot`` or ``cold``: the first word of a timing case's name."""
    return case.name.split("-", 1)[0]


class Floor:
    """Times no kernel can have: less than ``bound / IMPOSSIBLE`` on ``threads`` threads."""

    def __init__(self, roofs: Roofs, threads: int) -> None:
        self._roofs, self._threads = roofs, threads

    def fraction(self, bench: Bench, seconds: float) -> float:
        """The share of the roof a time per call reaches; raises Unfair if that is impossible."""
        task, case = bench.task, bench.case
        nbytes, flops = task.bytes(case), task.flops(case)
        limit, fraction = IMPOSSIBLE[regime(case)], 0.0
        for turn in range(1 + AGAIN):
            # Each thread can at best have a processor and its bandwidth to itself.
            roof = self._roofs.roof(bench.working_set, again=turn > 0)
            fraction = roof.bound(nbytes, flops) / self._threads / seconds
            if fraction <= limit:
                return fraction
            if turn and fraction > 4 * limit:  # no neighbor takes that much of a machine
                break
        raise Unfair(
            f"{case.name}: {seconds * 1e6:.1f} us per call is {fraction:.2f} times what this"
            " machine's measured bandwidth and peak allow; the work cannot have been done",
            "cheating",
        )


def case_timing(
    bench: Bench,
    floor: Floor,
    seconds: Sequence[float],
    ratios: dict[str, Ratio],
    heldout: bool = False,
) -> CaseTiming:
    """One case's record; raises Unfair if the time lies below the roofline floor."""
    task, case = bench.task, bench.case
    middle = statistics.median(seconds)
    fraction = floor.fraction(bench, middle)
    shape = tuple(case.shapes[task.inputs[0].name])
    return CaseTiming(case.name, shape, case.dtype, regime(case), middle, ratios, fraction, heldout)


def combine(
    kind: str,
    cases: Sequence[CaseTiming],
    notes: tuple[str, ...],
    speedup: dict[str, Ratio] | None = None,
) -> Timing:
    """Over the cases that are not held out: geometric mean of ratios and of roofline fractions, sum
    of seconds.

    Without block-wise ratios the interval is the geometric mean of the cases' ends, which is
    conservative."""
    counted = [case for case in cases if not case.heldout]
    if speedup is None:
        names = set.intersection(*(set(case.speedup) for case in counted)) if counted else set()
        speedup = {
            name: mean_ratio([case.speedup[name] for case in counted]) for name in sorted(names)
        }
    fractions = [case.roofline_fraction for case in counted if case.roofline_fraction]
    return Timing(
        kind="search" if kind == "search" else "final",
        speedup=speedup,
        roofline_fraction=statistics.geometric_mean(fractions) if fractions else None,
        seconds=sum(case.seconds for case in counted),
        cases=tuple(cases),
        notes=notes,
    )


def mean_ratio(ratios: Sequence[Ratio]) -> Ratio:
    """Geometric mean of medians and of interval ends; the least ``n``."""

    def mean(values: Sequence[float]) -> float:
        return statistics.geometric_mean(values)

    return Ratio(
        mean([r.median for r in ratios]),
        mean([r.lo for r in ratios]),
        mean([r.hi for r in ratios]),
        min(r.n for r in ratios),
    )
