# SPDX-License-Identifier: Apache-2.0
"""Conditions as data: a field, a comparison, a value. They can be evaluated, and compared with
each other, without running anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Facts = Mapping[str, Any]
OPS = ("==", "!=", "in", ">=", "<=", "contains")


@dataclass(frozen=True, slots=True)
class Predicate:
    """``field op value`` on facts. ``contains``: a list has the value, a text has the part."""

    field: str
    op: str
    value: Any

    def __str__(self) -> str:
        text = repr(self.value)
        return f"{self.field} {self.op} {text if len(text) <= 60 else text[:57] + '...'}"


def holds(predicate: Predicate, facts: Facts) -> bool:
    """Whether it is known to hold: a fact that is missing, or of another kind, does not."""
    if predicate.field not in facts or facts[predicate.field] is None:
        return False
    found, value = facts[predicate.field], predicate.value
    if predicate.op == "==":
        return bool(found == value)
    if predicate.op == "!=":
        return bool(found != value)
    if predicate.op == "in":
        return isinstance(value, (list, tuple)) and found in value
    if predicate.op == "contains":
        if isinstance(found, str):
            return isinstance(value, str) and value in found
        return isinstance(found, (list, tuple)) and value in found
    if not (_number(found) and _number(value)):
        return False
    return bool(found >= value) if predicate.op == ">=" else bool(found <= value)


def failing(predicates: Iterable[Predicate], facts: Facts) -> list[Predicate]:
    """Those that are not known to hold."""
    return [one for one in predicates if not holds(one, facts)]


def implied(wanted: Predicate, given: Sequence[Predicate]) -> bool:
    """Whether ``wanted`` follows from ``given`` alone; False where that cannot be told."""
    return any(_follows(wanted, one) for one in given if one.field == wanted.field)


def _follows(wanted: Predicate, given: Predicate) -> bool:
    if given == wanted:
        return True
    if given.op == "==":
        return holds(wanted, {wanted.field: given.value})
    if given.op == "in" and isinstance(given.value, (list, tuple)) and given.value:
        return all(holds(wanted, {wanted.field: one}) for one in given.value)
    if given.op == wanted.op and given.op in (">=", "<="):
        return holds(wanted, {wanted.field: given.value})
    if given.op == "contains" and wanted.op == "contains":
        texts = isinstance(given.value, str) and isinstance(wanted.value, str)
        # A list that has "abc" need not have "b": only texts pass parts on.
        return texts and wanted.field == "kernel.text" and wanted.value in given.value
    return False


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
