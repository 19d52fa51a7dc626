# SPDX-License-Identifier: Apache-2.0
"""Grammars (llguidance's Lark dialect) that hold a language model to what can be compiled.

They are sent as the ``grammar`` field of llama.cpp's server, which masks every token that would
leave them. A grammar is bounded in depth and width, so a reply cannot run on for ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

UNARY = ("exp", "log", "sqrt", "tanh", "sigmoid", "erf", "abs")
BINARY = ("max", "min")
TERMS = 3  # factors or summands beside each other

Value = str | int | bool


def slots_schema(space: Mapping[str, Sequence[Value]]) -> dict[str, Any]:
    """JSON schema of an object with one choice for every slot of ``space``, in its order."""
    return {
        "type": "object",
        "properties": {name: {"enum": list(choices)} for name, choices in space.items()},
        "required": list(space),
        "additionalProperties": False,
    }


def slots_grammar(space: Mapping[str, Sequence[Value]]) -> str:
    """Grammar of that object on one line. Separators have a space, as in ordinary text: hints in
    the prompt are then followed better than with compact JSON (88 against 50 % in one slot)."""
    return schema_grammar(slots_schema(space))


def schema_grammar(schema: Mapping[str, Any]) -> str:
    """Grammar of the JSON that fits a schema, on one line."""
    separators = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return "%llguidance {}\nstart: %json " + json.dumps({"x-guidance": separators, **schema})


def expression_grammar(inputs: Sequence[str], depth: int) -> str:
    """Grammar of a C++ float expression over ``inputs``, from the space before it to its semicolon.

    ``depth`` counts nested parentheses and calls; each level has at most ``TERMS`` products of at
    most ``TERMS`` factors. The grammar emits the leading space itself: a prompt that ended in one
    would not end at a token boundary, and the model would continue it badly."""
    names = " | ".join(json.dumps(name) for name in inputs)
    more = f"{{0,{TERMS - 1}}}"
    rules = ["%llguidance {}", f'start: " " sum{depth} ";"']
    for level in range(depth, -1, -1):
        rules.append(f'sum{level}: product{level} ((" + " | " - ") product{level}){more}')
        rules.append(f'product{level}: atom{level} ((" * " | " / ") atom{level}){more}')
        nested = ""
        if level:
            unary = " | ".join(f'"{name}("' for name in UNARY)
            binary = " | ".join(f'"{name}("' for name in BINARY)
            inner = f"sum{level - 1}"
            nested = (
                f' | ({unary}) {inner} ")" | ({binary}) {inner} ", " {inner} ")"'
                f' | "(" {inner} ")" | "-" variable'
            )
        rules.append(f"atom{level}: variable | NUMBER{nested}")
    rules.append(f"variable: {names}")
    rules.append(r"NUMBER: /[0-9]{1,2}\.[0-9]{1,8}f/")
    return "\n".join(rules)


def plain_grammar(inputs: Sequence[str]) -> str:
    """The smallest expressions: a variable or a function of one. Every word of it fits 24 tokens:
    the way out when a longer expression was cut off."""
    names = " | ".join(json.dumps(name) for name in inputs)
    functions = " | ".join(f'"{name}("' for name in UNARY)
    return (
        '%llguidance {}\nstart: " " (variable | call) ";"\n'
        f'call: ({functions}) variable ")"\nvariable: {names}'
    )
