# SPDX-License-Identifier: Apache-2.0
"""Guided mode of the embedded model: it fills a kernel recipe while a grammar masks its tokens.

For pointwise tasks the model writes the expression, then chooses the typed slots; for the other
families it chooses the slots only. The rest of the file is the recipe's template, and the reply
says so. The task's own expression is never shown to the model nor used.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.models import grammar, openai_wire, recipes, sections
from kernelcoder.models.embedded_server import Server
from kernelcoder.models.recipes import Slot, Value
from kernelcoder.records import Reply, Request, Usage

DEPTH = 3
# A model this small samples expressions well only when colder than asked; slots are as asked.
EXPRESSION_TEMPERATURE = 0.5
EXPRESSION_TOKENS = 96
CHANGED_IN_DRAFT, CHANGED_IN_REFINEMENT = 3, 2
OFFERED = 2
_EXPRESSION_LINE = "// expression by the model: y = "
# "y = a = b": the second form of an equation confuses more than it helps.
_CHAIN = re.compile(r"([^=]* = (?:(?! with | where )[^=])*) = ")
_CODE = re.compile(r"^(`{3,})\w+\n(.*?)^\1$", re.MULTILINE | re.DOTALL)

# (what, inputs, solution): solved examples for the prompt. None is a task of the core suite.
EXAMPLES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Square: y = x times x", ("x",), "x * x"),
    ("Reciprocal: y = 1 / x", ("x",), "1.0f / x"),
    ("Hard tanh: y = min(max(x, -1), 1)", ("x",), "min(max(x, -1.0f), 1.0f)"),
    ("Softplus: y = log(1 + exp(x))", ("x",), "log(1.0f + exp(x))"),
    ("Softsign: y = x / (1 + |x|)", ("x",), "x / (1.0f + abs(x))"),
    ("Mish: y = x * tanh(log(1 + exp(x)))", ("x",), "x * tanh(log(1.0f + exp(x)))"),
    ("Subtraction: y = a - b", ("a", "b"), "a - b"),
    ("Hypotenuse: y = sqrt(a^2 + b^2)", ("a", "b"), "sqrt(a * a + b * b)"),
    ("Gated tanh: y = f(g) * u with f(a) = a * tanh(a)", ("g", "u"), "g * tanh(g) * u"),
)


@dataclass(frozen=True, slots=True)
class Parent:
    """A kernel of this family found in the prompt."""

    params: dict[str, Value]
    expr: str
    outcome: str

    @property
    def verified(self) -> bool:
        """Whether it was right."""
        return self.outcome.startswith("verified")


class _Calls:
    """The calls of one reply: what was sent, what was used."""

    def __init__(self, server: Server, request: Request) -> None:
        self._server, self._sampling = server, request.sampling
        self.sent: dict[str, Any] = {}
        self.inputs = self.outputs = 0
        self.served = ""

    def ask(self, name: str, path: str, body: dict[str, Any], tokens: int) -> Reply:
        """One masked completion; calls of one reply differ in their seed."""
        seed = openai_wire.wire_seed(self._sampling.seed + len(self.sent))
        full = {"seed": seed, "max_tokens": tokens, **body}
        full["temperature"] = self._sampling.temperature * body.get("temperature", 1.0)
        self.sent[name] = full
        reply = openai_wire.reply_of(self._server.ask(path, full), 0.0)
        self.inputs += reply.usage.input_tokens or 0
        self.outputs += reply.usage.output_tokens or 0
        self.served = reply.served
        return reply


def complete(server: Server, request: Request) -> Reply:
    """One reply with one file that compiles; ``sent`` is the JSON of the wire prompts."""
    start = time.monotonic()
    calls = _Calls(server, request)
    if recipes.instantiable(request.recipe):
        text = _write(calls, request)
    else:
        text = "There is no recipe for this task, and guided mode writes nothing else."
    usage = Usage(calls.inputs, calls.outputs, 0, 0, cost_usd=0.0)
    sent = json.dumps(calls.sent, ensure_ascii=False)
    return Reply(text, "stop", usage, calls.served, time.monotonic() - start, sent)


def _write(calls: _Calls, request: Request) -> str:
    recipe = dict(request.recipe)
    parents = find_parents(request, str(recipe["family"]))
    parent = parents[-1] if parents else None
    said = "The slots are the model's choice under a grammar; the rest is the recipe's template."
    note = ""
    if recipe["family"] == "pointwise":
        kept = parent is not None and parent.verified and _readable(recipe, parent.expr)
        expr = parent.expr if parent and kept else _expression(calls, request, parent)
        recipe["expr"] = expr
        said = f"y = {expr}. Expression and slots are the model's under a grammar, the rest is the "
        said += "recipe's template."
        if kept:
            said += " The expression is kept from the verified parent."
        note = f"{_EXPRESSION_LINE}{expr}\n"
    params = _slots(calls, request, recipe, parents)
    head = f"// written by a grammar-guided language model: slots {json.dumps(params)}\n"
    source = head + note + recipes.render(recipe, params)
    return f"{said}\n\n```cpp\n{source.rstrip()}\n```\n"


def _expression(calls: _Calls, request: Request, parent: Parent | None) -> str:
    """The model's expression for the task, without leading space and semicolon."""
    inputs = [str(name) for name in request.recipe["inputs"]]
    base = {"prompt": expression_prompt(request, parent), "temperature": EXPRESSION_TEMPERATURE}
    for depth in (DEPTH, 1):
        body = {**base, "extra_body": {"grammar": grammar.expression_grammar(inputs, depth)}}
        reply = calls.ask(f"expression{depth}", "completions", body, EXPRESSION_TOKENS)
        if reply.finish == "stop" and reply.text.endswith(";"):
            return reply.text.strip().rstrip(";").strip()
    body = {**base, "extra_body": {"grammar": grammar.plain_grammar(inputs)}}
    reply = calls.ask("plain", "completions", body, 24)
    return reply.text.strip().rstrip(";").strip()


