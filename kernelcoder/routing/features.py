# SPDX-License-Identifier: Apache-2.0
"""What a router looks at before it chooses: numbers of size about 1, always in the same order."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

from kernelcoder.records import STAGES, Attempt
from kernelcoder.task import Task

ROLES = ("draft", "refine", "debug", "other")
FAMILIES = 6  # categories of tasks share so many places by a hash: a new suite needs no list here
NAMES = (
    "bias",
    *(f"role {name}" for name in ROLES),
    *(f"family {place}" for place in range(FAMILIES)),
    "log bytes",
    "arithmetic intensity",
    "headroom",
    "parent stage",
    "attempts so far",
    "budget left",
)


def role_of(role: str) -> str:
    """The class of a role; rewrites, crosses and plans count as one."""
    return role if role in ROLES else "other"


def features(
    task: Task, role: str, parents: Sequence[Attempt], seen: Sequence[Attempt], at: int, budget: int
) -> tuple[float, ...]:
    """The features of an attempt, in the order of ``NAMES``.

    ``seen`` are the visible attempts, ``parents`` those the prompt shows to work on, ``at`` the
    ordinal. Log bytes (base 10, a tenth) and intensity (ln(1 + flops per byte), a fifth) are of the
    largest visible case; headroom is 1 less the best share of the roofline so far, 1 if nothing is
    timed; the parent's stage is 0 (generated, or no parent) to 1 (measured)."""
    family = zlib.crc32(task.category.encode()) % FAMILIES
    size = max((task.bytes(case) for case in task.visible), default=0)
    flops = max((task.flops(case) for case in task.visible), default=0)
    shares = [one.verdict.timing.roofline_fraction or 0.0 for one in seen if one.verdict.timing]
    stage = max((STAGES.index(one.verdict.stage) for one in parents), default=0)
    return (
        1.0,
        *(float(role_of(role) == name) for name in ROLES),
        *(float(place == family) for place in range(FAMILIES)),
        math.log10(1 + size) / 10,
        math.log1p(flops / size if size else 0.0) / 5,
        1.0 - min(1.0, max(shares, default=0.0)),
        stage / (len(STAGES) - 1),
        math.log1p(at) / 5,
        max(0.0, 1.0 - at / max(1, budget)),
    )


def parents_of(attempt: Attempt, known: Mapping[int, Attempt]) -> list[Attempt]:
    """The attempts whose kernels stood in the prompt of this one, as far as they are known."""
    wanted = (*attempt.proposal.parents, *attempt.proposal.shown)
    return [known[one] for one in wanted if one in known]
