# SPDX-License-Identifier: Apache-2.0
"""The engine's side of a router: which attempts it has seen, what it chose, and who answered.

The choice for an ordinal is folded from exactly the attempts visible there, in their order, on top
of what the tasks before taught; the ask event holds the features it was made from and the chance
every arm had. A resumed run therefore chooses the same again.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kernelcoder.budget import Caps
from kernelcoder.engine.asking import Setting
from kernelcoder.engine.calling import Caller, Unreachable
from kernelcoder.engine.routes import Routes
from kernelcoder.history import History, rng_of
from kernelcoder.models.plane.lines import Line
from kernelcoder.records import Attempt, Proposal, Reply, Request
from kernelcoder.routing import Outcome, Pick, Situation
from kernelcoder.routing.features import features
from kernelcoder.routing.rewards import reward
from kernelcoder.task import Task

Rows = Mapping[int, Mapping[str, Any]]


def planned(caps: Caps, budget: int) -> tuple[str, float] | None:
    """What a cap plans for one of a task's attempts: ``usd`` or ``tokens``, and how much. None
    without a cap. It is recorded with the choice: a cap that is raised later changes no past."""
    if caps.usd is not None:
        return "usd", caps.usd / max(1, budget)
    return None if caps.tokens is None else ("tokens", caps.tokens / max(1, budget))


def outcome(
    attempt: Attempt, row: Mapping[str, Any], known: Mapping[int, Attempt], baseline: str
) -> Outcome | None:
    """What a router learns of a judged attempt; ``row`` are its events. None where no router chose
    (a given source), or where the machine failed."""
    route = row["ask"].get("route")
    if route is None or attempt.verdict.status == "infra_error":
        return None
    return Outcome(
        arm=str(row["call"].get("arm", attempt.proposal.arm)),
        role=attempt.proposal.role,
        features=tuple(route["features"]),
        status=attempt.verdict.status,
        reward=reward(attempt, known, baseline),
        share=_share(attempt, route["plan"]),
        unreachable=tuple(row["call"].get("unreachable", ())),
    )


def _share(attempt: Attempt, plan: Sequence[Any] | None) -> float | None:
    if plan is None or not plan[1]:
        return None
    usage = attempt.usage
    if plan[0] == "usd":
        return None if usage.cost_usd is None else usage.cost_usd / float(plan[1])
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return (usage.input_tokens + usage.output_tokens) / float(plan[1])


def outcomes(attempts: Sequence[Attempt], rows: Rows, baseline: str) -> list[Outcome]:
    """The outcomes of attempts in ordinal order; ``rows`` are the task's events by ordinal."""
    known = {attempt.ordinal: attempt for attempt in attempts}
    found = (outcome(one, rows[one.ordinal], known, baseline) for one in attempts)
    return [one for one in found if one is not None]


def after(routes: Routes, snapshot: object, finished: Sequence[Outcome]) -> object:
    """The snapshot after a task, given the one before it."""
    state = routes.router.begin(snapshot, routes.options)
    for one in finished:
        state = routes.router.learn(state, one, list(routes.arms), routes.options)
    return state


@dataclass(slots=True)
class TaskRouter:
    """The router on one task. ``snapshot`` is what earlier tasks taught, ``rows`` the task's
    events, kept up to date by the search."""

    setting: Setting
    routes: Routes
    task: Task
    caps: Caps
    snapshot: object
    rows: Rows
    _folded: list[Outcome] = field(default_factory=list)
    _state: object = None

    def choose(self, history: History, proposal: Proposal, key: str) -> tuple[Proposal, Any]:
        """The proposal with its arm (and the arm's recipe, where the method names none), and what
        the ask event says of the choice."""
        by_ordinal = {attempt.ordinal: attempt for attempt in history.attempts}
        parents = [by_ordinal[one] for one in proposal.parents]
        at, budget = history.ordinal, history.budget
        seen = features(self.task, proposal.role, parents, history.attempts, at, budget)
        pending = tuple((one.arm, one.role) for _, one in history.pending if one.arm)
        situation = Situation(proposal.role, seen, at, budget, pending)
        arms, options = list(self.routes.arms), self.routes.options
        pick: Pick = self.routes.router.choose(
            self._fold(history), situation, arms, options, rng_of(key)
        )
        step = proposal.step or self.routes.arms[pick.arm].step
        chosen = dataclasses.replace(proposal, arm=pick.arm, step=step)
        return chosen, {
            "router": self.routes.name,
            "features": list(seen),
            "propensities": dict(pick.propensities),
            "why": pick.why,
            "plan": planned(self.caps, budget),
        }

    def _fold(self, history: History) -> object:
        """The state after the visible attempts; goes on from the last one where that is a prefix
        (it is not after feedback on an attempt that was folded)."""
        wanted = outcomes(history.attempts, self.rows, history.baseline)
        router, options, arms = self.routes.router, self.routes.options, list(self.routes.arms)
        if self._state is None or self._folded != wanted[: len(self._folded)]:
            self._folded, self._state = [], router.begin(self.snapshot, options)
        for one in wanted[len(self._folded) :]:
            self._state = router.learn(self._state, one, arms, options)
        self._folded = wanted
        return self._state


def caller_of(
    setting: Setting, stop: threading.Event, lines: Callable[[str], Line] | None = None
) -> Caller:
    """The one who asks the models of a cell: its own, and those of the router's arms, each over
    its line."""
    routes = setting.routes.arms.values() if setting.routes else ()
    lines = lines or (lambda model_id: Line())
    others = {
        route.model_id: Caller(route.model, setting.retries, stop, line=lines(route.model_id))
        for route in routes
        if route.model_id != setting.model_id
    }
    own = lines(setting.model_id)
    return Caller(setting.model, setting.retries, stop, others=others, line=own)


def answer(
    setting: Setting, caller: Caller, arm: str, request: Request
) -> tuple[Reply, bool, dict[str, Any]]:
    """The reply to a request, whether it was recorded before, and what the ledger has to say of
    who answered: nothing, or where the arm's model could not be reached and the router was told to
    go on for that, the arm that did, the arms that did not, and the request that was answered.

    Raises ``Unreachable`` where no arm is left: a silent model is never a failed kernel."""
    dead: list[str] = []
    sent, asked = request, arm
    later = setting.routes.beyond(arm) if setting.routes else []
    while True:
        try:
            reply, replayed = setting.recordings.get(sent, caller.ask)
            break
        except Unreachable as problem:
            if not later:
                raise
            dead.append(asked)
            why, asked = str(problem), later.pop(0)
            assert setting.routes is not None
            sent = dataclasses.replace(request, model=setting.routes.arms[asked].model_id)
    if not dead:
        return reply, replayed, {}
    said = {"arm": asked, "unreachable": dead, "answered": sent.digest, "why": why}
    return reply, replayed, said
