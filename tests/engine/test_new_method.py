# SPDX-License-Identifier: Apache-2.0
"""The new method of docs/add.md is one file and one Kconfig entry, and goes through a bench."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from kernelcoder import paths

METHOD, ENTRY = (
    next(iter(re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)))
    for section in [(paths.ROOT / "docs" / "add.md").read_text().partition("## A method")[2]]
    for language in ("python", "kconfig")
)


def test_a_method_is_one_file_and_one_entry(
    tmp_path: Path, with_cache: Callable[[Path], Path]
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("kernelcoder", "benchmarks"):
        shutil.copytree(
            paths.ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(paths.ROOT / "Kconfig", tree)
    (tree / "kernelcoder" / "methods" / "twice.py").write_text(METHOD)
    with (tree / "kernelcoder" / "methods" / "Kconfig").open("a") as stream:
        stream.write(f"\n{ENTRY}")
    (tmp_path / ".config").write_text(
        "CONFIG_METHOD_BASE=n\nCONFIG_METHOD_TWICE=y\nCONFIG_METHOD_TWICE_TIMES=1\n"
        'CONFIG_SUITE_CORE_TASKS="relu"\nCONFIG_VERIFY_TIMING=n\n'
    )
    env = {**os.environ, "KERNELCODER_O": str(with_cache(tmp_path)), "KERNELCODER_MACHINE": "m"}

    def command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "kernelcoder", *words],
            cwd=tree, env=env, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    command("bench")
    row = json.loads(command("status", "--json"))
    assert row["cell"].startswith("twice_none_recipe_cpu_core_s0-")
    assert (row["state"], row["attempts"]) == ("done", 2)
