# SPDX-License-Identifier: Apache-2.0
"""Triton kernels through TTIR and C++ give what torch gives; mistakes are found at their line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernelcoder.verify import defects

pytest.importorskip("triton", reason="triton is not installed")

PROGRAM = Path(__file__).with_name("ttir_run.py")


def ran(folder: Path, *flags: str) -> dict[str, Any]:
    """What the program found, with these flags of the compiler."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAM), str(folder), *flags],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Compiled without optimization: the same kernels in a tenth of the time."""
    return ran(tmp_path_factory.mktemp("ttir"), "-O0")


def wrong(found: dict[str, Any]) -> dict[str, Any]:
    return {name: said for name, said in found["cases"].items() if said != [0, "ok"]}


def test_kernels_give_what_torch_gives(found: dict[str, Any]) -> None:
    assert len(found["cases"]) >= 30 and found["kernels"] >= 40
    assert wrong(found) == {}


def test_each_mistake_is_found_at_its_line(found: dict[str, Any]) -> None:
    assert len(found["mutants"]) >= 12
    missed = {
        name: text
        for name, (code, text, kind, line, said) in found["mutants"].items()
        if code != 92
        or not text.startswith(f"simt: {kind} ")
        or f" line={line} " not in text
        or not all(part in text for part in said)
    }
    assert missed == {}


def test_the_judge_can_read_every_report(found: dict[str, Any]) -> None:
    source = PROGRAM.with_name("ttir_mutants.py").read_text()
    for name, (_, text, _, line, _) in found["mutants"].items():
        (seen,) = defects.read(text, source)
        assert f"line {line}" in seen.text and "kernel " in seen.text, name
        assert "program " in seen.text, name


@pytest.mark.slow
def test_full_optimization_gives_the_same(tmp_path: Path) -> None:
    found = ran(tmp_path)
    assert wrong(found) == {}
    assert all(code == 92 for code, *_ in found["mutants"].values())
