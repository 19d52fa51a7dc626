# SPDX-License-Identifier: Apache-2.0
"""Naive, a control: the first kernel that compiles is taken to be right, and the search ends.

Source: none; it is what many a script around a model does. The verifier judges every attempt all
the same, so what was claimed can be held against what was true (report/naive.py); the drafts are
those that all methods share.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import STOP, History
from kernelcoder.records import Proposal, Verdict

draft_only = False
anytime = True


@dataclass(frozen=True, slots=True)
class Options:
    """``examples``: a kernel must also pass the visible cases before it is believed."""

    examples: bool


def claims(verdict: Verdict, examples: bool) -> bool:
    """Whether a naive harness would call this kernel right: it looks at how far the kernel came,
    and never at hidden cases, guards or audits."""
    return verdict.stage != "generated" and (verdict.stage != "compiled" or not examples)


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """Drafts until one is claimed."""
    if any(claims(attempt.verdict, options.examples) for attempt in history.attempts):
        return STOP
    return Proposal("draft")
