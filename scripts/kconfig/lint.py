# SPDX-License-Identifier: Apache-2.0
"""The house rules of the Kconfig files, K1 to K12, and that code and Kconfig agree.

Prints one line per fault, ``file:line: rule: what``, and exits with 1 if there is any.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

import kconfiglib  # noqa: E402

from kernelcoder import config, config_files, registry  # noqa: E402
from kernelcoder.config import Option  # noqa: E402
from kernelcoder.config_lines import checked  # noqa: E402
from kernelcoder.errors import Error  # noqa: E402

_UNITS = {
    "percent": ("_PERCENT",),
    "milliseconds": ("_MS",),
    "seconds": ("_SECONDS",),
    "minutes": ("_MINUTES",),
    "cents": ("_CENTS",),
    "tokens": ("_TOKENS", "_THOUSANDS"),
    "MiB": ("_MB",),
}
# Switches of choices, of which one computed symbol or one switch is read.
_CHOSEN = ("VERIFY_BASELINE_", "VERIFY_LIBRARY_", "RECIPE_", "ALLOCATOR_")
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def _symbols(kconf: kconfiglib.Kconfig) -> Iterator[tuple[kconfiglib.Symbol, str, bool]]:
    for sym in kconf.unique_defined_syms:
        node = sym.nodes[0]
        yield sym, f"{node.filename}:{node.linenr}", bool(node.prompt)


def declarations(kconf: kconfiglib.Kconfig) -> Iterator[str]:
    """K1, K2, K4, K6, K7, K8: what is wrong with single symbols."""
    for sym, where, prompted in _symbols(kconf):
        name = sym.name
        if prompted and not (sym.nodes[0].help or "").strip():
            yield f"{where}: K1: {name} has a prompt and no help text"
        if len(sym.nodes) > 1:
            yield f"{where}: K8: {name} is defined {len(sym.nodes)} times"
        defaults = sym.orig_defaults
        if prompted and sym.choice is None:
            least = 0 if sym.orig_type == kconfiglib.BOOL else 1
            if not least <= len(defaults) <= 1:
                yield f"{where}: K2: {name} has {len(defaults)} defaults"
            if any(cond is not kconf.y for _, cond in defaults):
                yield f"{where}: K2: the default of {name} is conditional"
        for target, _ in sym.orig_selects:
            if target.nodes and (target.nodes[0].prompt or target.direct_dep is not kconf.y):
                yield f"{where}: K4: {name} selects {target.name}, which can be set or depends"
        if sym.orig_type in (kconfiglib.INT, kconfiglib.HEX):
            yield from _number(sym, where)
        if sym.orig_type == kconfiglib.STRING and prompted and not checked(name):
            yield f"{where}: K7: the string {name} has no checker in config_lines.py"


def _number(sym: kconfiglib.Symbol, where: str) -> Iterator[str]:
    if not sym.orig_ranges:
        yield f"{where}: K6: the number {sym.name} has no range"
    for low, high, _ in sym.orig_ranges:
        if low.str_value.isdigit() and high.str_value.isdigit():
            if int(low.str_value) > int(high.str_value):
                yield f"{where}: K8: the range of {sym.name} is empty"
    prompt = sym.nodes[0].prompt[0] if sym.nodes[0].prompt else ""
    for word, suffixes in _UNITS.items():
        in_unit = re.search(rf"\b(in|thousands of)( US)? {word}\b", prompt, re.IGNORECASE)
        if in_unit and not sym.name.endswith(suffixes):
            yield f"{where}: K6: {sym.name} is in {word}, and its name does not say so"


def names(options: Mapping[str, Option]) -> Iterator[str]:
    """K5: a member has a module; a member's option depends on it; members select AXIS_ANY."""
    owners = registry.owners(options)
    for axis in registry.AXES:
        for member in registry.members(axis, options):
            option = options[f"{axis}_{member.upper()}"]
            try:
                registry.module(axis, member)
            except Error as error:
                yield f"{option.where}: K5: {error.what}"
    for name, (axis, member) in owners.items():
        switch = f"{axis}_{member.upper()}"
        option = options[name]
        if not member and option.prompt:
            yield f"{option.where}: K5: {name} belongs to no member of {axis}"
        elif option.prompt and name != switch and switch not in option.needs:
            yield f"{option.where}: K5: {name} does not depend on {switch}"


