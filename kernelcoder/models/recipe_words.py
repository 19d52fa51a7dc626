# SPDX-License-Identifier: Apache-2.0
"""How the recipe proposer answers questions in words: mechanically, from the parameters that
stand in the kernels.

What a language model reads in the messages, it takes from ``Request.recipe``, whose ``kind`` says
what is asked. It understands parameters and nothing else; every other question is answered with
"". Answers have the JSON form that the question asks for.

========= ============================================== =========================================
kind      data                                           answer
========= ============================================== =========================================
lessons   better, worse: sources, either may be ""; good {"items": [{title, description, content}]}
          (which of them it is about), error, recipe,
          most
contrast  kernels: [{source, score}], most               the same, each item with its polarity
rules     pairs: [[better, worse]], most                 {"rules": [{text}]}
merge     rules: [text]                                  {"rules": [{text, from: [index]}]}
judge     rules: [text], source                          {"answers": ["yes" | "no" | "n/a"]}
skill     source, title, recipe                          a template: recipe_skill.py
fill      schema, defaults                               one value for every slot of the schema
========= ============================================== =========================================
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from kernelcoder.history import rng_of
from kernelcoder.models import recipe_skill, recipe_steps, recipes
from kernelcoder.models.recipe_notes import Wish, spelled, wishes
from kernelcoder.models.recipe_repair import repair
from kernelcoder.records import Request
from kernelcoder.simulation import form

DIALECTS = ("metal", "triton")  # languages of recipes whose kernels are Python files


def answer(request: Request) -> str:
    """The answer to a question in words; "" where parameters say nothing about it."""
    ask = _KINDS.get(str(request.recipe.get("kind")))
    if ask is None:
        return recipe_steps.answer(request)
    found = ask(request.recipe, rng_of(request.key or request.digest))
    return json.dumps(found) if found is not None else ""


def _params(source: str) -> dict[str, str]:
    """The parameters of a kernel as they are spelled, {} for a kernel by hand."""
    if (made_up := form.parse(source)) is not None:
        return {slot: str(one) for slot, one in zip(form.SLOTS, made_up.choices, strict=True)}
    parsed = recipes.parse(source)
    return {name: spelled(value) for name, value in parsed[1].items()} if parsed else {}


def differing(better: str, worse: str) -> list[Wish]:
    """What the better kernel has and the worse one has not, and the other way round."""
    left, right = _params(better), _params(worse)
    names = [name for name in left if name in right and left[name] != right[name]]
    return [Wish(name, left[name], True) for name in names] + [
        Wish(name, right[name], False) for name in names
    ]


def _lessons(data: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """From a right kernel: choices to prefer, those that the other lacks if there is one. From a
    wrong one: choices to avoid, those that the other lacks, or that its error points at."""
    better, worse, most = str(data["better"]), str(data["worse"]), int(data["most"])
    found = differing(better, worse)
    good = bool(data.get("good", True))
    said = [wish for wish in found if wish.good == good]
    if not found:
        params = _params(better if good else worse)
        said = [] if good else _at_fault(worse, str(data["error"]), data["recipe"])
    if not found and not said:
        some = rng.sample(sorted(params), min(most, len(params)))
        said = [Wish(name, params[name], good) for name in some]
    return {"items": [_item(wish) for wish in said[:most]]} if said else None


def _at_fault(source: str, error: str, recipe: Mapping[str, Any]) -> list[Wish]:
    """The choices of a wrong kernel that a developer would suspect from its error."""
    parsed = recipes.parse(source)
    if parsed is None:
        return []
    params = parsed[1]
    for language in (recipe.get("language"), *DIALECTS):
        own = {**recipe, "language": language}
        if recipes.instantiable(own) and set(recipes.space(own)) == set(params):
            mended = repair(own, params, error, all_of_them=True)
            return [
                Wish(name, spelled(value), False)
                for name, value in params.items()
                if mended[name] != value
            ]
    return []


def _item(wish: Wish) -> dict[str, str]:
    return {
        "title": f"{wish.name}: {wish.value}" if wish.good else f"{wish.name}: not {wish.value}",
        "description": f"A choice of {wish.name} that {'paid' if wish.good else 'failed'}.",
        "content": f"{str(wish).capitalize()}.",
        "polarity": "success" if wish.good else "failure",
    }


def _contrast(data: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """Choices by the difference of the mean score with and without them, largest first."""
    judged = [(_params(str(one["source"])), float(one["score"])) for one in data["kernels"]]
    effects = []
    for name, value in sorted({pair for params, _ in judged for pair in params.items()}):
        having = [score for params, score in judged if params.get(name) == value]
        lacking = [score for params, score in judged if name in params and params[name] != value]
        if having and lacking and fmean(having) != fmean(lacking):
            effects.append((fmean(having) - fmean(lacking), name, value))
    effects.sort(key=lambda one: (-abs(one[0]), one[1:]))
    chosen = [Wish(name, value, effect > 0) for effect, name, value in effects]
    return {"items": [_item(wish) for wish in chosen[: int(data["most"])]]} if chosen else None


def _rules(data: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """What sets the better kernels of the pairs apart, a pair that differs least first."""
    pairs: Sequence[Sequence[str]] = data["pairs"]
    each = sorted((differing(better, worse) for better, worse in pairs), key=len)
    found = dict.fromkeys(wish for one in each for wish in one)
    said = [{"text": f"{str(wish).capitalize()}."} for wish in list(found)[: int(data["most"])]]
    return {"rules": said} if said else None


def _merge(data: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """Rules that name the same choices become one, in the words of the first."""
    groups: dict[object, list[int]] = {}
    texts = [str(text) for text in data["rules"]]
    for index, text in enumerate(texts):
        groups.setdefault(wishes(text) or text, []).append(index)
    return {"rules": [{"text": texts[own[0]], "from": own} for own in groups.values()]}


def _judge(data: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """Whether the kernel's parameters obey each rule."""
    params = _params(str(data["source"]))
    return {"answers": [_obeys(params, wishes(str(text))) for text in data["rules"]]}


def _obeys(params: Mapping[str, str], said: Sequence[Wish]) -> str:
    known = [wish for wish in said if wish.name in params]
    if not known:
        return "n/a"
    return "yes" if all((params[w.name] == w.value) == w.good for w in known) else "no"


_KINDS: Mapping[str, Callable[[Mapping[str, Any], random.Random], dict[str, Any] | None]] = {
    "lessons": _lessons,
    "contrast": _contrast,
    "rules": _rules,
    "merge": _merge,
    "judge": _judge,
    "skill": recipe_skill.skill,
    "fill": recipe_skill.fill,
}
