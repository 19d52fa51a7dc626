# SPDX-License-Identifier: Apache-2.0
"""Postconditions are executed: nonsense passes none, an absent judge decides none (KW6)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from doubles import verdict
from skill_doubles import judged, skill, task, trial

from kernelcoder.memory.skill import evidence, features, postconditions, template
from kernelcoder.memory.skill.schema import Check, Skill

BANANAS = ("banana", "banana banana banana\n", "", "The kernel is right. Verified. Trust me.")
CHECKS = (
    (Check("verdict", "verified"),),
    (Check("verdict", "verified"), Check("speedup", 0.8)),
    (Check("verdict", "verified"), Check("source", 1, "kernel.lines", ">=")),
)


@pytest.mark.parametrize("checks", CHECKS)
@pytest.mark.parametrize("answer", BANANAS)
def test_a_banana_passes_no_skill(answer: str, checks: tuple[Check, ...]) -> None:
    one = skill(postconditions=checks)
    found = postconditions.check(one, answer, judged(task(), answer), "eager")
    assert found.outcome == "fail" and found.reasons
    kept = evidence.trial(one, "core/relu", answer, {}, judged(task(), answer), "probe", "eager")
    assert not kept.right


def test_a_right_kernel_passes() -> None:
    one = skill(postconditions=CHECKS[1])
    source = "relu speed=1.5"
    assert postconditions.check(one, source, judged(task(), source), "eager").outcome == "pass"


def test_an_absent_judge_is_unknown_and_not_a_pass() -> None:
    for found in (None, verdict("infra_error")):
        assert postconditions.check(skill(), "relu", found, "eager").outcome == "unknown"
    lost = evidence.trial(
        skill(), "core/relu", "relu", {}, verdict("infra_error"), "other", "eager"
    )
    assert lost.outcome == "unknown" and not lost.right
    many = skill(evidence=tuple(trial(n, outcome="unknown") for n in range(20)))
    assert evidence.standing(many, "7").n == 0
    assert evidence.judged(many, "7").status == "draft"


def test_an_untimed_speedup_is_unknown_and_a_slow_one_fails() -> None:
    one = skill(postconditions=CHECKS[1])
    untimed = judged(task(), "relu", timed=False)
    assert postconditions.check(one, "relu", untimed, "eager").outcome == "unknown"
    slow = judged(task(), "relu speed=0.5")
    found = postconditions.check(one, "relu speed=0.5", slow, "eager")
    assert found.outcome == "fail" and "below 0.8x" in found.reasons[0]
    assert postconditions.check(one, "x", untimed, "no such baseline").outcome == "unknown"


def test_static_predicates_are_of_the_text() -> None:
    check = Check("source", "omp", "kernel.pragmas", "contains")
    one = skill(postconditions=(Check("verdict", "verified"), check))
    good = judged(task(), "relu")
    assert postconditions.check(one, "relu", good, "eager").outcome == "fail"
    assert postconditions.check(one, "relu\n#pragma omp x", good, "eager").outcome == "pass"
    assert postconditions.check(one, "relu", None, "eager").outcome == "fail"


@pytest.mark.slow
def test_bananas_and_transfer_before_the_real_verifier(
    tmp_path: Path, with_cache: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template of a ReLU kernel is right on other operations; nonsense is right on none."""
    import random

    import benchmarks.core as core
    from kernelcoder.commands.skills import _verifier_of
    from kernelcoder.models import recipe_skill, recipes
    from kernelcoder.records import Candidate

    monkeypatch.setenv("KERNELCODER_O", str(with_cache(tmp_path / "out")))
    relu = core.load("relu")
    source = recipes.render(relu.recipe, {"unroll": 4, "block": 1024})
    data = {"source": source, "title": relu.title, "recipe": relu.recipe}
    answer = recipe_skill.skill(data, random.Random(0))
    assert answer is not None
    one: Skill = skill(
        template=answer["template"],
        parameters=answer["parameters"],
        defaults=answer["defaults"],
        bind=answer["bind"],
    )
    verifier, language = _verifier_of("cpu")
    try:
        for name in ("relu", "sigmoid", "gelu"):
            on = core.load(name)
            text = template.instantiate(one, {"unroll": 2}, features.of_task(on, "cpu", language))
            found = verifier.verify(on, Candidate(text, language, "cpu"), "ab" * 16, timing=False)
            assert postconditions.check(one, text, found, "eager").outcome == "pass", found.reason
        for nonsense in BANANAS:
            candidate = Candidate(nonsense, language, "cpu")
            found = verifier.verify(relu, candidate, "ab" * 16, timing=False)
            assert postconditions.check(one, nonsense, found, "eager").outcome == "fail"
    finally:
        verifier.close()
