# SPDX-License-Identifier: Apache-2.0
"""Hard caps on what is spent: reserve an upper estimate, then commit the actual or refund.

Scopes nest (task inside cell); a reservation must fit in every scope, in every component, or it is
not given. A reply may cost more than its estimate: that is recorded as it is, and the next
reservation fails.

**Charged and paid.** A shared draft or a recorded reply is charged in full, so that methods compare
at equal cost, although it is paid only once. Accounts hold what is charged.

**Unknown prices.** Money that a provider did not report is unknown (None), never zero, and a sum
with an unknown part is unknown. Under a money cap an unknown sum admits nothing more: after the
first reply without a price the scope stops, and says why. Tokens that a server did not report
are charged at the reserved upper estimate when a token cap is set, and stay unknown in reports.

**Determinism.** A cell's token and money caps are divided evenly among its tasks, whatever the
allocator of attempts, so whether an attempt is admitted depends on its own task alone, never on
which task was faster. Only where a reply costs more than its reservation may one task's spending
stop another at the cell's cap: there the cap comes first. Wall time cannot be reproduced; the
decision it leads to is an event.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COMPONENTS = ("attempts", "tokens", "usd", "device_s")


@dataclass(frozen=True, slots=True)
class Amount:
    """A spent or reserved vector: attempts, tokens, US dollars, seconds of the verifier."""

    attempts: int = 0
    tokens: int | None = 0
    usd: float | None = 0.0
    device_s: float = 0.0

    def __post_init__(self) -> None:
        if any((value := getattr(self, name)) is not None and value < 0 for name in COMPONENTS):
            raise ValueError(f"a negative amount: {self}")

    def __add__(self, other: Amount) -> Amount:
        sums: dict[str, Any] = {}
        for name in COMPONENTS:
            mine, theirs = getattr(self, name), getattr(other, name)
            sums[name] = None if mine is None or theirs is None else mine + theirs
        return Amount(**sums)


@dataclass(frozen=True, slots=True)
class Caps:
    """The most a scope may spend; None is no cap."""

    tokens: int | None = None
    usd: float | None = None


@dataclass(slots=True, eq=False)
class Reservation:
    """An amount held in an account and all its parents until it is committed or refunded."""

    amount: Amount
    open: bool = True


class Account:
    """One scope. Thread-safe together with its parents (they share one lock)."""

    def __init__(self, name: str, caps: Caps, parent: Account | None = None) -> None:
        self.name, self.caps, self.parent = name, caps, parent
        self.spent = Amount()
        self._reserved: list[Reservation] = []
        self._guard: threading.RLock = parent._guard if parent else threading.RLock()

    def reserve(self, estimate: Amount, anyway: bool = False) -> Reservation | str:
        """A reservation, or the reason why there is none (which cap, in which scope).

        A price that cannot be estimated is reserved as nothing: only what was spent at an
        unknown price stops a scope. ``anyway`` skips the caps: an attempt already recorded was
        admitted when it was made."""
        estimate = dataclasses.replace(
            estimate, usd=estimate.usd or 0.0, tokens=estimate.tokens or 0
        )
        with self._guard:
            scope: Account | None = None if anyway else self
            while scope is not None:
                if why := scope._refusal(estimate):
                    return why
                scope = scope.parent
            reservation = Reservation(estimate)
            self._hold(reservation)
            return reservation

    def commit(self, reservation: Reservation, actual: Amount) -> None:
        """Replace the reservation by what was really spent."""
        with self._guard:
            self.refund(reservation)
            self.charge(actual)

    def refund(self, reservation: Reservation) -> None:
        """Give a reservation back. A second commit or refund is a bug and raises ValueError."""
        with self._guard:
            if not reservation.open:
                raise ValueError("this reservation was already settled")
            reservation.open = False
            scope: Account | None = self
            while scope is not None:
                scope._reserved.remove(reservation)
                scope = scope.parent

    def charge(self, actual: Amount) -> None:
        """Add what was spent without a reservation (attempts read back from a ledger)."""
        with self._guard:
            scope: Account | None = self
            while scope is not None:
                scope.spent = scope.spent + actual
                scope = scope.parent

    def _hold(self, reservation: Reservation) -> None:
        scope: Account | None = self
        while scope is not None:
            scope._reserved.append(reservation)
            scope = scope.parent

    def _refusal(self, estimate: Amount) -> str:
        total = self.spent
        for held in self._reserved:
            total = total + held.amount
        total = total + estimate
        for name in ("tokens", "usd"):
            cap, value = getattr(self.caps, name), getattr(total, name)
            if cap is None:
                continue
            if value is None:
                return f"{name} of the {self.name} unknown under a cap of {cap:g}"
            if value > cap:
                return f"{name} of the {self.name} capped at {cap:g}"
        return ""


def share(caps: Caps, parts: int) -> Caps:
    """The even share of one of ``parts`` tasks."""
    parts = max(1, parts)
    return Caps(
        tokens=None if caps.tokens is None else caps.tokens // parts,
        usd=None if caps.usd is None else caps.usd / parts,
    )


def caps_of(values: Mapping[str, Any]) -> Caps:
    """A cell's caps from ``BUDGET_TOKENS_THOUSANDS`` and ``BUDGET_CENTS``; 0 is no cap."""
    tokens, cents = int(values["BUDGET_TOKENS_THOUSANDS"]) * 1000, int(values["BUDGET_CENTS"])
    return Caps(tokens=tokens or None, usd=cents / 100 if cents else None)


def may_go_on(end: Mapping[str, Any], attempts: int, budget: int, caps: Caps) -> bool:
    """Whether a task that ended (``end``: data of its task_end) has more to spend by now: its
    ``attempts`` are below the budget it stopped at, or a cap it stopped at was raised."""
    if end["why"] in ("budget", "stop"):
        return end["why"] == "budget" and attempts < budget
    for name, old in end.get("caps", {}).items():
        new = getattr(caps, name)
        if old is not None and (new is None or new > old):
            return True
    return False


def stage_seconds(seconds: Mapping[str, float]) -> float:
    """Wall seconds over a verdict's stages; a ``total`` entry wins, since stages may overlap, and
    CPU seconds (``compile_cpu``) are another view of the same time."""
    if "total" in seconds:
        return float(seconds["total"])
    return float(sum(value for name, value in seconds.items() if not name.endswith("_cpu")))
