# SPDX-License-Identifier: Apache-2.0
"""Lines of a configuration file: their one legal form, and what is wrong with any other.

Nothing here knows kconfiglib: a line is judged against the :class:`Option` of its
name alone. Whether a value has an effect is decided later, when all are set.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kernelcoder.errors import Problem

Value = bool | int | str

_SET = re.compile(r"CONFIG_([A-Za-z0-9_]+)=(.*)")
_UNSET = re.compile(r"# CONFIG_([A-Za-z0-9_]+) is not set")
_LOOSE = re.compile(r"\s*(CONFIG_)?([A-Z][A-Z0-9_]*)\s*=\s*(.*?)\s*")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_INT = re.compile(r"0|-?[1-9][0-9]*")

# Checkers of strings (house rule K7): symbol suffix -> pattern and what it stands for.
_STRINGS = {
    "_ID": (re.compile(r"[a-z_]+:\S+"), "provider:name, for example openai:my-model"),
    "_OF": (re.compile(r"[a-z_]+:\S+"), "a model id provider:name, for example recipe:v1"),
    "_URL": (re.compile(r"(https?://\S+)?"), "an address http://... or https://..."),
    "_SKILLS_LIBRARY": (re.compile(r"([0-9a-f]{12})?"), "12 hex digits of skills --import"),
    "_DIR": (re.compile(r"[^\x00-\x1f]*"), "the path of a folder"),
    "_ARMS": (re.compile(r"[a-z0-9_]+/[a-z0-9_]+(,[a-z0-9_]+/[a-z0-9_]+)*"), "model/recipe,..."),
    "_ESCALATE_ON": (re.compile(r"[a-z_]+(,[a-z_]+)*"), "failure classes a,b"),
    "_CONTRASTS": (
        re.compile(r"((method|memory|model|backend|suite):[a-z0-9_]+(,[a-z0-9_]+)*( |$))*"),
        "controls of axes, method:a,b memory:c",
    ),
    "_CHAOS_FAULTS": (re.compile(r"[a-z0-9_]+(, ?[a-z0-9_]+)*"), "faults a,b; or all"),
    "_CHAOS_MODELS": (re.compile(r"([a-z_]+:\S+)?"), "model ids provider:name,..."),
    "_TASKS": (re.compile(r"[A-Za-z0-9_*?\[\]!-]+(,[A-Za-z0-9_*?\[\]!-]+)*"), "patterns a,b_*"),
}


def checked(name: str) -> bool:
    """Whether the values of a string symbol of this name have a checker."""
    return name.endswith(tuple(_STRINGS))


@dataclass(frozen=True, slots=True)
class Option:
    """One symbol of the Kconfig tree. ``prompt`` is "" for a computed symbol; ``needs`` are the
    names of the symbols its visibility depends on; ``menu`` is the title of its menu."""

    name: str
    kind: str
    prompt: str
    help: str
    default: Value
    needs: frozenset[str]
    low: int | None
    high: int | None
    menu: str
    where: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """One line that sets one symbol. ``prompted`` is False for a computed symbol, which only a
    generated file may mention."""

    name: str
    value: Value
    where: str
    prompted: bool
    handwritten: bool


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name most like ``name``, or ""."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return found[0] if found else ""


def typed(kind: str, text: str) -> Value:
    """Kconfig's text for a value as bool, int or str; an empty number is 0."""
    if kind == "bool":
        return text == "y"
    if kind in ("int", "hex"):
        return int(text, 16 if kind == "hex" else 10) if text else 0
    return text


def parse(
    text: str, where: str, options: Mapping[str, Option], handwritten: bool
) -> tuple[list[Assignment], list[Problem]]:
    """The good assignments of a file and the problems of all other lines."""
    good: list[Assignment] = []
    problems: list[Problem] = []
    first: dict[str, str] = {}
    is_command_line = where == "command line"
    for number, line in enumerate(text.splitlines(), 1):
        place = where if is_command_line else f"{where} line {number}"
        found = _line(line, place, options, handwritten, is_command_line)
        if found is None:
            continue
        name = found.name if isinstance(found, Assignment) else _name_of(line)
        if name and name in first:
            what = f"CONFIG_{name} is set twice"
            problems.append(Problem(place, what, f"keep one of them; it stands in {first[name]}"))
            continue
        if name:
            first[name] = place
        (good if isinstance(found, Assignment) else problems).append(found)  # type: ignore[arg-type]
    return good, problems


def _name_of(line: str) -> str:
    match = _SET.fullmatch(line) or _UNSET.fullmatch(line)
    return match.group(1) if match else ""


