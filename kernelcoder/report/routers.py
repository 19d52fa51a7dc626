# SPDX-License-Identifier: Apache-2.0
"""A cell's router in figures: how often each arm was taken, what it earned, what others would have.

A reward is what a router learns from (1 for becoming right, the gain in log speedup, the scores of
people); it is no result of the lab.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernelcoder import ledger
from kernelcoder.ledger import Event
from kernelcoder.records import Attempt
from kernelcoder.routing import offpolicy
from kernelcoder.routing.offpolicy import Estimate, Logged
from kernelcoder.routing.rewards import reward


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One arm: attempts it was chosen for and those it answered; of the latter, how many were
    verified, their mean reward (None without any), and the model ids that servers reported."""

    chosen: int
    answered: int
    verified: int
    reward: float | None
    served: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """A cell's router. ``estimates`` are the mean rewards of a decision by inverse propensities, of
    always taking one arm and of drawing among equals; ``unreachable`` attempts were answered by
    another arm than the chosen one and are in no estimate."""

    cell: str
    router: str
    decisions: int
    tasks: int
    unreachable: int
    arms: Mapping[str, ArmFigures] = field(default_factory=dict)
    estimates: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Decision:
    task: str
    attempt: Attempt
    propensities: Mapping[str, float]
    answered: str
    served: str
    reward: float


def summary(cell_dir: Path) -> Summary | None:
    """The figures of a cell's router, None if none chose anything there. Attempts that the machine
    failed say nothing and are left out."""
    events = ledger.read(cell_dir / ledger.NAME)
    names = dict.fromkeys(str(event.task) for event in events if event.kind == "ask")
    found = [one for name in names for one in _decisions(cell_dir, events, name)]
    if not found:
        return None
    routes = [event.data["route"] for event in events if event.data.get("route")]
    arms = list(routes[0]["propensities"])
    known = [one for one in found if one.answered == one.attempt.proposal.arm]
    logged = [Logged(one.task, one.answered, one.propensities, one.reward) for one in known]
    targets = {f"always {arm}": offpolicy.always(arm) for arm in arms}
    targets["uniform"] = offpolicy.uniform
    return Summary(
        cell=cell_dir.name,
        router=str(routes[0]["router"]),
        decisions=len(logged),
        tasks=len({one.task for one in logged}),
        unreachable=len(found) - len(known),
        arms={arm: _figures(arm, found) for arm in arms},
        estimates={name: offpolicy.evaluate(logged, one) for name, one in targets.items()},
    )


def _decisions(cell_dir: Path, events: Sequence[Event], task: str) -> list[_Decision]:
    mine = [event for event in events if event.task == task]
    begun = next(event.data for event in mine if event.data.get("op") == "task_begin")
    rows: dict[int, dict[str, Any]] = ledger.rows(mine)
    attempts = ledger.attempts(events, task, cell_dir)
    known = {attempt.ordinal: attempt for attempt in attempts}
    found = []
    for one in attempts:
        row = rows[one.ordinal]
        route = row["ask"].get("route")
        if route is None or one.verdict.status == "infra_error":
            continue
        worth = reward(one, known, str(begun["baseline"]))
        answered = str(row["call"].get("arm", one.proposal.arm))
        served = str(row["call"]["served"])
        found.append(_Decision(task, one, route["propensities"], answered, served, worth))
    return found


def _figures(arm: str, found: Sequence[_Decision]) -> ArmFigures:
    mine = [one for one in found if one.answered == arm]
    return ArmFigures(
        chosen=sum(one.attempt.proposal.arm == arm for one in found),
        answered=len(mine),
        verified=sum(one.attempt.verdict.verified for one in mine),
        reward=math.fsum(one.reward for one in mine) / len(mine) if mine else None,
        served=tuple(sorted({one.served for one in mine})),
    )
