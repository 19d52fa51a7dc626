# SPDX-License-Identifier: Apache-2.0
"""The contract of CPU candidates says what is judged, what is timed, and nothing that is not so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.backends import cpu

HEADER = (Path(cpu.__file__).parent / "include" / "kernelcoder.h").read_text()


@pytest.mark.parametrize("name", ["softmax", "matmul", "layernorm", "swiglu"])
def test_it_names_every_argument_in_order(name: str) -> None:
    task = core.load(name)
    names = [arg.name for arg in (*task.inputs, *task.outputs)] + list(task.scalars)
    signature = re.search(r"void kernel\((.*?)\);", cpu.contract(task))
    assert signature and re.findall(r"(\w+)(?:,|$)", signature[1]) == names


def test_it_says_what_is_timed_and_what_threads_cost() -> None:
    text = " ".join(cpu.contract(core.load("softmax")).split())
    for fact in (
        "CPU time, summed over all threads, on contiguous float32",
        "16-bit types and other layouts count for correctness only",
        "Threads only help if `omp_get_max_threads()` > 1",
        "no thread can be created: std::thread throws",
        "`float v = float(p[i])`, and store with `T(v)`.",
    ):
        assert fact in text


def test_every_rule_is_made_of_whole_sentences() -> None:
    rules = cpu.contract(core.load("softmax")).split("\n\n`#include")[0]
    bullets = re.findall(r"^- .*\n?(?:[ \t]+.*\n?)*", rules, re.MULTILINE)
    assert len(bullets) >= 7
    assert not [bullet for bullet in bullets if not bullet.rstrip().endswith(".")]


def test_every_helper_it_shows_is_in_the_header() -> None:
    shown = re.findall(r"(\w+)\((?=const|DLDataType)", cpu.contract(core.load("softmax")))
    assert {"dispatch", "data", "numel", "row_offset", "load", "store"} <= set(shown)
    helpers = set(shown) - {"kernel"}
    assert not [name for name in helpers if not re.search(rf"[ *]{name}\(", HEADER)]
