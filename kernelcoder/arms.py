# SPDX-License-Identifier: Apache-2.0
"""The router of a configuration and its arms: ROUTER, ROUTER_ARMS and the options that go along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from kernelcoder import config, registry
from kernelcoder.config import Value
from kernelcoder.errors import Error
from kernelcoder.routing import Arm, arms_of


def router(values: Mapping[str, Value]) -> tuple[ModuleType, Any] | None:
    """The module and the filled options of the router, None without one. Options that mean nothing
    are an ``Error``."""
    if (name := str(values.get("ROUTER", "none"))) == "none":
        return None
    module = registry.module("ROUTER", name)
    options = config.fill(module.Options, values, module.PREFIX)
    mistakes = getattr(module, "mistakes", None)
    if mistakes and (problems := mistakes(options)):
        raise Error(f"the router {name} cannot work like this", problems=problems)
    return module, options


def arms(values: Mapping[str, Value]) -> tuple[Arm, ...]:
    """The arms in the order of ROUTER_ARMS, empty without a router. Every model and every step
    recipe of the tree may be named, switched on or not."""
    if router(values) is None:
        return ()
    options = config.options()
    models, steps = registry.members("MODEL", options), registry.members("RECIPE", options)
    return arms_of(str(values["ROUTER_ARMS"]), models, steps)


def check(values: Mapping[str, Value], models: Sequence[str]) -> None:
    """An ``Error`` where a router would leave no cell at all: ``models`` are those switched on."""
    if (found := arms(values)) and found[0].model not in models:
        first = found[0].model
        fix = f"add CONFIG_MODEL_{first.upper()}=y, or list an arm of {', '.join(models)} first"
        raise Error(f"the router's first arm asks {first}, which is off", "ROUTER_ARMS", fix)


def looks(values: Mapping[str, Value]) -> bool:
    """Whether the router's choices depend on results and on the budget."""
    found = router(values)
    return found is not None and bool(found[0].looks)


def refuses(values: Mapping[str, Value], model: str) -> str:
    """Why a cell of this model makes no sense beside the router, or "". All arms work in one cell,
    which bears the name of the first arm's model: that one also answers a memory's questions."""
    found = arms(values)
    if not found or found[0].model == model:
        return ""
    listed = ", ".join(arm.name for arm in found)
    return f"the router asks {listed}: the cell of {found[0].model} stands for all of them"
