# SPDX-License-Identifier: Apache-2.0
"""One configuration is a matrix of cells: the product of its axes, for every seed.

A cell's id is a function of its own settings alone: axis members, seed, and every option in its
scope that differs from its default. A new option, another method's options, ``RUN_*`` and the
stopping rules leave it as it is.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from kernelcoder import arms, paths, registry
from kernelcoder.config import Option, Settings, Value
from kernelcoder.config_lines import nearest
from kernelcoder.errors import Error, Problem
from kernelcoder.records import sha256

if TYPE_CHECKING:
    from kernelcoder.backends import Availability


@dataclass(frozen=True)
class Cell:
    """One experiment: axis members by module name, a seed, and every value in scope plus RUN_*."""

    method: str
    memory: str
    model: str
    backend: str
    suite: str
    seed: int
    values: Mapping[str, Value]
    id: str

    @property
    def members(self) -> dict[str, str]:
        """Axis -> member, in the order of the id."""
        return {axis: getattr(self, axis.lower()) for axis in registry.AXES}


def stops_only(name: str, anytime: bool) -> bool:
    """Whether a symbol only says when to stop, and so never changes what a cell means.

    BUDGET means something to a method that is not ``anytime``; the other caps never do."""
    return name.startswith("BUDGET_") or (name == "BUDGET" and anytime)


def _scope(
    settings: Settings, members: Mapping[str, str], owners: Mapping[str, tuple[str, str]]
) -> Mapping[str, Value]:
    """The values a cell can depend on: shared ones and its own members' options."""
    switches = {f"{axis}_{member.upper()}" for axis, member in members.items()}
    routed = {arm.model for arm in arms.arms(settings.values)}
    switches |= {f"MODEL_{model.upper()}" for model in routed}
    found = {}
    for name, value in settings.values.items():
        axis, member = owners.get(name, ("", ""))
        mine = members[axis] == member if axis else name != "SEEDS"
        mine = mine or (axis == "MODEL" and member in routed)
        if mine and name not in switches:
            found[name] = value
    return MappingProxyType(found)


def cell_id(
    members: Mapping[str, str],
    seed: int,
    values: Mapping[str, Value],
    options: Mapping[str, Option],
    anytime: bool,
) -> str:
    """``<method>_<memory>_<model>_<backend>_<suite>_s<seed>-<8 hex>``.

    The digest covers members, seed and the prompted options in scope whose value differs from the
    default; computed options follow from those. Values are compared, never where they came from.
    A switch that is off because all it depends on is off stands at its default, whatever that is:
    so an option that arrives with ``default y`` leaves the cells alone that it does not concern."""
    differing = {
        name: value
        for name, value in values.items()
        if options[name].prompt
        and not name.startswith("RUN_")
        and not stops_only(name, anytime)
        and value != options[name].default
        and not (value is False and _out_of_reach(options[name], values))
    }
    content = {"axes": dict(members), "seed": seed, "options": differing}
    digest = sha256(json.dumps(content, sort_keys=True, separators=(",", ":")))
    slug = "_".join(members[axis].replace("_", "-") for axis in registry.AXES)
    return f"{slug}_s{seed}-{digest[:8]}"


def _out_of_reach(option: Option, values: Mapping[str, Value]) -> bool:
    needed = [values[name] for name in option.needs if name in values]
    return bool(needed) and not any(needed)


def _product(settings: Settings) -> Iterator[tuple[Cell, str]]:
    """Every combination in seed-major order, with the reason it makes no sense, or ""."""
    values, options = settings.values, settings.options
    chosen = {axis: registry.selected(axis, values, options) for axis in registry.AXES}
    if empty := [axis for axis, found in chosen.items() if not found]:
        problems = [_empty(axis, options) for axis in empty]
        raise Error("the matrix is empty", where=settings.source, problems=problems)
    arms.check(values, chosen["MODEL"])
    owners = registry.owners(options)
    shared: list[tuple[dict[str, str], Mapping[str, Value], list[ModuleType]]] = []
    for combination in itertools.product(*chosen.values()):
        members = dict(zip(registry.AXES, combination, strict=True))
        modules = [registry.module(axis, member, values) for axis, member in members.items()]
        shared.append((members, _scope(settings, members, owners), modules))
    for seed, (members, scope, modules) in itertools.product(range(int(settings["SEEDS"])), shared):
        anytime = bool(modules[0].anytime) and not arms.looks(scope)
        anytime = anytime and not scope["ALLOCATOR_HEADROOM"]
        identity = cell_id(members, seed, scope, options, anytime)
        cell = Cell(
            **{axis.lower(): member for axis, member in members.items()},
            seed=seed,
            values=scope,
            id=identity,
        )
        said = [module.refuses(cell) for module in modules if hasattr(module, "refuses")]
        said.append(_unshared(scope, modules))
        said.append(arms.refuses(scope, cell.model))
        yield cell, next((reason for reason in said if reason), "")


