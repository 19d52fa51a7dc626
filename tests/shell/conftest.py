# SPDX-License-Identifier: Apache-2.0
"""Every shell test runs on an empty output folder and without settings of the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelcoder import config


@pytest.fixture(autouse=True)
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that holds ``.config`` and ``results``; no CONFIG_* in the environment."""
    for name in list(os.environ):
        if name.startswith(("CONFIG_", "KERNELCODER_", "KCONFIG_", "MAKE", "MFLAGS")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KERNELCODER_O", str(tmp_path / "out"))
    monkeypatch.setenv("KERNELCODER_MACHINE", "test-machine")
    return tmp_path / "out"


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., config.Settings]:
    """``settings("CONFIG_X=v", ...)``: the defaults with these assignments on top."""

    def make(*assignments: str) -> config.Settings:
        file = tmp_path / "empty"
        file.write_text("")
        return config.load(file, assignments)

    return make