def _line(
    line: str, place: str, options: Mapping[str, Option], handwritten: bool, bare: bool
) -> Assignment | Problem | None:
    unset, match = _UNSET.fullmatch(line), _SET.fullmatch(line)
    if unset is None and match is None:
        return _malformed(line, place, options)
    name = (unset or match).group(1)  # type: ignore[union-attr]
    option = options.get(name)
    if option is None:
        return _unknown(name, place, options, handwritten)
    if not option.prompt and handwritten:
        what = f"CONFIG_{name} is computed and cannot be set by hand"
        return Problem(place, what, "drop the line")
    if unset is not None:
        if option.kind != "bool":
            what = f"CONFIG_{name} is a{_an(option.kind)} and cannot be 'not set'"
            return Problem(place, what, f"write {_example(option)}")
        return Assignment(name, False, place, bool(option.prompt), handwritten)
    value = _value(option, match.group(2), bare)  # type: ignore[union-attr]
    if isinstance(value, _Bad):
        return Problem(place, f"CONFIG_{name}={match.group(2)} {value.why}", value.fix)  # type: ignore[union-attr]
    return Assignment(name, value, place, bool(option.prompt), handwritten)


def _malformed(line: str, place: str, options: Mapping[str, Option]) -> Problem | None:
    """None for a blank line or an ordinary comment."""
    stripped = line.strip()
    if not stripped:
        return None
    if stripped.startswith("#"):
        if re.match(r"#\s*CONFIG_\w+\s+is\s+not\s+set", stripped, re.IGNORECASE):
            return Problem(place, f"not a legal line: {stripped}", "write # CONFIG_X is not set")
        return None
    loose = _LOOSE.fullmatch(line)
    if loose is None:
        return Problem(place, f"not an assignment: {stripped}", "write CONFIG_X=value")
    prefix, name, value = loose.groups()
    if name not in options:
        return _unknown(name, place, options, handwritten=True)
    exact = f"CONFIG_{name}={value}"
    if prefix is None:
        return Problem(place, f"{name} lacks the CONFIG_ prefix", f"write {exact}")
    return Problem(place, f"spaces are not allowed around CONFIG_{name}=", f"write {exact}")


def _unknown(name: str, place: str, options: Mapping[str, Option], handwritten: bool) -> Problem:
    near = nearest(name, [n for n, option in options.items() if option.prompt])
    fix = f"did you mean CONFIG_{near}?" if near else "make menuconfig shows all options"
    if not handwritten:
        fix += " If it is gone: `make olddefconfig` drops it and says so"
    return Problem(place, f"unknown option CONFIG_{name}", fix)


@dataclass(frozen=True, slots=True)
class _Bad:
    why: str
    fix: str


def _value(option: Option, text: str, bare: bool) -> Value | _Bad:
    if option.kind == "bool":
        if text in ("y", "n"):
            return text == "y"
        return _Bad("is neither y nor n", f"write CONFIG_{option.name}=y{_comment_hint(text)}")
    if option.kind == "int":
        return _int(option, text)
    return _string(option, text, bare)


def _int(option: Option, text: str) -> Value | _Bad:
    if not _INT.fullmatch(text):
        lead = re.match(r"-?[0-9]+(?=\s)", text)
        example = f"CONFIG_{option.name}={lead.group()}" if lead else _example(option)
        return _Bad("is not a whole number", f"write {example}{_comment_hint(text)}")
    value = int(text)
    low, high = option.low, option.high
    if low is not None and high is not None and not low <= value <= high:
        bound = min(max(value, low), high)
        return _Bad(f"is outside {low}..{high}", f"the nearest legal value is {bound}")
    return value


def _string(option: Option, text: str, bare: bool) -> Value | _Bad:
    match = _STRING.fullmatch(text)
    if match is not None:
        value = re.sub(r"\\(.)", r"\1", match.group(1))
    elif bare and '"' not in text:  # the shell has taken the quotes away
        value = text
    elif '"' not in text:
        return _Bad("lacks the quotes of a string", f'write CONFIG_{option.name}="{text}"')
    else:
        return _Bad(
            "is not one quoted string", 'write a quote inside as \\" and nothing after the last "'
        )
    for suffix, (pattern, meaning) in _STRINGS.items():
        if option.name.endswith(suffix) and not pattern.fullmatch(value):
            return _Bad("is not legal here", f"write {meaning}")
    return value


def _comment_hint(text: str) -> str:
    return "; a comment needs a line of its own" if "#" in text else ""


def _example(option: Option) -> str:
    value = f'"{option.default}"' if option.kind == "string" else option.default
    return f"CONFIG_{option.name}={value}"


def _an(kind: str) -> str:
    return f"n {kind}" if kind[0] in "aeiou" else f" {kind}"
