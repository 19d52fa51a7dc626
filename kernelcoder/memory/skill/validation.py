# SPDX-License-Identifier: Apache-2.0
"""The part of JSON Schema that skills need, checked without a package.

Supported: ``type`` (also a list of types), ``enum``, ``const``, ``minimum``, ``maximum``,
``pattern`` (the whole text), ``minLength``, ``maxLength``, ``items``, ``minItems``, ``maxItems``,
``properties``, ``required``, ``additionalProperties`` (false or a schema). A keyword that is not
among them is refused, since a rule that nobody checks is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

KEYWORDS = frozenset(
    {
        "type", "enum", "const", "minimum", "maximum", "pattern", "minLength", "maxLength",
        "items", "minItems", "maxItems", "properties", "required", "additionalProperties",
        "description",
    }
)  # fmt: skip
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def problems(data: Any, schema: Schema, where: str = "") -> list[str]:
    """Everything in ``data`` (plain JSON) that ``schema`` forbids, one sentence each."""
    if unknown := set(schema) - KEYWORDS:
        raise ValueError(f"schema keywords nobody checks: {', '.join(sorted(unknown))}")
    at = where or "the value"
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else list(wanted or ())
    if names and not any(_is(data, name) for name in names):
        return [f"{at} is no {' or '.join(names)}"]
    if "enum" in schema and not any(same(data, one) for one in schema["enum"]):
        return [f"{at} is none of {list(schema['enum'])}: {_short(data)}"]
    if "const" in schema and not same(data, schema["const"]):
        return [f"{at} is not {schema['const']!r}"]
    if isinstance(data, dict):
        return _object(data, schema, where)
    if isinstance(data, list):
        return _array(data, schema, where)
    if isinstance(data, str):
        return _text(data, schema, at)
    if isinstance(data, (int, float)) and not isinstance(data, bool):
        return _number(data, schema, at)
    return []


def same(a: Any, b: Any) -> bool:
    """Equality of JSON values: 1, 1.0 and true are three values in Python, two in JSON."""
    return type(a) is type(b) and bool(a == b)


def _is(data: Any, name: str) -> bool:
    if isinstance(data, bool):
        return name == "boolean"
    return isinstance(data, _TYPES[name])


def _object(data: Mapping[str, Any], schema: Schema, where: str) -> list[str]:
    known = schema.get("properties", {})
    found = [
        f"{where or 'the value'} lacks {n!r}" for n in schema.get("required", ()) if n not in data
    ]
    others = schema.get("additionalProperties", True)
    for name, value in data.items():
        path = f"{where}.{name}" if where else str(name)
        if name in known:
            found += problems(value, known[name], path)
        elif others is False:
            found.append(f"{path} is unknown here")
        elif isinstance(others, Mapping):
            found += problems(value, others, path)
    return found


def _array(data: Sequence[Any], schema: Schema, where: str) -> list[str]:
    found = []
    if len(data) < schema.get("minItems", 0) or len(data) > schema.get("maxItems", len(data)):
        found.append(f"{where or 'the value'} has {len(data)} entries")
    if "items" in schema:
        for number, value in enumerate(data):
            found += problems(value, schema["items"], f"{where}[{number}]")
    return found


def _text(data: str, schema: Schema, at: str) -> list[str]:
    if not schema.get("minLength", 0) <= len(data) <= schema.get("maxLength", len(data)):
        return [f"{at} has {len(data)} characters"]
    if "pattern" in schema and not re.fullmatch(schema["pattern"], data):
        return [f"{at} does not match {schema['pattern']}"]
    return []


def _number(data: float, schema: Schema, at: str) -> list[str]:
    if data < schema.get("minimum", data) or data > schema.get("maximum", data):
        return [f"{at} is out of range: {data}"]
    return []


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "..."