def expression_prompt(request: Request, parent: Parent | None) -> str:
    """Three solved examples of other operations with as many inputs, drawn by the seed, then this
    one up to ``float y =`` (no space after it, so that the prompt ends at a token boundary)."""
    inputs = tuple(str(name) for name in request.recipe["inputs"])
    own = _squeeze(str(request.recipe.get("expr", "")))
    alike = [e for e in EXAMPLES if len(e[1]) == len(inputs) and _squeeze(e[2]) != own]
    rng = random.Random(request.sampling.seed)
    lines = []
    for what, _, solution in rng.sample(alike, min(3, len(alike))):
        lines += [f"// {what}", f"float y = {solution};"]
    lines.append(f"// {task_line(request)}")
    if parent and parent.expr:
        lines.append(f"// Not {parent.expr}, that is wrong.")
    lines.append("float y =")
    return "\n".join(lines)


def task_line(request: Request) -> str:
    """Title and first sentence of the task's description, with one form of its equation."""
    for section in _sections(request):
        if section.title == "Task":
            before = section.body.partition("Reference in PyTorch:")[0]
            title, *description = sections.paragraphs(before)[:2] or [""]
            first = re.split(r"(?<=[^.\d])\.(?:\s|$)", description[0])[0] if description else ""
            chain = _CHAIN.match(first)
            first = chain[1] if chain else first
            return f"{title.rstrip('.')}: {first}"[:300].rstrip(": ")
    return request.task.rpartition("/")[2]


def _slots(
    calls: _Calls, request: Request, recipe: Mapping[str, Any], parents: Sequence[Parent]
) -> dict[str, Value]:
    """The model's choice for every slot."""
    space, user = slots_question(request, recipe, parents)
    messages = [
        {"role": "system", "content": "You tune C++ kernels. Reply with one line of JSON."},
        {"role": "user", "content": user},
    ]
    body = {"messages": messages, "extra_body": {"grammar": grammar.slots_grammar(space)}}
    longest = sum(len(name) + max(len(json.dumps(v)) for v in vs) for name, vs in space.items())
    reply = calls.ask("slots", "chat/completions", body, 8 + longest + 6 * len(space))
    chosen: dict[str, Value] = json.loads(reply.text)
    return chosen


