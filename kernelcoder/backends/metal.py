# SPDX-License-Identifier: Apache-2.0
"""Metal: kernels for Apple GPUs through MLX. Not part of this version: it says so and runs nothing.

The member exists so that experiments for it can be written down, planned and shared today; the
matrix lists their cells as "cannot run here" with the reason.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path

from kernelcoder.backends import Availability
from kernelcoder.errors import CannotRun
from kernelcoder.task import Task
from kernelcoder.verify import Verifier, VerifyOptions

LANGUAGE = "python"


def _reason(system: str, machine: str, has_mlx: bool) -> str:
    if system != "darwin" or machine != "arm64":
        return f"the Metal backend needs macOS on Apple silicon, this is {system} on {machine}"
    if not has_mlx:
        return "the Metal backend needs the mlx package, which is not installed"
    return "the Metal backend is not part of this version yet"


def probe() -> Availability:
    """Never available in this version; the reason names what is lacking first."""
    has_mlx = importlib.util.find_spec("mlx") is not None
    return Availability(None, _reason(sys.platform, platform.machine(), has_mlx))


def contract(task: Task) -> str:
    """Raises :class:`CannotRun` with the reason of :func:`probe`."""
    raise CannotRun(probe().reason)


def open_verifier(options: VerifyOptions, cache: Path, workers: int) -> Verifier:
    """Raises :class:`CannotRun` with the reason of :func:`probe`."""
    raise CannotRun(probe().reason)
