# SPDX-License-Identifier: Apache-2.0
"""Kernels damaged on purpose: what the damage is, and that none gets past the judge."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from sim_world import World, world

from benchmarks import core
from kernelcoder.auditing import audit
from kernelcoder.backends.cpu import open_verifier
from kernelcoder.corruption import GARBAGE, corrupt, struck
from kernelcoder.records import Candidate
from kernelcoder.report.rows import rows_of
from kernelcoder.report.table import print_cells
from kernelcoder.verify import VerifyOptions

OPTIONS = VerifyOptions(False, 12, 60, 2048, 1, "eager", False, 4)
TASKS = ("relu", *(pytest.param(one, marks=pytest.mark.slow) for one in ("softmax", "matmul")))
KINDS = ("garbled", "idle", "skewed")


def damaged(source: str, language: str, wanted: str) -> str:
    """The source with a damage of one kind; which it is depends on the text, so blanks are added
    at its end until it is that one."""
    for blanks in range(200):
        found, kind = corrupt(source + " " * blanks, language)
        if kind == wanted:
            return found
    raise AssertionError(f"{wanted} never happened")


@pytest.mark.parametrize("name", TASKS)
def test_every_damage_of_a_right_kernel_is_caught_by_the_real_verifier(
    name: str, shared_cache: Path
) -> None:
    task = core.load(name)
    right = task.solutions["cpu"]
    verifier = open_verifier(OPTIONS, shared_cache, 1)
    try:
        kernels = {"": right, **{kind: damaged(right, "cpp", kind) for kind in KINDS}}
        found = {
            kind: verifier.verify(task, Candidate(source, "cpp", "cpu"), "ab" * 32, timing=False)
            for kind, source in kernels.items()
        }
    finally:
        verifier.close()
    assert found.pop("").verified
    assert {kind: one.status for kind, one in found.items()} == {
        "garbled": "compile_error",
        "idle": "incorrect",
        "skewed": "incorrect",
    }


def test_python_kernels_return_at_once_or_do_not_parse() -> None:
    source = "def helper(x):\n    return x\n\n\ndef kernel(x, y):\n    y.copy_(x)\n"
    idle: dict[str, object] = {}
    exec(damaged(source, "python", "idle"), idle)
    touched: list[str] = []
    idle["kernel"](touched, touched)  # type: ignore[operator]
    assert not touched
    with pytest.raises(SyntaxError):
        compile(damaged(source, "python", "garbled"), "x", "exec")


@pytest.mark.parametrize("source", ["", "int kernel;", 'extern "C" void kernel(int)', "def f(:"])
@pytest.mark.parametrize("language", ["cpp", "cuda", "python"])
def test_what_has_no_kernel_to_find_is_garbled(source: str, language: str) -> None:
    for blanks in range(8):
        found, kind = corrupt(source + "\n" * blanks, language)
        assert kind == "garbled" and found.endswith(f"\n{GARBAGE}\n")


def test_a_damage_can_be_done_again_and_its_rate_is_kept() -> None:
    assert corrupt("x", "cpp") == corrupt("x", "cpp")
    keys = [str(number) for number in range(1000)]
    share = sum(struck(key, 20) for key in keys)
    assert 150 <= share <= 250  # 200, give or take 4 standard deviations
    assert not any(struck(key, 0) for key in keys) and all(struck(key, 100) for key in keys)


@pytest.fixture(scope="module")
def corrupted(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A finished bench in which every third kernel was damaged."""
    wanted = ("CONFIG_BUDGET=8", "CONFIG_SUITE_SIM_COUNT=12", "CONFIG_CHAOS_CORRUPT_PERCENT=33")
    lab = world(tmp_path_factory.mktemp("corrupted"), "refine", "none", *wanted)
    lab.done()
    return lab


def test_a_bench_lets_no_damaged_kernel_through_and_says_how_many_there_were(
    corrupted: World,
) -> None:
    made = [one.data for one in corrupted.events() if one.kind == "candidate"]
    row = rows_of([corrupted.dir])[0]
    assert row["corrupted"] == sum("corrupted" in one for one in made) > 10
    assert row["corrupted_verified"] == 0 < row["n_verified"]
    said = io.StringIO()
    print_cells([row], said)
    assert "damaged on purpose" in said.getvalue() and "0 let through" in said.getvalue()
    assert not audit(corrupted.dir).problems


def test_damage_is_part_of_the_identity(tmp_path: Path) -> None:
    plain = world(tmp_path, "refine")
    assert plain.cell().id != plain.cell("CONFIG_CHAOS_CORRUPT_PERCENT=33").id


def test_an_audit_does_the_damage_again(corrupted: World, tmp_path: Path) -> None:
    from kernelcoder import derivations

    events = corrupted.events()
    assert list(derivations.sources(corrupted.dir, events)) == []
    at = next(i for i, one in enumerate(events) if "corrupted" in one.data)
    event = events[at]
    other = type(event)(**{
        **{name: getattr(event, name) for name in event.__slots__},
        "data": json.loads(json.dumps(dict(event.data))) | {"corrupted": "idle"},
    })  # fmt: skip
    (problem,) = derivations.sources(corrupted.dir, [*events[:at], other, *events[at + 1 :]])
    assert "not what the damage makes of it" in problem
