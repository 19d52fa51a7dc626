# SPDX-License-Identifier: Apache-2.0
"""Kconfig is the registry: a selected symbol names its module, its options fill the record.

``METHOD_BEST_OF_N=y`` is ``kernelcoder/methods/best_of_n.py``; nothing is registered elsewhere,
and nothing that is not selected is imported.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from kernelcoder import config
from kernelcoder.config import Option, Value
from kernelcoder.errors import Error, Problem

# The axes in the order of a cell's name, and the package that holds each one's members.
AXES = ("METHOD", "MEMORY", "MODEL", "BACKEND", "SUITE")
PACKAGES: Mapping[str, str] = {
    "METHOD": "kernelcoder.methods",
    "MEMORY": "kernelcoder.memory",
    "MODEL": "kernelcoder.models",
    "BACKEND": "kernelcoder.backends",
    "SUITE": "benchmarks",
    "RECIPE": "kernelcoder.steps",  # no axis: a choice shared by all cells
    "ROUTER": "kernelcoder.routing",  # likewise
}


def members(axis: str, options: Mapping[str, Option]) -> list[str]:
    """The members of an axis in menu order, as lowercase module names.

    A member is a prompted bool ``AXIS_NAME`` that is no option of another member, that is, does
    not depend on one whose name it extends."""
    found: list[str] = []
    for name, option in options.items():
        if not name.startswith(f"{axis}_") or option.kind != "bool" or not option.prompt:
            continue
        if not any(name.startswith(f"{need}_") for need in option.needs):
            found.append(name.removeprefix(f"{axis}_").lower())
    return found


def owners(options: Mapping[str, Option]) -> dict[str, tuple[str, str]]:
    """Symbol -> (axis, member) whose switch or option it is; shared symbols are not in it.

    A computed symbol of an axis that belongs to no member (``METHOD_ANY``) has member ""."""
    found = {}
    for axis in AXES:
        mine = members(axis, options)
        for name in options:
            if name.startswith(f"{axis}_"):
                fits = [m for m in mine if f"{name}_".startswith(f"{axis}_{m.upper()}_")]
                found[name] = (axis, max(fits, key=len, default=""))
    return found


def selected(axis: str, values: Mapping[str, Value], options: Mapping[str, Option]) -> list[str]:
    """The members of an axis that are switched on, in menu order."""
    return [m for m in members(axis, options) if values[f"{axis}_{m.upper()}"] is True]


def model_id(member: str, values: Mapping[str, Value] | None = None) -> str:
    """``provider:name`` of a model, from the values or, failing that, the tree's default."""
    name = f"MODEL_{member.upper()}_ID"
    if values is not None and name in values:
        return str(values[name])
    options = config.options()
    if name not in options:
        fix = f"add `config {name}` with a default provider:name to kernelcoder/models/Kconfig"
        raise Error(f"MODEL_{member.upper()} has no {name}", where="registry", fix=fix)
    return str(options[name].default)


def module(axis: str, member: str, values: Mapping[str, Value] | None = None) -> ModuleType:
    """The module of a member; for a model, of its provider (``values`` may say which)."""
    axis = axis.upper()
    leaf = model_id(member, values).partition(":")[0] if axis == "MODEL" else member
    name = f"{PACKAGES[axis]}.{leaf}"
    if importlib.util.find_spec(name) is None:
        path = name.replace(".", "/") + (".py" if axis != "SUITE" else "/__init__.py")
        what = f"{axis}_{member.upper()} is an option, but there is no {path}"
        raise Error(what, where="registry", fix="add the file, or drop the Kconfig entry")
    return importlib.import_module(name)


def options(axis: str, member: str, values: Mapping[str, Value]) -> Any:
    """The member's filled ``Options``; both directions are checked.

    ``values`` are a cell's or a configuration's. Raises :class:`Error` for a field without a
    symbol, and for a symbol that no field reads."""
    axis = axis.upper()
    prefix = f"{axis}_{member.upper()}"
    kind = module(axis, member, values).Options
    filled = config.fill(kind, values, prefix)
    fields = {f"{prefix}_{field.name.upper()}" for field in dataclasses.fields(kind)}
    tree = config.options()
    owned = owners(tree)
    problems = []
    for name, value in values.items():
        if owned.get(name) != (axis, member) or name == prefix or name in fields:
            continue
        # A custom model may use any provider: an option left alone does not have to fit it.
        if tree[name].prompt and member == "custom" and value == tree[name].default:
            continue
        what = f"{name} is an option, but {kind.__module__}.Options has no such field"
        problems.append(Problem("", what, "add the field, or drop the option"))
    if problems:
        raise Error("code and Kconfig disagree", where=prefix, problems=problems)
    return filled
