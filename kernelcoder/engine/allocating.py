# SPDX-License-Identifier: Apache-2.0
"""The allocator ``headroom``: attempts go, slice by slice, to the tasks with most to gain.

Every task gets a slice first. Then, round after round, a quarter of the tasks (at least one) get
another one: those whose next slice may gain most. That is an upper bound on its expected gain
times what the roofline leaves. A round begins when all slices of the one before are judged, so who
gets what follows from results alone, never from which worker was faster, and a resumed run decides
the same again. All tasks together take BUDGET attempts each, as with ``uniform``.

Source: reference specification of methods, 4.4.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from kernelcoder.engine.search import TaskRun
from kernelcoder.records import Attempt
from kernelcoder.stop_rules import FEWEST, RECENT, expected_gain

SHARE = 4  # one task in so many gets a slice in a round
HOPE = 0.5  # log speed that a task may gain of which nothing is known
LEAST = 0.01  # of the roofline, for a task that seems to have reached it

Each = Callable[[str], None]
SideBySide = Callable[[Each, Sequence[str]], None]


def promise(attempts: Sequence[Attempt], baseline: str, size: int) -> float:
    """Upper bound on the gain in log speed of the next ``size`` attempts, times the share of the
    roofline that the best so far leaves.

    The bound is the expected improvement over the best, with the mean of the recent verified logs
    raised by its standard error. With fewer than four of those it is ``HOPE``, the less of it the
    more attempts came to nothing."""
    speeds = [attempt.speedup(baseline) for attempt in attempts]
    timings = [attempt.verdict.timing for attempt in attempts]
    reached = max((one.roofline_fraction or 0.0 for one in timings if one), default=0.0)
    left = max(LEAST, 1.0 - reached)
    recent = speeds[-RECENT:]
    logs = [math.log(speed) for speed in recent if speed is not None]
    if len(logs) < FEWEST:
        return left * HOPE * size / (size + len(attempts))
    best = max(math.log(speed) for speed in speeds if speed is not None)
    error = statistics.stdev(logs) / math.sqrt(len(logs))
    return left * size * expected_gain([log + error for log in logs], len(recent), best)


def rounds(
    runs: Sequence[TaskRun], budget: int, size: int, baseline: str, side_by_side: SideBySide
) -> None:
    """Search all tasks in rounds of slices, and end them. Passes on whatever a search raises."""
    by_name = {run.task: run for run in runs}
    limits = dict.fromkeys(by_name, min(size, budget))
    whys = dict.fromkeys(by_name, "")
    open_ones = [run.task for run in runs if run.begin()]

    def go(name: str) -> None:
        whys[name] = by_name[name].go(limits[name])

    chosen = list(by_name)
    while chosen:
        side_by_side(go, chosen)
        made = {name: run.attempts() for name, run in by_name.items()}
        left = budget * len(runs) - sum(len(one) for one in made.values())
        waiting = [name for name in by_name if whys[name] == "budget"]
        waiting.sort(key=lambda name: -promise(made[name], baseline, size))
        chosen = []
        for name in waiting[: max(1, len(runs) // SHARE)]:
            if left > 0:
                limits[name] = len(made[name]) + min(size, left)
                left -= min(size, left)
                chosen.append(name)
    for name in open_ones:
        by_name[name].end("allocation" if whys[name] == "budget" else whys[name])
