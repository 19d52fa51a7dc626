# SPDX-License-Identifier: Apache-2.0
"""Rules that end a task before its budget does. All are off by default.

They say when to stop and never what a cell means, so they are in no cell id. Each is decided
before an attempt is asked for, from the results visible then by the fixed-lag rule: how many
workers there are changes nothing. A task that a rule ended keeps what the rule saw; once the
settings no longer say stop to that, the task goes on where it was.

Speedups are search timings, which may be lucky: a task can end just below its target when timed
again. The rules are those of the reference specification of methods, 4.4.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.budget import Caps, may_go_on
from kernelcoder.records import Attempt

SHARE = 0.25  # of the budget that must pass without a gain, beside the attempts of the patience
RECENT = 16  # attempts that the expected gain is estimated from
FEWEST = 4  # verified ones among them, below which nothing is estimated


@dataclass(frozen=True, slots=True)
class StopRules:
    """Filled from ``BUDGET_STOP_*``; 0 is off. ``speedup_percent``: of the baseline's speed;
    ``roofline_percent``: of what the machine allows; ``patience``: attempts without a gain above
    the noise; ``gain_basis_points``: least expected gain of an attempt, in 1/10000."""

    speedup_percent: int
    roofline_percent: int
    patience: int
    gain_basis_points: int

    @property
    def any(self) -> bool:
        """Whether any rule is on."""
        return bool(
            self.speedup_percent or self.roofline_percent or self.patience or self.gain_basis_points
        )


OFF = StopRules(0, 0, 0, 0)


def rules_of(values: Mapping[str, Any]) -> StopRules:
    """The rules of a cell's values; cells recorded before there were any have none."""
    return StopRules(
        int(values.get("BUDGET_STOP_SPEEDUP_PERCENT", 0)),
        int(values.get("BUDGET_STOP_ROOFLINE_PERCENT", 0)),
        int(values.get("BUDGET_STOP_PATIENCE", 0)),
        int(values.get("BUDGET_STOP_GAIN_BASIS_POINTS", 0)),
    )


def sights(seen: Sequence[Attempt], baseline: str, noise: float) -> dict[str, float]:
    """What each rule looks at: the best ``speedup`` and ``roofline`` fraction so far, the attempts
    ``idle`` since the last gain above ``noise``, the expected ``gain`` of one more attempt. Those
    that cannot be told are not in it."""
    speeds = [attempt.speedup(baseline) for attempt in seen]
    timings = [attempt.verdict.timing for attempt in seen]
    roofs = [one.roofline_fraction for one in timings if one and one.roofline_fraction]
    found: dict[str, float] = {"idle": _idle(seen, speeds, noise)}
    if known := [speed for speed in speeds if speed is not None]:
        found["speedup"] = max(known)
    if roofs:
        found["roofline"] = max(roofs)
    recent = speeds[-RECENT:]
    logs = [math.log(speed) for speed in recent if speed is not None]
    if len(logs) >= FEWEST and "speedup" in found:
        found["gain"] = expected_gain(logs, len(recent), math.log(found["speedup"]))
    return found


def _idle(seen: Sequence[Attempt], speeds: Sequence[float | None], noise: float) -> int:
    """Attempts since the best so far was last passed by more than the noise. The first verified
    kernel is a gain; where nothing is timed it is the only one."""
    best: float | None = None
    last = 0
    for place, (attempt, speed) in enumerate(zip(seen, speeds, strict=True), 1):
        if not attempt.verdict.verified:
            continue
        value = speed if speed is not None else 0.0
        if best is None or value > best * (1 + noise):
            best, last = value, place
    return len(seen) - last


def expected_gain(logs: Sequence[float], tried: int, best: float) -> float:
    """Expected gain in log speed of one more attempt of the kind of the recent ones.

    Expected improvement of a normal variable over the best (Jones, Schonlau and Welch 1998):
    p ((m - b) Phi(z) + s phi(z)), z = (m - b) / s, with mean m and standard deviation s of the
    verified ``logs`` and the chance p = (n + 1) / (tried + 2) of being verified at all."""
    mean, spread = statistics.fmean(logs), statistics.stdev(logs)
    chance = (len(logs) + 1) / (tried + 2)
    if spread == 0.0:
        return chance * max(0.0, mean - best)
    z = (mean - best) / spread
    normal = statistics.NormalDist()
    return chance * ((mean - best) * normal.cdf(z) + spread * normal.pdf(z))


def says_stop(rules: StopRules, name: str, value: float, budget: int) -> bool:
    """Whether a rule stops at what it saw: ``name`` and ``value`` as in :func:`sights`."""
    if name == "speedup":
        return 0 < rules.speedup_percent <= 100 * value
    if name == "roofline":
        return 0 < rules.roofline_percent <= 100 * value
    if name == "idle":
        return 0 < rules.patience <= value and value >= SHARE * budget
    return 10_000 * value < rules.gain_basis_points


_SENTENCES = {
    "speedup": "the target is reached: {:.2f}x in the search",
    "roofline": "the target is reached: {:.2f} of what the machine allows",
    "idle": "no gain above the noise in {:.0f} attempts",
    "gain": "one more attempt is expected to gain {:.4f} in log speed",
}


def halt(
    rules: StopRules, seen: Sequence[Attempt], budget: int, baseline: str, noise: float
) -> dict[str, Any] | None:
    """``{"why": sentence, "rule": name, "saw": value}`` of the first rule that stops, or None.
    ``seen`` are the attempts visible now, in order."""
    if not rules.any or not seen:
        return None
    for name, value in sights(seen, baseline, noise).items():
        if says_stop(rules, name, value, budget):
            return {"why": _SENTENCES[name].format(value), "rule": name, "saw": value}
    return None


def goes_on(
    end: Mapping[str, Any], attempts: int, budget: int, caps: Caps, rules: StopRules
) -> bool:
    """Whether a task that ended (``end``: data of its task_end) after ``attempts`` has more to do
    under the budget, caps and rules of today."""
    if "rule" in end:
        stops = says_stop(rules, str(end["rule"]), float(end["saw"]), budget)
        return not stops and attempts < budget
    return may_go_on(end, attempts, budget, caps)


def looser(name: str, old: int, new: int) -> bool:
    """Whether a rule that was ``old`` allows more now; 0 is off."""
    if not old or old == new:
        return False
    return not new or (new < old if name == "BUDGET_STOP_GAIN_BASIS_POINTS" else new > old)
