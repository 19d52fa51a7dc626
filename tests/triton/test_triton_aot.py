# SPDX-License-Identifier: Apache-2.0
"""Compiling ahead of time: what is launched, what a device makes of it, and who is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from triton_kernels import MATMUL, RELU

from kernelcoder.backends import triton as backend
from kernelcoder.backends import triton_figures as figures
from kernelcoder.backends import triton_launches as launches
from kernelcoder.backends.triton_kernels import grouped

needs_triton = pytest.mark.skipif(backend.probe().mode is None, reason=backend.probe().reason)


def tensor(dtype: str = "float32") -> dict[str, Any]:
    return {"tensor": dtype, "aligned": True}


def said(kernel: str = "relu_kernel", **changes: Any) -> str:
    arguments = {"x_ptr": tensor(), "y_ptr": tensor(), "n": {"value": 231}, "BLOCK": {"value": 64}}
    found: dict[str, Any] = {
        "kernel": kernel,
        "arguments": arguments | changes.pop("arguments", {}),
        "constants": ["BLOCK"],
        "options": {"num_warps": 4},
    }
    return f"launch: {json.dumps({**found, **changes}, separators=(',', ':'))}\n"


def test_only_what_a_compiler_needs_is_taken_from_a_child() -> None:
    (one,) = launches.read(said(), RELU)
    found = json.loads(one)
    assert found["arguments"]["n"] == {"value": 7}, "of the size only that 16 does not divide it"
    assert found["arguments"]["BLOCK"] == {"value": 64}
    assert launches.read(said(arguments={"n": {"value": 16 * 77}}), RELU) != (one,)
    assert launches.read(said(arguments={"n": {"value": 13}}), RELU) == (one,)
    assert launches.count("x\nlaunches: 12\n") == 12 and launches.count("launches: x") == 0


@pytest.mark.parametrize(
    "text",
    [
        said(kernel="__import__"),
        said(arguments={"hidden": {"value": 1}}),
        said(arguments={"n": {"value": "a b"}}),
        said(arguments={"n": {"value": 1.25}}),
        said(arguments={"BLOCK": {"value": 1 << 40}}),
        said(arguments={"n": {"tensor": "float32; rm"}}),
        said(options={"num_warps": "4"}),
        said(arguments={"n": {"tuple": [{"tuple": 3}]}}),
        "launch: {}\n",
        "launch: [1]\n",
        "launch: {" + "[" * 3000 + "}\n",
    ],
)
def test_anything_else_in_a_childs_text_is_dropped(text: str) -> None:
    assert launches.read(text, RELU) == ()


def test_of_many_sizes_the_largest_is_compiled() -> None:
    text = "".join(said(arguments={"BLOCK": {"value": n}}) for n in (64, 1024, 256))
    (one,) = launches.read(text, RELU)
    assert json.loads(one)["arguments"]["BLOCK"] == {"value": 1024}


def head(text: str = "", **facts: Any) -> str:
    line = json.dumps({"launch": 0, "target": "sm_90", **facts})
    return f"aot: {len(text)} {line}\n{text}\n"


def test_figures_are_read_and_worded() -> None:
    log = "ok ptxas info    : Used 40 registers, used 1 barriers\n 16 bytes stack frame, 0 bytes"
    text = head("wgmma.mma_async wgmma.mma_async", shared=1024)
    found = figures.judged(text, {"0": log}, ["mine"], False, 30)
    line = "mine for sm_90: 40 registers, 16 bytes of stack per thread, 1024 bytes of shared memory"
    assert (found.problem, found.compiled) == ("", 1)
    assert found.lines == (f"{line}, 2 wgmma",)


@pytest.mark.parametrize(
    ("text", "assembled", "late", "status", "reason"),
    [
        (head(error="at 3:4:\ndef a():\n  x\nbad"), {}, False, "compile_error", "line 3 of the"),
        (head(shared=300_000), {"0": "ok"}, False, "runtime_error", "300000 bytes of shared"),
        (head("x"), {"0": "failed ptxas error: too many"}, False, "compile_error", "too many"),
        ("", {}, True, "timeout", "longer than 30 s"),
        ("", {}, False, "compile_error", "failed"),
        (head(launch=7) + "aot: 3 {nonsense}\n", {}, False, "compile_error", "failed"),
        (head(unlinked=1), {}, False, "verified", ""),
    ],
)  # fmt: skip
def test_what_is_no_machine_code_is_not_right(
    text: str, assembled: dict[str, str], late: bool, status: str, reason: str
) -> None:
    found = figures.judged(text, assembled, ["mine"], late, 30)
    assert found.status == status and reason in found.problem


def test_few_kernels_make_one_text_but_not_a_long_one() -> None:
    assert [len(one) for one in grouped(["x"] * 19)] == [8, 8, 3]
    assert [len(one) for one in grouped(["x" * 90_000] * 5)] == [2, 2, 1]
    assert grouped([]) == []


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from kernelcoder.backends.triton_aot import Ahead

    made = Ahead(tmp_path_factory.getbasetemp() / "triton-ir", 60)
    yield made
    made.close()


@needs_triton
@pytest.mark.slow
def test_a_kernel_with_too_much_shared_memory_is_no_kernel(ahead: Any) -> None:
    names = ("M", "N", "K", "am", "ak", "bk", "bn")
    launch = {
        "kernel": "matmul_kernel",
        "arguments": {f"{one}_ptr": tensor("float16") for one in "aby"}
        | {one: {"value": 1 if one in ("ak", "bn") else 16} for one in names}
        | {one: {"value": 128} for one in ("BM", "BN", "BK")},
        "options": {"num_warps": 8, "num_stages": 4},
    }
    source = MATMUL.replace(', input_precision="ieee"', "")
    found = ahead.compile(source, [json.dumps(launch)])
    assert found.status == "runtime_error" and "262144 bytes of shared memory" in found.problem
    again = ahead.compile(source, [json.dumps(launch)])
    assert again == found, "and is found again without compiling"


@needs_triton
@pytest.mark.slow
def test_nothing_is_compiled_for_what_was_not_launched(ahead: Any) -> None:
    found = ahead.compile(RELU, [])
    assert found.problem == "" and found.compiled == 0