def texts(kconf: kconfiglib.Kconfig) -> Iterator[str]:
    """K3 and K12: no probes outside comments; tabs and 80 columns."""
    for path in (ROOT / name for name in kconf.kconfig_filenames):
        where = path.relative_to(ROOT)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "$(" in line and not line.lstrip().startswith(("comment", "#")):
                yield f"{where}:{number}: K3: a probe outside a comment"
            if len(line.expandtabs(8)) > 80:
                yield f"{where}:{number}: K12: longer than 80 columns"
            if re.match(r" +\S", line) or line != line.rstrip():
                yield f"{where}:{number}: K12: indented by blanks, or blanks at the end"


def menus(kconf: kconfiglib.Kconfig) -> Iterator[str]:
    """K11: a comment as the first line of a menu takes the cursor."""
    for node in kconf.node_iter():
        if node.item == kconfiglib.MENU and node.list and node.list.item == kconfiglib.COMMENT:
            yield f"{node.filename}:{node.linenr}: K11: the menu starts with a comment"


def defconfigs() -> Iterator[str]:
    """K10: a defconfig is a help line and what savedefconfig writes."""
    for name, path in config_files.defconfigs().items():
        try:
            draft = config_files.merged([name])
            draft.finish(name)
            text = config_files.help_line(path)
            if path.read_text() != config_files.with_help(text, config_files.minimal(draft)):
                yield f"defconfigs/{name}:1: K10: not what `make savedefconfig NAME={name}` writes"
        except Error as error:
            yield f"defconfigs/{name}:1: K10: {error}"


def _strings_and_reads() -> tuple[set[str], list[tuple[str, str]]]:
    """Every string constant of the code, and the (place, name) of every ``settings["NAME"]``."""
    constants: set[str] = set()
    reads: list[tuple[str, str]] = []
    for path in [*(ROOT / "kernelcoder").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                constants.add(node.value)
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                holder = node.value.attr if isinstance(node.value, ast.Attribute) else ""
                holder = node.value.id if isinstance(node.value, ast.Name) else holder
                name = node.slice.value
                if holder in ("settings", "values") and isinstance(name, str):
                    if _SYMBOL.fullmatch(name):
                        reads.append((f"{path.relative_to(ROOT)}:{node.lineno}", name))
    return constants, reads


def _fields(options: Mapping[str, Option]) -> Iterator[tuple[str, str]]:
    """(symbol, record) for every field of every options record."""
    from kernelcoder.verify import VerifyOptions

    for field in dataclasses.fields(VerifyOptions):
        yield f"VERIFY_{field.name.upper()}", "VerifyOptions"
    for member in registry.members("ROUTER", options):
        if importlib.util.find_spec(f"kernelcoder.routing.{member}"):
            router = registry.module("ROUTER", member)
            for field in dataclasses.fields(router.Options):
                yield f"{router.PREFIX}_{field.name.upper()}", f"{router.__name__}.Options"
    for axis in (*registry.AXES, "RECIPE"):
        for member in registry.members(axis, options):
            try:
                module = registry.module(axis, member)
            except Error:
                continue  # K5 reports it
            if kind := getattr(module, "Options", None):
                for field in dataclasses.fields(kind):
                    symbol = f"{axis}_{member.upper()}_{field.name.upper()}"
                    if not (member == "custom" and symbol not in options):
                        yield symbol, f"{module.__name__}.Options"


def both_ways(options: Mapping[str, Option]) -> Iterator[str]:
    """K9: every option is read by the code, and everything the code reads is an option."""
    constants, reads = _strings_and_reads()
    fields = dict(_fields(options))
    for symbol, record in fields.items():
        if symbol not in options:
            yield f"{record}: K9: the field of {symbol} has no option"
    for where, name in reads:
        if name not in options:
            yield f"{where}: K9: {name} is read and is no option"
    for name, option in options.items():
        axis, member = registry.owners(options).get(name, ("", ""))
        switch = bool(axis) and name == f"{axis}_{member.upper()}"
        suite_tasks = axis == "SUITE" and name.endswith(("_TASKS", "_COUNT"))  # matrix.tasks
        custom = axis == "MODEL" and member == "custom"  # fits whatever provider is named
        feeds = any(f"{name}" == need for o in options.values() for need in o.needs)
        chosen = option.kind == "bool" and name.startswith(_CHOSEN)
        read = name in fields or name in constants
        if option.prompt and not (read or switch or suite_tasks or custom or feeds or chosen):
            yield f"{option.where}: K9: nothing reads {name}"


def faults() -> list[str]:
    """Every fault of the tree."""
    kconf = config.tree()
    options = config.options_of(kconf)
    found = [*declarations(kconf), *names(options), *texts(kconf), *menus(kconf)]
    return [*found, *defconfigs(), *both_ways(options)]


if __name__ == "__main__":
    lines = faults()
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.exit(1 if lines else 0)
