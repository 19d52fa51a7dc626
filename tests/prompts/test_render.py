# SPDX-License-Identifier: Apache-2.0
"""What a prompt says, in which order, and what never enters it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from kernelcoder import prompts
from kernelcoder.prompts import Parts, estimate_tokens, render
from kernelcoder.prompts.examples import Example, Pair
from kernelcoder.records import (
    ROLES,
    Attempt,
    Candidate,
    CaseResult,
    Proposal,
    Ratio,
    Timing,
    Usage,
    Verdict,
)
from kernelcoder.task import Arg, Case, Task

OWN = 'extern "C" void kernel() { /* own solution */ }\n'
OTHER = 'extern "C" void kernel() { /* solution of another task */ }\n'
WRONG = 'extern "C" void kernel() { /* the same with a mistake */ }\n'


def make_task(**changes: Any) -> Task:
    shapes = {"x": (3, 17), "y": (3, 17)}
    fields: dict[str, Any] = {
        "suite": "core",
        "name": "softmax",
        "title": "Softmax",
        "category": "normalization",
        "inputs": (Arg("x", ("...", "dim")),),
        "outputs": (Arg("y", ("...", "dim")),),
        "scalars": ("eps",),
        "description": "Softmax over the last dimension.",
        "reference_source": "def reference(x, eps):\n    return torch.softmax(x, -1)",
        "reference": None,
        "make_inputs": None,
        "visible": (Case("tall", shapes, "f16", "strided", "large", {"eps": 1e-3}),),
        "holdout": lambda rng: (Case("secret-7919", {"x": (7919,), "y": (7919,)}, "f32"),),
        "timing": (Case("hot-4093", {"x": (4093,), "y": (4093,)}, "f32"),),
        "bytes": None,
        "flops": None,
        "solutions": {"cpu": OWN},
    }
    return Task(**{**fields, **changes})


def attempt(ordinal: int, speedup: float | None = None, parents: tuple[int, ...] = ()) -> Attempt:
    case = CaseResult("tall", (3, 17), "f16", "strided", ok=speedup is not None)
    ratio = Ratio(speedup, speedup * 0.9, speedup * 1.1, 9) if speedup else None
    timing = Timing("search", {"eager": ratio}, None, 1e-3) if ratio else None
    verdict = (
        Verdict("verified", "measured", "all right", cases=(case,), timing=timing)
        if timing
        else Verdict("incorrect", "compiled", "tail unwritten", cases=(case,))
    )
    candidate = Candidate(f"// kernel {ordinal}\n", "cpp", "cpu")
    role = "refine" if parents else "draft"
    return Attempt(ordinal, Proposal(role, parents), candidate, verdict, Usage())


def text_of(parts: Parts, limit: int = prompts.DEFAULT_LIMIT) -> str:
    return "\n".join(message.content for message in render(parts, limit))


EXAMPLE = Pair(
    "relu_squared", "y = max(x, 0)^2", Example(OTHER, "it is"), Example(WRONG, "a NaN is lost")
)
FULL = Parts(
    task=make_task(),
    contract="One C++20 file with `kernel`.",
    language="cpp",
    examples=(EXAMPLE,),
    parents=((attempt(4, 1.5), "Spends its time in expf."),),
    shown=(attempt(2, 1.1),),
    history=tuple(attempt(i) for i in range(6)),
    context=("[m1] Avoid division in inner loops.", "[m2] Align loads."),
    hint="Fuse the passes.",
    role="refine",
)


def test_order_of_the_parts() -> None:
    headings = re.findall(r"^## (\w+)", text_of(FULL), re.MULTILINE)
    assert headings == [
        "Task",
        "Contract",
        "Example",
        "Notes",
        "Earlier",
        "Kernel",
        "History",
        "Strategy",
        "Instruction",
    ]


def test_the_task_is_told_whole() -> None:
    text = text_of(FULL)
    for part in ("Softmax over the last", "torch.softmax(x, -1)", "x[..., dim]", "eps (scalar)"):
        assert part in text
    assert "tall: x [3, 17], y [3, 17]; f16, strided, large values, eps = 0.001" in text


def test_kernels_come_with_outcome_and_feedback() -> None:
    text = text_of(FULL)
    assert "verified, 1.50x over eager" in text
    assert "Spends its time in expf." in text
    assert text.index("// kernel 2") < text.index("// kernel 4")
    assert "- #3 draft: incorrect: tail unwritten" in text


def test_holdouts_and_timing_cases_never_enter() -> None:
    text = text_of(FULL)
    for word in ("secret", "7919", "4093"):
        assert word not in text


def test_a_hidden_case_among_the_visible_is_refused() -> None:
    hidden = Case("h", {"x": (1,), "y": (1,)}, "f32", hidden=True)
    with pytest.raises(ValueError, match="hidden case"):
        render(dataclasses.replace(FULL, task=make_task(visible=(hidden,))))


def test_the_own_solution_as_example_is_refused() -> None:
    own = Example(OWN, "")
    with pytest.raises(ValueError, match="own solution"):
        render(dataclasses.replace(FULL, examples=(dataclasses.replace(EXAMPLE, good=own),)))


def test_examples_change_the_prompt() -> None:
    zero_shot = dataclasses.replace(FULL, examples=())
    assert OTHER.strip() in text_of(FULL)
    assert OTHER.strip() not in text_of(zero_shot)
    assert render(FULL) != render(zero_shot)
    for part in (WRONG.strip(), "a NaN is lost", "y = max(x, 0)^2", "## Example: relu squared"):
        assert part in text_of(FULL)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_its_own_instruction(role: str) -> None:
    others = {text_of(dataclasses.replace(FULL, role=other)) for other in ROLES if other != role}
    assert text_of(dataclasses.replace(FULL, role=role)) not in others


def test_trimming_order() -> None:
    """Oldest history, then context from its end, then shown kernels, then examples."""
    marks = [f"- #{i} draft" for i in range(6)]
    marks += ["[m2]", "[m1]", "// kernel 2", "another task */"]
    whole = sum(estimate_tokens(message.content) for message in render(FULL))
    gone: list[list[str]] = []
    for limit in range(whole, 0, -5):
        text = text_of(FULL, limit)
        gone.append([mark for mark in marks if mark not in text])
    assert gone[0] == [] and gone[-1] == marks
    assert all(missing == marks[: len(missing)] for missing in gone)


def test_task_contract_and_parents_survive_any_limit() -> None:
    text = text_of(FULL, limit=1)
    for part in ("torch.softmax(x, -1)", "One C++20 file", "// kernel 4", "Spends its time"):
        assert part in text


def test_limit_is_kept_where_it_can_be() -> None:
    smallest = sum(estimate_tokens(message.content) for message in render(FULL, limit=1))
    for limit in (smallest, smallest + 40, smallest + 200):
        assert sum(estimate_tokens(message.content) for message in render(FULL, limit)) <= limit


def test_sources_with_dollars_and_fences_arrive_unchanged() -> None:
    source = "// $title ${code}\n// ```\nint a;"
    odd = dataclasses.replace(EXAMPLE, bad=Example(source, "odd"))
    text = text_of(dataclasses.replace(FULL, examples=(odd,)))
    assert f"````cpp\n{source}\n````" in text


def test_rendering_is_deterministic_and_the_digest_is_a_sha256() -> None:
    assert render(FULL) == render(FULL)
    assert re.fullmatch(r"[0-9a-f]{64}", prompts.TEMPLATES_DIGEST)