def slots_question(
    request: Request, recipe: Mapping[str, Any], parents: Sequence[Parent]
) -> tuple[dict[str, tuple[Value, ...]], str]:
    """The choices left to the model and the question about them.

    Shown a setting, a model this small repeats it; shown none, it hardly ever finds one that is
    right. So it is shown one, the parent's or the recipe's safe one, and the grammar takes that
    one's value out of the slots that must change. The seed picks those and what is on offer, both
    by the recipe's weights: the grammar says what is usual, the model which of it to take. A cross
    chooses between the values of its two parents."""
    slots = recipes.slots_of(recipe)
    task = task_line(request)
    settings = [_setting(slots, parent.params) for parent in parents]
    if request.role == "cross" and len(settings) > 1:
        first, second = settings[-2:]
        left = {n: tuple(dict.fromkeys((first[n], second[n]))) for n in first}
        shown = f"Setting 1: {json.dumps(first)}\nSetting 2: {json.dumps(second)}\n"
        return left, f"Kernel: {task}\n{shown}Mix the two into a better one.\n"
    base = settings[-1] if settings else {slot.name: slot.safe for slot in slots}
    word = parents[-1].outcome if parents else "right but slow"
    count = CHANGED_IN_REFINEMENT if parents else CHANGED_IN_DRAFT
    rng = random.Random(request.sampling.seed)
    names = _to_change(slots, base, count, rng)
    left = {slot.name: _offer(slot, base[slot.name], slot.name in names, rng) for slot in slots}
    aim = "right" if parents and not parents[-1].verified else "faster"
    change = f"Change {', '.join(names)} to make it {aim}."
    return left, f"Kernel: {task}\nSetting: {json.dumps(base)}\nOutcome: {word}\n{change}\n"


def _setting(slots: Sequence[Slot], params: Mapping[str, Value]) -> dict[str, Value]:
    """A parent's value of every slot; the safe one where it has none this space knows."""
    known = {slot.name: {repr(choice): choice for choice in slot.choices} for slot in slots}
    return {
        slot.name: known[slot.name].get(repr(params.get(slot.name)), slot.safe) for slot in slots
    }


def _to_change(
    slots: Sequence[Slot], base: Mapping[str, Value], count: int, rng: random.Random
) -> list[str]:
    """``count`` slots, drawn without repetition by the weight of their other choices."""
    weights = {
        slot.name: 1 - slot.weights[slot.choices.index(base[slot.name])] / sum(slot.weights)
        for slot in slots
        if len(slot.choices) > 1
    }
    chosen: list[str] = []
    while weights and len(chosen) < count:
        name = rng.choices(list(weights), list(weights.values()))[0]
        del weights[name]
        chosen.append(name)
    return [name for name in base if name in chosen]


def find_parents(request: Request, family: str) -> list[Parent]:
    """Kernels of ``family`` among those to work on, in the order of the prompt."""
    found = []
    for section in _sections(request):
        code = _CODE.search(section.body) if section.title.startswith("Kernel to work on") else None
        parsed = recipes.parse(code[2]) if code else None
        if code and parsed and parsed[0] == family:
            line = re.search(rf"^{re.escape(_EXPRESSION_LINE)}(.+)$", code[2], re.MULTILINE)
            outcome = sections.field(section.body, "Outcome")
            found.append(Parent(parsed[1], line[1] if line else "", outcome))
    return found


def _sections(request: Request) -> list[sections.Section]:
    return [s for m in request.messages if m.role == "user" for s in sections.split(m.content)]


def _offer(slot: Slot, old: Value, must_change: bool, rng: random.Random) -> tuple[Value, ...]:
    """What the model may take for one slot: two draws by weight; without ``old`` if it must
    change, with it otherwise."""
    drawn = [slot.draw(rng) for _ in range(OFFERED)]
    if must_change:
        drawn = [value for value in drawn if value != old] or [slot.move(old, rng)]
    else:
        drawn.append(old)
    return tuple(value for value in slot.choices if value in drawn)


def _readable(recipe: Mapping[str, Any], expr: str) -> bool:
    """Whether a parent's expression can be rendered again."""
    return bool(expr) and recipes.instantiable({**recipe, "expr": expr})


def _squeeze(expression: str) -> str:
    return re.sub(r"[\s()]", "", expression)
