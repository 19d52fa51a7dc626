# SPDX-License-Identifier: Apache-2.0
"""On machines with a GPU: what the backends say of it. Nothing runs on one yet, and no backend may
claim that it does; who builds that finds the first tests of it failing here."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from kernelcoder.backends import cuda, metal, triton

NVIDIA = Path("/dev/nvidia0").exists()
APPLE = sys.platform == "darwin" and platform.machine() == "arm64"


@pytest.mark.gpu
@pytest.mark.skipif(not NVIDIA, reason="no NVIDIA GPU: /dev/nvidia0 is missing")
def test_with_a_gpu_cuda_kernels_are_emulated_and_it_is_said() -> None:
    found = cuda.probe()
    assert found.mode == "emulated" and "running on a GPU is not built" in found.reason


@pytest.mark.gpu
@pytest.mark.skipif(not NVIDIA, reason="no NVIDIA GPU: /dev/nvidia0 is missing")
def test_with_a_gpu_triton_kernels_are_not_native() -> None:
    assert triton.probe().mode in ("interpreted", None)


@pytest.mark.metal
@pytest.mark.skipif(not APPLE, reason="no Apple silicon: nothing was ever run on a Mac")
def test_on_a_mac_metal_is_refused_with_the_reason() -> None:
    found = metal.probe()
    assert found.mode is None
    assert "Mac" in found.reason or "make mlx" in found.reason
