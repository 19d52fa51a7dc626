# SPDX-License-Identifier: Apache-2.0
"""Recipe spaces of CUDA and Metal: as those of C++, then before the verifier as they run here."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.gpu_mistakes import few
from models.recipe_table import RECIPES

from benchmarks import core
from kernelcoder.history import random_key
from kernelcoder.models import recipe, recipes
from kernelcoder.prompts.extraction import extract
from kernelcoder.records import Candidate, Message, Request, Sampling, Verdict
from kernelcoder.verify import Verifier, VerifyOptions
from kernelcoder.verify.feedback import feedback

LANGUAGES = ("cuda", "metal")
ALL = [(language, name) for language in LANGUAGES for name in RECIPES]
OPTIONS = VerifyOptions(False, 60, 60, 2048, 1, "eager", False, 4)
Judge = Callable[..., Verdict]

# Language, task, a wrong choice, and what has to be said of it.
MISTAKES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("cuda", "relu", {"loop": "unchecked"}),
    ("cuda", "exp", {"align": "assumed"}),
    ("cuda", "softmax", {"barrier": "missing"}),
    ("cuda", "layernorm", {"variance": "squares"}),
    ("cuda", "matmul", {"barrier": "before"}),
    ("metal", "max_last", {"nan": "swallow"}),
    ("metal", "sum_last", {"layout": "dense"}),
    ("metal", "softmax", {"reduce": "shared", "barrier": "missing"}),
    ("metal", "rope", {"tail": "none"}),
    ("metal", "rmsnorm", {"lanes": "half"}),
)
SAFE_QUICK = (("cuda", "gelu"), ("cuda", "rmsnorm"), ("metal", "softmax"), ("metal", "matmul"))


def data(language: str, name: str) -> dict[str, Any]:
    """Recipe data as a request of that language has it."""
    return {**RECIPES[name], "language": language}


def of_task(language: str, name: str) -> dict[str, Any]:
    return {**core.load(name).recipe, "language": language}


def safe(found: dict[str, Any]) -> dict[str, Any]:
    return {slot.name: slot.safe for slot in recipes.slots_of(found)}


@pytest.mark.parametrize(("language", "name"), ALL)
def test_a_rendered_file_carries_its_parameters(language: str, name: str) -> None:
    found, rng = data(language, name), random.Random(name)
    for _ in range(30):
        params = recipes.draw(found, rng)
        source = recipes.render(found, params)
        assert recipes.parse(source) == (found["family"], params)
        body = source.split("\n", 1)[1]
        assert "@" not in body, "a mark was left unfilled"
        assert body.count("{") == body.count("}") and body.count("(") == body.count(")")
        if language == "metal":
            compile(source, "kernel.py", "exec")


@pytest.mark.parametrize(("language", "name"), ALL)
def test_every_choice_changes_the_file(language: str, name: str) -> None:
    found = data(language, name)
    body = recipes.render(found, safe(found)).split("\n", 1)[1]
    for slot, choices in recipes.space(found).items():
        files = {recipes.render(found, {**safe(found), slot: one}) for one in choices}
        bodies = {text.split("\n", 1)[1] for text in files}
        assert body in bodies and len(bodies) == len(choices), f"{slot} changes nothing"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reply_is_a_file_of_the_language(language: str) -> None:
    module = importlib.import_module(f"kernelcoder.backends.{language}")
    request = Request(
        model="recipe:v1",
        messages=(Message("user", "Rules."),),
        sampling=Sampling(1.0, 1, 1),
        key=random_key("gpu", language),
        task="core/softmax",
        role="draft",
        recipe=of_task(language, "softmax"),
    )
    source, _ = extract(recipe.propose(request), module.LANGUAGE)
    assert source is not None
    entry = module.signature(core.load("softmax")).split("(")[0]
    assert entry in source and recipes.parse(source) is not None


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("op", [{"family": "reduce", "op": "product"}, {"family": "conv"}, {}])
def test_what_cannot_be_instantiated_says_so(language: str, op: dict[str, Any]) -> None:
    found = {**op, "language": language}
    assert not recipes.instantiable(found)
    with pytest.raises(ValueError, match=r"\w"):
        recipes.space(found)


@pytest.fixture(scope="module")
def judge(shared_cache: Path) -> Iterator[Judge]:
    """``judge(language, task, source)``: the verdict on few cases."""
    open_ones: dict[str, Verifier] = {}

    def judged(language: str, name: str, source: str) -> Verdict:
        module: Any = importlib.import_module(f"kernelcoder.backends.{language}")
        if (available := module.probe()).mode is None:
            pytest.skip(f"{language} cannot run here: {available.reason}")
        if language not in open_ones:
            own = (module.Options(nvcc=False),) if language == "cuda" else ()
            open_ones[language] = module.open_verifier(OPTIONS, shared_cache, 1, *own)
        candidate = Candidate(source, module.LANGUAGE, language)
        return open_ones[language].verify(few(core.load(name)), candidate, "recipe-test")

    yield judged
    for verifier in open_ones.values():
        verifier.close()


def _is_right(judge: Judge, language: str, name: str, changed: dict[str, Any]) -> None:
    found = of_task(language, name)
    verdict = judge(language, name, recipes.render(found, {**safe(found), **changed}))
    assert verdict.verified, f"{changed}: {verdict.reason} {verdict.log}"


@pytest.mark.parametrize(("language", "name"), SAFE_QUICK)
def test_the_safe_point_is_right(judge: Judge, language: str, name: str) -> None:
    _is_right(judge, language, name, {})


@pytest.mark.slow
@pytest.mark.parametrize("name", core.names())
@pytest.mark.parametrize("language", LANGUAGES)
def test_both_ends_of_every_harmless_slot_are_right(judge: Judge, language: str, name: str) -> None:
    """Speed choices never change the answer: threads, elements, vectors, tiles, reductions."""
    space = recipes.space(of_task(language, name))
    harmless = {"threads", "each", "vector", "reduce", "root", "side", "outputs", "depth", "pad"}
    harmless |= {"batches", "algorithm", "angles", "layout"}
    harmless_choices = {
        slot: [one for one in choices if one not in ("no-max", "half", "dense")]
        for slot, choices in space.items()
        if slot in harmless
    }
    for end in (0, -1):
        _is_right(judge, language, name, {slot: c[end] for slot, c in harmless_choices.items()})


@pytest.mark.slow
@pytest.mark.parametrize(("language", "name", "wrong"), MISTAKES)
def test_a_mistake_is_caught_and_debugging_repairs_it(
    judge: Judge, language: str, name: str, wrong: dict[str, Any]
) -> None:
    found = of_task(language, name)
    module: Any = importlib.import_module(f"kernelcoder.backends.{language}")
    source = recipes.render(found, {**safe(found), **wrong})
    verdict = judge(language, name, source)
    assert not verdict.verified
    for step in range(6):
        said = feedback(verdict, module.LANGUAGE)
        text = f"## Kernel to work on\n\n```{module.LANGUAGE}\n{source}```\n\n{said}"
        request = Request(
            model="recipe:v1",
            messages=(Message("user", text),),
            sampling=Sampling(1.0, 1, 1),
            key=random_key(name, step),
            task=f"core/{name}",
            role="debug",
            recipe=found,
        )
        cut, _ = extract(recipe.propose(request), module.LANGUAGE)
        assert cut is not None
        source, verdict = cut, judge(language, name, cut)
        if verdict.verified:
            return
    pytest.fail(f"not repaired in six steps: {verdict.reason}")
