# SPDX-License-Identifier: Apache-2.0
"""The line to a provider: everything a caller keeps to, as ``RUN_*`` sets it.

Limits and breakers belong to the provider and last for the whole run; the rest is a cell's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kernelcoder.models import Model
from kernelcoder.models.chaos import Chaos, Plan, faults_of
from kernelcoder.models.plane.breaker import Breaker
from kernelcoder.models.plane.failures import Note, unnoted
from kernelcoder.models.plane.limits import Limits
from kernelcoder.models.plane.replies import Inbox

# Whose replies are asked for again with a higher limit: the embedded model is too small to end.
_HOSTED = ("openai", "litellm")


@dataclass(frozen=True, slots=True)
class Line:
    """What stands between a caller and one model. ``times``: how many times the tokens a reply that
    was cut off gets in its second try, 0 for none. ``plan``: faults to inject."""

    limits: Limits = field(default_factory=Limits)
    breaker: Breaker = field(default_factory=Breaker)
    inbox: Inbox = field(default_factory=Inbox)
    times: int = 0
    plan: Plan | None = None
    note: Note = unnoted

    def model(self, model: Model) -> Model:
        """The model as this line reaches it."""
        return Chaos(model, self.plan) if self.plan else model


class Plane:
    """The lines of a run. Thread-safe."""

    def __init__(self) -> None:
        self._shared: dict[tuple[Any, ...], tuple[Limits, Breaker]] = {}
        self._guard = threading.Lock()

    def lines(self, values: Mapping[str, Any], note: Note) -> Callable[[str], Line]:
        """A line for each model id, from a cell's ``values``. Raises :class:`Error` for a fault
        plan that names unknown faults."""
        plan_of(values, "")  # a mistake in it is told before the first call

        def line(model_id: str) -> Line:
            limits, breaker = self._provider(model_id, values)
            hosted = model_id.partition(":")[0] in _HOSTED
            times = int(values["MAX_TOKENS_TIMES"]) if hosted else 0
            inbox = Inbox(bool(values["RUN_SAME_MODEL"]))
            return Line(limits, breaker, inbox, times, plan_of(values, model_id), note)

        return line

    def _provider(self, model_id: str, values: Mapping[str, Any]) -> tuple[Limits, Breaker]:
        requests, tokens = (
            int(values[name]) for name in ("RUN_REQUESTS_A_MINUTE", "RUN_TOKENS_A_MINUTE")
        )
        failures, pause = (int(values[name]) for name in ("RUN_BREAKER", "RUN_BREAKER_SECONDS"))
        key = (model_id, requests, tokens, failures, pause)
        with self._guard:
            if key not in self._shared:
                self._shared[key] = Limits(requests, tokens), Breaker(failures, float(pause))
            return self._shared[key]


def plan_of(values: Mapping[str, Any], model_id: str) -> Plan | None:
    """The fault plan of ``RUN_CHAOS_*`` for a model, None where nothing is to fail."""
    if not values["RUN_CHAOS_PERCENT"]:
        return None
    found = Plan(
        percent=int(values["RUN_CHAOS_PERCENT"]),
        seed=int(values["RUN_CHAOS_SEED"]),
        faults=faults_of(str(values["RUN_CHAOS_FAULTS"])),
        delay_s=int(values["RUN_CHAOS_MILLISECONDS"]) / 1000,
    )
    named = [one.strip() for one in str(values["RUN_CHAOS_MODELS"]).split(",") if one.strip()]
    return found if not named or model_id in named else None
