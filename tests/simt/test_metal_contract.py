# SPDX-License-Identifier: Apache-2.0
"""What a model is told of Metal candidates, and what a user of this machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from simt import metal_runner

from benchmarks import core
from kernelcoder.backends import metal


def test_the_contract_names_the_arguments() -> None:
    text = metal.contract(core.load("rmsnorm"))
    assert "def kernel(x, weight, eps): ..." in text
    assert "returns y[" in text and "mx.fast.metal_kernel" in text


def test_the_example_of_the_contract_works(shared_cache: Path) -> None:
    pytest.importorskip("mlx.core", reason="mlx is not installed")
    (code,) = re.findall(r"```python\n(import mlx.*?)```", metal.contract(core.load("relu")), re.S)
    program = f"""
exec({code!r})
results["out"] = kernel(mx.arange(600).astype(mx.bfloat16), 0.5)
"""
    ran = metal_runner.run(program, shared_cache)
    assert ran.code == 0, ran.said[-2000:]
    assert ran.results["out"][:4] == [0, 0.5, 1, 1.5] and len(ran.results["out"]) == 600


@pytest.mark.parametrize(
    ("system", "machine", "has_mlx", "sandboxed", "mode", "words"),
    [
        ("linux", "x86_64", True, "", "emulated", "emulated"),
        ("linux", "x86_64", True, "no g++", None, "no g++"),
        ("linux", "x86_64", False, "", None, "make mlx"),
        ("darwin", "arm64", False, "", None, "make mlx"),
        ("darwin", "arm64", True, "Linux only", None, "never run on a Mac"),
        ("darwin", "x86_64", True, "Linux only", None, "Linux only"),
    ],
)
def test_availability(
    system: str, machine: str, has_mlx: bool, sandboxed: str, mode: str | None, words: str
) -> None:
    found = metal._mode(system, machine, has_mlx, sandboxed)
    assert found.mode == mode and words in found.reason
