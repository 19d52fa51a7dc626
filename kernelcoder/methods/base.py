# SPDX-License-Identifier: Apache-2.0
"""Base: ask once and take what comes. What a model can do without any search.

Source: reference specification of methods, M0. One draft a task, whatever the budget. A memory's
seeds may have been tried before it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import STOP, History
from kernelcoder.records import Proposal

draft_only = True
anytime = True
at_most = 1  # attempts per task whatever BUDGET says; bench and matrix plan with it


@dataclass(frozen=True, slots=True)
class Options:
    """No options."""


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """One draft, then STOP."""
    return Proposal("draft") if history.ordinal == history.issued("seed", "probe") else STOP
