# SPDX-License-Identifier: Apache-2.0
"""Sequential conditioned sampling: a new program each time, shown some of the right ones so far.

Source: reference specification of methods, M3. Up to ``SHOWN`` earlier verified kernels, drawn
uniformly, stand in the prompt with their scores; the model is asked for a different and faster
one. Before the first success it drafts.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import History
from kernelcoder.records import Proposal

draft_only = False
anytime = True


@dataclass(frozen=True, slots=True)
class Options:
    """``shown``: at most so many kernels in the prompt."""

    shown: int


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """A rewrite that sees a uniform sample of the distinct verified kernels."""
    pool = [attempt.ordinal for attempt in history.correct if attempt.duplicate_of is None]
    if not pool:
        return Proposal("draft")
    shown = rng.sample(pool, min(options.shown, len(pool)))
    return Proposal("rewrite", shown=tuple(sorted(shown)))
