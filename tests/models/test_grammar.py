# SPDX-License-Identifier: Apache-2.0
"""The grammars say what they should: sentences drawn from them by a small interpreter render."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from kernelcoder.models import grammar, recipes

RECIPES = {
    "relu": {"family": "pointwise", "inputs": ["x"], "expr": "max(x, 0.0f)"},
    "swiglu": {
        "family": "pointwise",
        "inputs": ["gate", "up"],
        "expr": "gate * sigmoid(gate) * up",
    },
    "sum": {"family": "reduce", "op": "sum"},
    "max": {"family": "reduce", "op": "max"},
    "mean": {"family": "reduce", "op": "mean"},
    "softmax": {"family": "rownorm", "op": "softmax"},
    "rmsnorm": {"family": "rownorm", "op": "rmsnorm"},
    "layernorm": {"family": "rownorm", "op": "layernorm"},
    "rope": {"family": "rope"},
    "matmul": {"family": "matmul"},
}

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)+/|\{\d+,\d+\}|\w+|[()|]')


class Sampler:
    """Draws sentences of the subset of Lark these grammars use. A node of a rule is a string or
    ``("any", nodes)``, ``("all", nodes)``, ``("times", low, high, node)``, ``("rule", name)``."""

    def __init__(self, text: str, rng: random.Random) -> None:
        lines = [line for line in text.split("\n") if line and not line.startswith("%")]
        self._rng, self._rules = rng, {}
        for line in lines:
            name, _, body = line.partition(":")
            self._tokens = _TOKEN.findall(body)
            self._rules[name] = self._alternatives()
            assert not self._tokens, f"{name}: cannot read {self._tokens}"

    def draw(self, node: Any = ("rule", "start")) -> str:
        if isinstance(node, str):
            return node
        kind, *rest = node
        if kind == "rule" and rest[0] == "NUMBER":
            return f"{self._rng.randrange(100)}.{self._rng.randrange(10**8)}f"
        if kind == "rule":
            return self.draw(self._rules[rest[0]])
        if kind == "any":
            return self.draw(self._rng.choice(rest[0]))
        if kind == "all":
            return "".join(map(self.draw, rest[0]))
        low, high, inner = rest
        return "".join(self.draw(inner) for _ in range(self._rng.randint(low, high)))

    def _alternatives(self) -> Any:
        options = [self._sequence()]
        while self._tokens and self._tokens[0] == "|":
            self._tokens.pop(0)
            options.append(self._sequence())
        return ("any", options)

    def _sequence(self) -> Any:
        items: list[Any] = []
        while self._tokens and self._tokens[0] not in ("|", ")"):
            token = self._tokens.pop(0)
            if token == "(":
                items.append(self._alternatives())
                assert self._tokens.pop(0) == ")"
            elif token.startswith("{"):
                low, high = map(int, token.strip("{}").split(","))
                items[-1] = ("times", low, high, items[-1])
            elif token.startswith("/"):
                assert token == r"/[0-9]{1,2}\.[0-9]{1,8}f/"
            else:
                items.append(json.loads(token) if token.startswith('"') else ("rule", token))
        return ("all", items)


@pytest.mark.parametrize("inputs", [("x",), ("gate", "up")])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_every_expression_of_the_grammar_can_be_rendered(
    inputs: tuple[str, ...], depth: int
) -> None:
    sampler = Sampler(grammar.expression_grammar(inputs, depth), random.Random(depth))
    for _ in range(60):
        sentence = sampler.draw()
        assert sentence.startswith(" ") and sentence.endswith(";")
        expr = sentence.strip(" ;")
        recipe = {"family": "pointwise", "inputs": list(inputs), "expr": expr}
        assert f"y = {expr}" in recipes.render(recipe, {})


def test_the_plain_grammar_is_short_and_renders() -> None:
    sampler = Sampler(grammar.plain_grammar(("gate", "up")), random.Random(1))
    for _ in range(30):
        expr = sampler.draw().strip(" ;")
        assert len(expr) <= len("sigmoid(gate)")
        recipes.render({"family": "pointwise", "inputs": ["gate", "up"], "expr": expr}, {})


@pytest.mark.parametrize("name", RECIPES)
def test_slots_grammar_lists_the_space(name: str) -> None:
    space = recipes.space(RECIPES[name])
    head, _, rest = grammar.slots_grammar(space).partition("\nstart: %json ")
    assert head == "%llguidance {}"
    schema = json.loads(rest)
    assert list(schema["properties"]) == list(space) == schema["required"]
    assert {n: tuple(p["enum"]) for n, p in schema["properties"].items()} == space
    assert schema["additionalProperties"] is False
    assert schema["x-guidance"]["item_separator"] == ", "
