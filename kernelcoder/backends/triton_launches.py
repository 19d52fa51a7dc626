# SPDX-License-Identifier: Apache-2.0
"""What a child says it launched, taken apart without trust and reduced to what a compiler needs.

The lines are those of ``triton_child/specs.py``. A child has seen hidden inputs and what is
compiled may be quoted in an error, so numbers that do not matter are replaced by ones of their
kind, and names and strings must occur in the candidate's own source.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

MOST = 8  # launches compiled per candidate
_LINE = re.compile(r"^launch: (\{[ -~]{1,4000}\})$", re.MULTILINE)
_COUNT = re.compile(r"^launches: (\d{1,9})$", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w{0,79}")
_TYPE = re.compile(r"[a-z]{1,10}[0-9a-z_]{0,10}")
_LARGEST = 1 << 31
OPTIONS = ("num_warps", "num_stages", "num_ctas", "maxnreg")


class Malformed(ValueError):
    """A line that no guest of ours would write."""


def count(said: str) -> int:
    """How many launches the child says there were in its first pass."""
    found = _COUNT.search(said)
    return int(found[1]) if found else 0


def last(said: str) -> str:
    """The last launch of a text as it stands there, or ""."""
    found = _LINE.findall(said)
    return f"launch: {found[-1]}\n" if found else ""


def read(said: str, source: str) -> tuple[str, ...]:
    """The launches as canonical JSON: of each kernel and each choice of dtypes the one with the
    largest blocks, which needs the most of a device."""
    words = frozenset(_WORD.findall(source))
    found: dict[str, tuple[int, str]] = {}
    for line in _LINE.findall(said):
        try:
            launch = json.loads(line)
            made, size = _canonical(launch, words), _size(launch)
        except (ValueError, RecursionError, TypeError, KeyError):
            continue
        kinds = [value.get("tensor", "") for value in launch["arguments"].values()]
        family = f"{launch['kernel']} {kinds}"
        if family not in found or size > found[family][0]:
            found[family] = size, made
    return tuple(made for _, made in list(found.values())[:MOST])


def _size(launch: Mapping[str, Any]) -> int:
    """The product of a launch's constants, as far as they are sizes."""
    given = [launch["arguments"][name].get("value") for name in launch["constants"]]
    return math.prod(one for one in given if type(one) is int and one > 0)


def _canonical(line: Any, words: frozenset[str]) -> str:
    arguments, options = line["arguments"], line["options"]
    constants = frozenset(line["constants"])
    if not isinstance(arguments, dict) or not isinstance(options, dict) or len(arguments) > 64:
        raise Malformed
    made = {
        "kernel": _word(line["kernel"], words),
        "arguments": {
            _word(name, words): _argument(value, name in constants, words)
            for name, value in arguments.items()
        },
        "options": {name: _small(options[name]) for name in OPTIONS if name in options},
    }
    return json.dumps(made, sort_keys=True, separators=(",", ":"))


def _word(value: Any, words: frozenset[str]) -> str:
    if not isinstance(value, str) or value not in words:
        raise Malformed
    return value


def _type(value: Any) -> str:
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise Malformed
    return value


def _small(value: Any) -> int:
    if not isinstance(value, int) or not -_LARGEST <= value < _LARGEST:
        raise Malformed
    return int(value)


def _sizes(value: Any) -> list[int]:
    if not isinstance(value, list) or len(value) > 5:
        raise Malformed
    return [_small(one) for one in value]


def _argument(value: Mapping[str, Any], constant: bool, words: frozenset[str]) -> dict[str, Any]:
    """One described argument: what Triton specializes on, and nothing else of a number."""
    if "tensor" in value:
        return {"tensor": _type(value["tensor"]), "aligned": value.get("aligned") is True}
    if "descriptor" in value:
        block = _sizes(value["block_shape"])
        return {"descriptor": _type(value["descriptor"]), "block_shape": block}
    if "tuple" in value:
        parts = value["tuple"]
        if not isinstance(parts, list) or len(parts) > 16:
            raise Malformed
        return {"tuple": [_argument(part, constant, words) for part in parts]}
    for key in ("type", "torch"):
        if key in value:
            return {key: _type(value[key])}
    if "name" in value:
        return {"name": _word(value["name"], words)}
    if "float" in value:
        number = float.fromhex(value["float"]) if constant else 1.5
        return {"float": number.hex() if number in (0.0, 1.0) or constant else (1.5).hex()}
    return {"value": _value(value["value"], constant, words)}


def _value(value: Any, constant: bool, words: frozenset[str]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if value in words else _type(value)
    if constant:
        return _small(value)
    if not isinstance(value, int):
        raise Malformed
    if value == 1:
        return 1
    wide = 1 << 33 if not -_LARGEST <= value < _LARGEST else 0
    return wide + (16 if value % 16 == 0 else 7)
