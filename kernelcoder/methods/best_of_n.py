# SPDX-License-Identifier: Apache-2.0
"""Best of N: independent drafts from one prompt, the fastest verified one wins.

Source: reference specification of methods, M1. With ``HINTS`` the drafts carry strategy sentences
round-robin; they are then exchangeable only within a hint, and estimators must stratify by it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import History
from kernelcoder.records import Proposal

draft_only = True
anytime = True

STRATEGIES = (
    "Write the plainest right kernel first; make the inner loop one the compiler can vectorize.",
    "Touch memory as few times as possible: fuse passes and keep intermediate values in registers.",
    "Break the dependency chain: several independent accumulators, combined at the end.",
    "Block the loops so that the working set of the inner ones stays in the nearest cache.",
    "Replace library calls in the inner loop by arithmetic that vectorizes, at full accuracy.",
    "Take a fast path for contiguous rows and a general path for every other layout.",
)


@dataclass(frozen=True, slots=True)
class Options:
    """``hints``: give the drafts the sentences of STRATEGIES in turn."""

    hints: bool


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """A draft; the engine stops at the budget."""
    draft = history.ordinal - history.issued("seed", "probe")
    hint = STRATEGIES[draft % len(STRATEGIES)] if options.hints else ""
    return Proposal("draft", hint=hint)