def _unshared(scope: Mapping[str, Value], modules: Sequence[ModuleType]) -> str:
    """Why attempts cannot be shared by headroom: tasks must not wait for each other, and a method
    must not count on its BUDGET."""
    if not scope["ALLOCATOR_HEADROOM"]:
        return ""
    learns = hasattr(modules[0], "observe") or bool(getattr(modules[1], "learns", True))
    if learns or arms.arms(scope):
        return "the allocator headroom needs tasks that do not learn from each other"
    if any(scope[name] for name in scope if name.startswith("BUDGET_STOP_")):
        return "the allocator headroom decides when a task stops: switch BUDGET_STOP_* off"
    return "" if modules[0].anytime else "the allocator headroom needs a method for any budget"


def _empty(axis: str, options: Mapping[str, Option]) -> Problem:
    first = registry.members(axis, options)[0].upper()
    return Problem("", f"no {axis.lower()} is selected", f"for example CONFIG_{axis}_{first}=y")


def cells(settings: Settings) -> list[Cell]:
    """The cells of a configuration, all of seed 0 first."""
    return [cell for cell, reason in _product(settings) if not reason]


def refused(settings: Settings) -> list[tuple[str, str]]:
    """Combinations that make no sense, as (id, reason); they are in no result."""
    return [(cell.id, reason) for cell, reason in _product(settings) if reason]


def select(found: Sequence[Cell], only: str = "", shard: str = "") -> list[Cell]:
    """The cells whose id matches the glob ``only``, then every n-th from i on for ``i/n``."""
    chosen = [cell for cell in found if not only or fnmatch.fnmatchcase(cell.id, only)]
    if only and not chosen:
        near = nearest(only, [cell.id for cell in found], cutoff=0.3)
        fix = f"for example ONLY='{near or found[0].id}'" if found else ""
        raise Error(f"ONLY={only} matches no cell", fix=fix)
    if not shard:
        return chosen
    match = re.fullmatch(r"([1-9][0-9]*)/([1-9][0-9]*)", shard)
    if match is None or int(match[1]) > int(match[2]):
        raise Error(f"SHARD={shard} is not i/n with 1 <= i <= n", fix="for example SHARD=2/8")
    return chosen[int(match[1]) - 1 :: int(match[2])]


def tasks(cell: Cell) -> tuple[str, ...]:
    """The tasks of a cell as ``suite/name``, in the suite's order; the first ``SUITE_<S>_COUNT``
    where there is such an option. A pattern of ``SUITE_<S>_TASKS`` that matches no task is an
    :class:`Error`."""
    names = registry.module("SUITE", cell.suite, cell.values).names()
    symbol = f"SUITE_{cell.suite.upper()}_TASKS"
    patterns = [part for part in str(cell.values.get(symbol, "*")).split(",") if part]
    problems = []
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            near = nearest(pattern, names)
            fix = f"did you mean {near}?" if near else f"tasks: {', '.join(names)}"
            problems.append(Problem(symbol, f"{pattern!r} matches no task", fix))
    if problems:
        raise Error(f"suite {cell.suite} lacks tasks that were asked for", problems=problems)
    hit = [name for name in names if any(fnmatch.fnmatchcase(name, p) for p in patterns)]
    hit = hit[: int(cell.values.get(f"SUITE_{cell.suite.upper()}_COUNT", len(hit)))]
    return tuple(f"{cell.suite}/{name}" for name in hit)


def most_attempts(cell: Cell) -> int:
    """The most attempts a task of a cell can take: BUDGET, or less if its method says so."""
    budget = int(cell.values["BUDGET"])
    return min(budget, int(getattr(registry.module("METHOD", cell.method), "at_most", budget)))


def folder(cell: Cell) -> Path:
    """Where a cell lies: under this machine and the mode in which its backend runs here."""
    mode = registry.module("BACKEND", cell.backend).probe().mode
    return paths.results(mode or "native") / cell.id


def availability(cell: Cell) -> Availability:
    """Whether this machine can run a cell, and in which mode: its backend's probe, then its model's
    ``ready``."""
    from kernelcoder.backends import Availability

    found: Availability = registry.module("BACKEND", cell.backend).probe()
    if found.mode is None:
        return found
    for model in dict.fromkeys([cell.model, *(arm.model for arm in arms.arms(cell.values))]):
        provider = registry.module("MODEL", model, cell.values)
        if lacking := provider.ready(registry.options("MODEL", model, cell.values)):
            return Availability(None, lacking)
    return found


def stand_in(cell: Cell) -> str:
    """What runs a cell's kernels in place of the real thing, and why; "" if nothing does."""
    found = availability(cell)
    if found.mode in (None, "native"):
        return ""
    timing = "on a made-up clock" if found.mode == "simulated" else "without timing"
    return f"{cell.backend} is {found.mode} here, {timing}: {found.reason}"
