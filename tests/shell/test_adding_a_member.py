# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E101 -- Kconfig text is indented by a tab and two blanks
"""A method is one file and one Kconfig entry; a model is one entry. Shown in a copy of the tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernelcoder import paths

METHOD = '''# SPDX-License-Identifier: Apache-2.0
"""Shy: at most so many drafts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import STOP, History
from kernelcoder.records import Proposal

draft_only = True
anytime = True


@dataclass(frozen=True, slots=True)
class Options:
    """``drafts`` at most."""

    drafts: int


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """A draft while there are any left."""
    return Proposal("draft") if history.ordinal < options.drafts else STOP
'''
METHOD_ENTRY = """
config METHOD_SHY
	bool "Shy: a few drafts"
	select METHOD_ANY
	help
	  Adds cells that draft a few times.

config METHOD_SHY_DRAFTS
	int "Drafts"
	depends on METHOD_SHY
	range 1 8
	default 2
	help
	  Stops after this many drafts.
"""
MODEL_ENTRY = """
config MODEL_SECOND
	bool "The recipe model under another name"
	select MODEL_ANY
	help
	  Adds cells of a second model.

config MODEL_SECOND_ID
	string
	default "recipe:v1"
"""
CONFIG = """CONFIG_METHOD_SHY=y
CONFIG_METHOD_SHY_DRAFTS=3
# CONFIG_METHOD_BASE is not set
# CONFIG_MODEL_RECIPE is not set
CONFIG_MODEL_SECOND=y
CONFIG_SUITE_CORE_TASKS="relu"
# CONFIG_VERIFY_TIMING is not set
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the tree with the two members added, and a configuration that selects them."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("kernelcoder", "benchmarks", "defconfigs", "Kconfig"):
        source = paths.ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    (tree / "kernelcoder" / "methods" / "shy.py").write_text(METHOD)
    for room, entry in (("methods", METHOD_ENTRY), ("models", MODEL_ENTRY)):
        kconfig = tree / "kernelcoder" / room / "Kconfig"
        kconfig.write_text(
            kconfig.read_text().replace('\ncomment "no ', entry + '\ncomment "no ', 1)
        )
    (tree / "one").write_text(CONFIG)
    return tree


def lab(tree: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """A command of the copy."""
    environment = {**os.environ, "KERNELCODER_O": str(tree / "out")}
    return subprocess.run(
        [sys.executable, "-m", "kernelcoder", *argv],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_the_matrix_knows_them_at_once(copy: Path) -> None:
    done = lab(copy, "matrix", "--config", "one", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["cell"].startswith("shy_none_second_cpu_core_s0-")
    (copy / "kernelcoder" / "methods" / "shy.py").unlink()
    done = lab(copy, "matrix", "--config", "one")
    assert done.returncode == 2
    assert "there is no kernelcoder/methods/shy.py" in done.stderr


@pytest.mark.slow
def test_bench_takes_them_through(copy: Path) -> None:
    done = lab(copy, "bench", "--config", "one")
    assert done.returncode == 0, done.stdout + done.stderr
    (ledger,) = (copy / "out").rglob("ledger.jsonl")
    assert ledger.read_text().count('"kind":"ask"') == 3
