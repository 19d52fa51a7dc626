# SPDX-License-Identifier: Apache-2.0
"""Likeness to the task's own kernel: seen through renaming and layout, not where there is none."""

from __future__ import annotations

import itertools
import re

import pytest

from benchmarks import core
from kernelcoder.records import Candidate
from kernelcoder.verify import similarity

OWN = core.load("softmax").solutions["cpu"]
SAME, NEARLY = "the same as the task's own kernel", "nearly the task's own kernel"


def remark(source: str, own: str = OWN, language: str = "cpp") -> str:
    return similarity.remark(Candidate(source, language, "cpu"), own)


def disguised(source: str) -> str:
    """Another layout, other comments, and another name for everything that is no keyword."""
    text = re.sub(r"//[^\n]*|#include[^\n]*", "", source)
    names: dict[str, str] = {}

    def other(found: re.Match[str]) -> str:
        if found[0] in similarity._KEPT:
            return found[0]
        return names.setdefault(found[0], f"renamed_{len(names)}")

    text = re.sub(r"(?<![\w\"])(?<!\d\.)[A-Za-z_]\w*", other, text)
    return "// my own work\n" + text.replace("  ", "\t \t").replace(";\n", ";  /* hm */\n\n")


def test_the_own_kernel_is_recognized() -> None:
    assert remark(OWN).startswith(SAME)


def test_comments_layout_and_names_hide_nothing() -> None:
    copy = disguised(OWN)
    assert copy != OWN
    assert "renamed_3" in copy
    assert remark(copy).startswith(SAME)


def test_dead_code_and_small_changes_do_not_hide_a_copy() -> None:
    dead = "static float unused(float v) { float s = 0; for (int i = 0; i < 3; ++i) s += v;"
    dead += " return s; }\n"
    changed = OWN.replace("sum", "total").replace("0.0f", "0.f") + dead
    assert remark(changed).startswith(NEARLY)


def test_kernels_of_different_tasks_are_not_alike() -> None:
    sources = {
        name: core.load(name).solutions["cpu"] for name in ("softmax", "matmul", "rope", "sum_last")
    }
    for one, other in itertools.permutations(sources, 2):
        assert remark(sources[one], sources[other]) == "", (one, other)


def test_a_kernel_written_apart_is_not_called_a_copy() -> None:
    from kernelcoder.redteam.entry import softmax

    assert remark(softmax()) == ""


def test_python_is_compared_without_its_comments() -> None:
    own = "def kernel(x, y):\n    # copy\n    y.copy_(x.exp())\n"
    assert remark("def kernel(a, out):\n    out.copy_(a.exp())  # mine\n", own, "python")
    assert remark("def kernel(x, y):\n    y.copy_(x.log())\n", own, "python") == ""


@pytest.mark.parametrize(
    "text", ["", "{", '"', "kernel" * 5000, "(" * 20000, "\ud800 kernel", "/*"]
)
def test_no_text_upsets_it(text: str) -> None:
    assert isinstance(remark(text), str)
    assert isinstance(remark(OWN, text), str)


def test_fingerprints_find_a_shared_run_of_the_promised_length() -> None:
    """The guarantee of winnowing: NOISE + WINDOW - 1 shared tokens share a fingerprint."""
    run = tuple(f"{n}" for n in range(similarity.NOISE + similarity.WINDOW - 1))
    left = (*("+" for _ in range(40)), *run, *("-" for _ in range(40)))
    right = (*("*" for _ in range(31)), *run, *("/" for _ in range(53)))
    assert similarity.fingerprints(left) & similarity.fingerprints(right)
    short = run[: similarity.NOISE - 1]
    assert not similarity.fingerprints(("+",) * 40 + short) & similarity.fingerprints(
        ("*",) * 40 + short
    )
