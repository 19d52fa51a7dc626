# SPDX-License-Identifier: Apache-2.0
"""The child that runs Metal candidates on a Mac, tried on Linux: the same program and files, but
MLX computes on the processor and sandbox-exec is left out. Kernels need a Mac (``-m metal``)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from simt import metal_candidates

from kernelcoder.backends import metal_native
from kernelcoder.backends.metal_native import Call, Ran
from kernelcoder.verify import macos

pytest.importorskip("mlx.core", reason="mlx is not installed")

PLAIN = "import mlx.core as mx\n\n\ndef kernel(x):\n    return mx.maximum(x, 0).astype(x.dtype)\n"


def calls() -> list[Call]:
    """A contiguous, a transposed and an empty input, of all dtypes."""
    x = torch.arange(-6, 6).reshape(3, 4)
    inputs = [x.float(), x.t().half(), x.bfloat16()[:, ::2], torch.zeros(0, 3)]
    return [Call((one,), (), ((tuple(one.shape), one.dtype),)) for one in inputs]


def here(source: str, job: Path, seconds: float = 60) -> Ran:
    bounds = macos.Bounds(seconds, 60, 1 << 20, 1 << 20)
    return metal_native.run(source, calls(), job, bounds, read=lambda pid: 1, sandboxed=False)


@pytest.mark.skipif(sys.platform != "linux", reason="on a Mac the real one is tested")
def test_results_come_back_whole(tmp_path: Path) -> None:
    ran = here(PLAIN, tmp_path)
    assert ran.ended.code == 0, ran.ended.text
    assert ran.outputs is not None
    for call, (got,) in zip(calls(), ran.outputs, strict=True):
        assert torch.equal(got, call.inputs[0].clamp(min=0))
    assert ran.launches == 0 and len(ran.seconds) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="on a Mac the real one is tested")
@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("mx.maximum(x, 0).astype(mx.float32)", "another number, shape or dtype"),
        ("mx.maximum(x, 0).astype(x.dtype).flatten()", "another number, shape or dtype"),
        ("(x, x)", "another number, shape or dtype"),
        ("3", "another number, shape or dtype"),
    ],
)
def test_other_results_are_told(tmp_path: Path, edit: str, words: str) -> None:
    ran = here(PLAIN.replace("mx.maximum(x, 0).astype(x.dtype)", edit), tmp_path)
    assert ran.outputs is None and words in ran.problem


@pytest.mark.skipif(sys.platform != "linux", reason="on a Mac the real one is tested")
def test_what_does_not_end_is_ended(tmp_path: Path) -> None:
    ran = here(PLAIN.replace("    return", "    while True: pass\n    return"), tmp_path, 3)
    assert ran.ended.killed == "timeout" and ran.outputs is None


@pytest.mark.skipif(sys.platform != "linux", reason="on a Mac it has a back end")
def test_a_kernel_without_metal_is_not_counted(tmp_path: Path) -> None:
    ran = here(metal_candidates.RELU, tmp_path)
    assert ran.ended.code != 0 and ran.outputs is None and ran.launches == 0
    assert "No Metal back-end" in ran.ended.text


@pytest.mark.metal
@pytest.mark.skipif(sys.platform != "darwin", reason="needs macOS on Apple silicon")
def test_on_a_mac(tmp_path: Path) -> None:
    bounds = macos.Bounds(60, 60, 4096, 1 << 16)
    ran = metal_native.run(metal_candidates.RELU, calls()[:3], tmp_path, bounds)
    assert ran.outputs is not None, ran.ended.text
    for call, (got,) in zip(calls(), ran.outputs, strict=False):
        assert torch.equal(got, call.inputs[0].clamp(min=0))
    assert ran.launches == 3
