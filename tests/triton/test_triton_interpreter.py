# SPDX-License-Identifier: Apache-2.0
"""The hardened interpreter, in a process of its own (see interpreter_checks.py)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kernelcoder.backends import triton as backend

pytestmark = pytest.mark.skipif(backend.probe().mode is None, reason=backend.probe().reason)
CHECKS = Path(__file__).with_name("interpreter_checks.py")
NAMES = re.findall(r"^def (check_\w+)", CHECKS.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    root = Path(__file__).resolve().parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-P", str(CHECKS), str(root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_interpreter(said: dict[str, str], name: str) -> None:
    assert said[name] == "", said[name]


def test_the_checks_were_found() -> None:
    assert len(NAMES) > 12
