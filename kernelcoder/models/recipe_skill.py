# SPDX-License-Identifier: Apache-2.0
"""How the recipe proposer turns one of its kernels into a template, and fills a parameter block.

A parameter is a slot of the template where its value stands in the file as it is: rendering with
another value changes exactly those tokens. Parameters that change the code otherwise stay as the
kernel has them. In a pointwise C++ kernel the expression is a slot too, bound to the task's own:
the template then carries every function an expression may call.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from kernelcoder.models import recipes
from kernelcoder.models.recipes import Value, mathlib
from kernelcoder.models.recipes.inline import inline
from kernelcoder.simulation import form

Render = Callable[[Mapping[str, Value]], str]
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_DIALECTS = ("", "triton", "cuda", "metal")
_COMBINATIONS = 12
_KINDS = {
    "pointwise": "an expression over {inputs}, element by element",
    "reduce": "a {op} over the last dim of each row",
    "rownorm": "{op} along the last dim of each row",
    "rope": "rotary position embedding",
    "matmul": "a matrix product",
}


def skill(data: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """Template, parameters, defaults and conditions of a kernel of this proposer; None for any
    other text. ``data``: ``source``, ``title``, and the task's ``recipe`` with its language."""
    source = str(data["source"])
    if (made_up := form.parse(source)) is not None:
        return _made_up(made_up)
    parsed = recipes.parse(source)
    found = _recipe_of(data["recipe"], source, parsed[1]) if parsed else None
    if parsed is None or found is None:
        return None
    recipe, wrap = found
    bind: dict[str, str] = {}
    template, choices, params = _template(recipe, wrap, parsed[1], rng)
    if recipe["family"] == "pointwise" and (wide := _any_expression(recipe)):
        opened, more, full = _template({**recipe, "expr": wide}, wrap, parsed[1], rng)
        if _verbatim({**recipe, "expr": wide}, wrap, full):
            template, choices, params = opened.replace(wide, "${expr}"), more, full
            bind = {"expr": "recipe.expr"}
    what = _KINDS.get(str(recipe["family"]), "").format(
        inputs=" and ".join(map(str, recipe.get("inputs", ()))), op=recipe.get("op", "")
    )
    require = [{"field": "recipe.family", "op": "==", "value": recipe["family"]}]
    if "op" in recipe:
        require.append({"field": "recipe.op", "op": "==", "value": recipe["op"]})
    return {
        "intent": f"{what}, such as {data['title']}",
        "template": template,
        "parameters": {
            "type": "object",
            "properties": {name: {"enum": values} for name, values in choices.items()},
            "required": list(choices),
            "additionalProperties": False,
        },
        "defaults": {name: params[name] for name in choices},
        "bind": bind,
        "require": require,
    }


def _made_up(kernel: form.Kernel) -> dict[str, Any]:
    """A simulated kernel, whose every technique is a slot; its text means the same on any task."""
    rows = zip(form.SLOTS, kernel.choices, strict=True)
    slots = [
        {
            "name": name,
            "old": f"{name} = {option}",
            "new": f"{name} = ${{{name}}}",
            "choices": list(range(form.OPTIONS)),
        }
        for name, option in rows
    ]
    intent = "a simulated kernel with these choices of techniques"
    return {"intent": intent, "slots": slots, "require": [], "general": True}


