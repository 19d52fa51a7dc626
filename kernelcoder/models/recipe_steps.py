# SPDX-License-Identifier: Apache-2.0
"""How the recipe proposer answers the questions of step recipes, from parameters alone.

Its plans and ideas name choices of slots, as notes do: ``NAME = VALUE`` in backticks. Which ones
is drawn by the request's key; it predicts nothing, so its gains and difficulties are drawn too. Its
diagnosis of a kernel that fails is the first slot that the verdict's words point at.

======== ============================================ ============================================
kind     data                                         answer
======== ============================================ ============================================
plans    count, recipe, source ("": from scratch)     {"plans": [{plan, gain, difficulty}]}
ideas    count, recipe, source                        {"ideas": [text]}
diagnose recipe, source, digest, verified             {"bottleneck", "evidence", "change"}
reflect  recipe, source, before, outcome              a sentence
======== ============================================ ============================================
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import rng_of
from kernelcoder.models import recipes, sections
from kernelcoder.models.recipe_notes import spelled
from kernelcoder.models.recipe_repair import suspected
from kernelcoder.models.recipes import Slot, Value
from kernelcoder.records import Message, Request

TITLE = "Thoughts"  # the heading of prompts/templates/thoughts.md
_MARKS = " tune: "  # what a prompt says that wants tunables marked
# What a developer would expect a slot to act on; of the others, "overhead".
_ACTS_ON = {
    "memory": ("block", "tile_k", "depth", "pack", "pad", "stream", "layout", "side", "vector"),
    "compute": ("approx", "root", "acc", "tile_m", "tile_n", "outputs", "algorithm"),
    "latency": ("unroll", "stages", "each", "order"),
    "parallelism": ("lanes", "threads", "warps", "grid", "group", "batches"),
}


Params = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Space:
    """What questions are answered from: the slots with more than one choice, the parameters of a
    source (None for a foreign one), and the slot that a verdict's words point at, with the choice
    to take and the words."""

    slots: tuple[Slot, ...]
    read: Callable[[str], Params | None]
    suspect: Callable[[Params, str], tuple[str, Value, str] | None]


def answer(request: Request) -> str:
    """The answer to a recipe's question; "" if it is another one or the task has no recipe."""
    recipe = request.recipe.get("recipe") or {}
    if not recipes.instantiable(recipe):
        return ""
    slots = tuple(slot for slot in recipes.slots_of(recipe) if len(slot.choices) > 1)
    space = Space(
        slots,
        lambda source: _params(recipe, source),
        lambda params, words: suspected(recipe, params, words),
    )
    return answered(request, space)


def answered(request: Request, space: Space) -> str:
    """The answer from a space; "" if the question is no recipe's."""
    ask = _KINDS.get(str(request.recipe.get("kind")))
    if ask is None:
        return ""
    found = ask(request.recipe, space, rng_of(request.key or request.digest))
    return found if isinstance(found, str) else json.dumps(found)


def thoughts(messages: Sequence[Message]) -> str:
    """What a prompt says under its heading of thoughts, "" without one."""
    found = [part for one in messages for part in sections.split(one.content)]
    return "\n".join(part.body for part in found if part.title == TITLE)


def wants_marks(messages: Sequence[Message]) -> bool:
    """Whether a prompt asks for tunables to be marked."""
    return _MARKS in thoughts(messages)


def _params(recipe: Mapping[str, Any], source: str) -> dict[str, Value] | None:
    """The parameters of a kernel of this space, None for any other."""
    parsed = recipes.parse(source)
    if parsed is None or parsed[0] != recipe["family"]:
        return None
    try:
        return recipes.complete(recipe, parsed[1])
    except ValueError:
        return None


def _choice(slot: Slot, params: Params | None, rng: random.Random) -> str:
    value = slot.draw(rng) if params is None else slot.move(params[slot.name], rng)
    return f"`{slot.name} = {spelled(value)}`"


def _plans(data: Mapping[str, Any], space: Space, rng: random.Random) -> dict[str, Any]:
    params = space.read(str(data["source"]))
    slots = rng.sample(space.slots, len(space.slots))
    plans = []
    for number in range(int(data["count"])):
        some = (slots[2 * number :] + slots)[: 1 + rng.randrange(2)]
        text = " and ".join(_choice(slot, params, rng) for slot in some)
        gain, difficulty = 1.0 + rng.random(), 0.2 * len(some) + 0.2 * rng.random()
        plans.append(
            {"plan": f"Take {text}.", "gain": round(gain, 2), "difficulty": round(difficulty, 2)}
        )
    return {"plans": plans}


def _ideas(data: Mapping[str, Any], space: Space, rng: random.Random) -> dict[str, Any]:
    params = space.read(str(data["source"]))
    some = rng.sample(space.slots, min(int(data["count"]), len(space.slots)))
    return {"ideas": [f"{_choice(slot, params, rng)}." for slot in some]}


def _diagnosis(data: Mapping[str, Any], space: Space, rng: random.Random) -> dict[str, str] | str:
    said = str(data["digest"])
    params = space.read(str(data["source"]))
    if params is None:
        return ""
    if not data["verified"]:
        found = space.suspect(params, said)
        if found is not None:
            change = f"Take `{found[0]} = {spelled(found[1])}`."
            return {"bottleneck": "correctness", "evidence": found[2], "change": change}
    slot = rng.choice(space.slots)
    kind = next((kind for kind, names in _ACTS_ON.items() if slot.name in names), "overhead")
    return {
        "bottleneck": kind if data["verified"] else "correctness",
        "evidence": said.partition("\n")[0] or "no figures",
        "change": f"Take {_choice(slot, params, rng)}.",
    }


def _reflection(data: Mapping[str, Any], space: Space, rng: random.Random) -> str:
    """What changed from the kernel before, and the outcome; choices that failed are to be
    avoided."""
    now, then = space.read(str(data["source"])), space.read(str(data["before"]))
    if now is None:
        return ""
    moved = [name for name in now if then is not None and now[name] != then[name]]
    verified = data["outcome"] == "verified"
    if not moved:
        return f"Nothing to compare with; the outcome is {data['outcome']}."
    if verified:
        tried = ", ".join(f"{name} at {spelled(now[name])}" for name in moved)
        return f"Tried {tried}; it is right."
    tried = ", ".join(f"avoid `{name} = {spelled(now[name])}`" for name in moved)
    return f"It failed with {data['outcome']}: {tried}."


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Space, random.Random], Any]] = {
    "plans": _plans,
    "ideas": _ideas,
    "diagnose": _diagnosis,
    "reflect": _reflection,
}
