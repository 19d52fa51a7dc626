# SPDX-License-Identifier: Apache-2.0
"""When a finalist has had enough blocks of its final timing.

It goes on until its speedup is known well enough for what it is read for, until it is clearly worse
than another finalist, or until its time is up. To look at an interval after each block and stop at
the first narrow one would favor intervals that are narrow by chance; blocks_ratio keeps that in
bounds, since it never believes blocks to agree better than their own errors let them. Simulated
(tests/verify/test_timing_finals.py), 92 to 100 % of the intervals contain the truth, fewest where
blocks differ by more than their errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kernelcoder.records import Ratio
from kernelcoder.verify.intervals import half_width

# Half the width of the 95 % interval to be reached: with one thread, and with several, whose times
# scatter more.
_ONE, _SEVERAL = 0.01, 0.015
# Far from 1 a share of the distance will do: nobody asks whether 3x was 3.1x.
_SHARE = 0.05


def goal(ratio: Ratio, threads: int) -> float:
    """The half width (of the logarithm) to be reached for a speedup like this one."""
    least = _ONE if threads == 1 else _SEVERAL
    return max(least, _SHARE * abs(math.log(ratio.median)))


def known(ratio: Ratio, threads: int) -> bool:
    """Whether a speedup is known as well as it needs to be."""
    return half_width(ratio) <= goal(ratio, threads)


def beaten(ratio: Ratio, others: Sequence[Ratio]) -> bool:
    """Whether another finalist is better beyond doubt."""
    return any(ratio.hi < other.lo for other in others)


def sentence(ratio: Ratio, threads: int, seconds: float, over: bool) -> str:
    """What a report says about where it stopped; ``over``: because the time was up."""
    width = f"{half_width(ratio):.1%}"
    if not over:
        return f"timed until its speedup was known to {width}: {ratio.n} blocks"
    wanted = f"{goal(ratio, threads):.1%}"
    return (
        f"its {seconds:.0f} s of final timing were over after {ratio.n} blocks, with the speedup"
        f" known to {width} and not to {wanted}"
    )