def fill(data: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """A block for a JSON schema: each listed value at random, the default where nothing is
    listed."""
    properties, defaults = data["schema"]["properties"], data["defaults"]
    return {
        name: rng.choice(one["enum"]) if "enum" in one else defaults.get(name)
        for name, one in properties.items()
    }


def _recipe_of(
    data: Mapping[str, Any], source: str, params: Mapping[str, Value]
) -> tuple[dict[str, Any], Callable[[str], str]] | None:
    """The recipe data and the wrapping under which ``params`` give this very source."""
    plain = {name: value for name, value in data.items() if name != "language"}
    for dialect in _DIALECTS:
        recipe = {**plain, "language": dialect} if dialect else plain
        try:
            text = recipes.render(recipe, params)
        except ValueError:
            continue
        if text.strip() == source.strip():
            return recipe, str
        if not dialect and inline(text).strip() == source.strip():
            return recipe, inline
    return None


def _any_expression(recipe: Mapping[str, Any]) -> str:
    """An expression that calls every function there is, so that its file defines them all."""
    first = str(next(iter(recipe["inputs"]), ""))
    names = [name for name in mathlib.FUNCTIONS if name not in ("max", "min")]
    text = f"min({first}, 1.0f)"
    for name in names:
        text = f"max({text}, {name}({first}))"
    return text if recipes.instantiable({**recipe, "expr": text}) else ""


def _verbatim(
    recipe: Mapping[str, Any], wrap: Callable[[str], str], params: Mapping[str, Value]
) -> bool:
    """Whether the expression stands in the file as it is, and nothing else depends on it but which
    functions it calls: putting another in its place is what rendering the other gives."""
    wide = str(recipe["expr"])
    other = f"max({wide}, 0.5f)"
    text = wrap(recipes.render(recipe, params))
    again = wrap(recipes.render({**recipe, "expr": other}, params))
    return wide in text and text.replace(wide, other) == again


def _template(
    recipe: Mapping[str, Any],
    wrap: Callable[[str], str],
    given: Mapping[str, Value],
    rng: random.Random,
) -> tuple[str, dict[str, list[Value]], dict[str, Value]]:
    """Text with slots, the choices of each slot, and all parameters."""

    def render(params: Mapping[str, Value]) -> str:
        return wrap(recipes.render(recipe, params))

    params = recipes.complete(recipe, given)
    space = recipes.space(recipe)
    found: dict[str, tuple[frozenset[int], list[Value]]] = {}
    taken: set[int] = set()
    for name, choices in space.items():
        places, values = _places(render, params, name, choices)
        if len(values) > 1 and places and not places & taken:
            found[name] = (places, values)
            taken |= places
    while found:
        text = _cut(render(params), {name: places for name, (places, _) in found.items()})
        slots = {name: values for name, (_, values) in found.items()}
        wrong = _disagreeing(text, slots, params, render, rng)
        if not wrong:
            return text, slots, params
        del found[wrong]
    return render(params), {}, params


def _places(
    render: Render, params: Mapping[str, Value], name: str, choices: tuple[Value, ...]
) -> tuple[frozenset[int], list[Value]]:
    """The tokens where the value stands, and the choices that change nothing else."""
    base = _TOKEN.findall(render(params))
    kept: dict[frozenset[int], list[Value]] = {}
    for value in choices:
        if value == params[name]:
            continue
        other = _TOKEN.findall(render({**params, name: value}))
        moved = [at for at in range(min(len(base), len(other))) if base[at] != other[at]]
        pairs = {(base[at], other[at]) for at in moved}
        if len(base) == len(other) and pairs == {(str(params[name]), str(value))}:
            kept.setdefault(frozenset(moved), []).append(value)
    if not kept:
        return frozenset(), []
    places, values = max(kept.items(), key=lambda one: (len(one[1]), len(one[0])))
    return places, [value for value in choices if value in values or value == params[name]]


def _cut(text: str, slots: Mapping[str, frozenset[int]]) -> str:
    tokens = _TOKEN.findall(text)
    for name, places in slots.items():
        for at in places:
            tokens[at] = "${" + name + "}"
    return "".join(tokens)


def _disagreeing(
    text: str,
    choices: Mapping[str, list[Value]],
    params: Mapping[str, Value],
    render: Render,
    rng: random.Random,
) -> str:
    """A slot that does not go with the others: filled at random, the template must be what
    rendering gives. "" if all do."""
    for _ in range(_COMBINATIONS):
        chosen = {name: rng.choice(values) for name, values in choices.items()}
        filled = text
        for name, value in chosen.items():
            filled = filled.replace("${" + name + "}", str(value))
        if filled != render({**params, **chosen}):
            return next(iter(choices))
    return ""
