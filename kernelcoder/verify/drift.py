# SPDX-License-Identifier: Apache-2.0
"""Whether a baseline took its usual time beside a candidate.

A candidate that evicts caches or heats the machine makes its baseline slow, and itself look fast.
A baseline is first timed before any candidate, then its usual time is the median over the last
timings, each beside another candidate. Where it is far off, the timing is repeated once; where it
stays so, the timing says it.
"""

from __future__ import annotations

import math
import statistics
from collections import deque

FAR = 1.3  # times the usual, either way; the scatter of a busy machine is below it
_KEPT = 9


class Usual:
    """Usual seconds per call of each (bench, baseline). Not thread-safe: the lease guards it."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], deque[float]] = {}

    def off(self, bench: str, baseline: str, seconds: float, alone: float | None) -> float:
        """The factor to the usual time, ``alone`` being the time before any candidate; 1.0 if it
        is within ``FAR`` or there is nothing to compare with."""
        seen = self._seen.get((bench, baseline))
        usual = statistics.median(seen) if seen else alone
        if usual is None:
            return 1.0
        factor = seconds / usual
        return factor if abs(math.log(factor)) > math.log(FAR) else 1.0

    def add(self, bench: str, baseline: str, seconds: float) -> None:
        """Remember a time."""
        self._seen.setdefault((bench, baseline), deque(maxlen=_KEPT)).append(seconds)

    def forget(self, bench: str) -> None:
        """Drop what is known of a bench."""
        for key in [key for key in self._seen if key[0] == bench]:
            self._seen.pop(key)
