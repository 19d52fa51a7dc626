# SPDX-License-Identifier: Apache-2.0
"""No hidden number reaches a model: the prompts of a real ledger are searched for all of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.core import load
from kernelcoder import ledger as ledgers
from kernelcoder import paths
from kernelcoder.history import random_key
from kernelcoder.verify import oracle

CONFIG = """\
# CONFIG_METHOD_BASE is not set
CONFIG_METHOD_REFINE=y
CONFIG_SUITE_CORE_TASKS="softmax,layernorm,max_last"
CONFIG_BUDGET=5
# CONFIG_VERIFY_TIMING is not set
"""
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory, with_cache: Callable[[Path], Path]) -> Path:
    """One finished cell whose prompts carry feedback on hidden failures."""
    folder = with_cache(tmp_path_factory.mktemp("hidden"))
    (folder / ".config").write_text(CONFIG)
    env = os.environ | {"KERNELCODER_O": str(folder), "KERNELCODER_MACHINE": "m"}
    command = [sys.executable, "-m", "kernelcoder", "bench"]
    subprocess.run(command, cwd=paths.ROOT, env=env, check=True, capture_output=True, timeout=300)
    (found,) = [path.parent for path in (folder / "results/m").glob("*/cell.json")]
    return found


def prompts(cell: Path, task: str) -> list[str]:
    """Every prompt of a task, as it was sent."""
    events = ledgers.read(cell / "ledger.jsonl")
    asks = [event.data["prompt"] for event in events if event.kind == "ask" and event.task == task]
    return [ledgers.read_blob(cell, sha) for sha in asks]


def digits(text: str) -> set[str]:
    """The numbers of a text by their first five significant digits; shorter ones prove nothing."""
    found = set()
    for number in NUMBER.findall(text):
        mantissa = number.lstrip("-").split("e")[0].replace(".", "").lstrip("0")
        if len(mantissa) >= 5:
            found.add(mantissa[:5])
    return found


@pytest.mark.parametrize("name", ["softmax", "layernorm", "max_last"])
def test_no_hidden_value_or_seed_is_in_a_prompt(cell: Path, name: str) -> None:
    task = load(name)
    secret = json.loads((cell / "cell.json").read_text())["holdout_key"]
    key = random_key(secret, task.id)
    sheet = oracle.Oracle().sheet(task, key)
    texts = prompts(cell, task.id)
    assert len(texts) == 5
    written = set().union(*map(digits, texts))
    for index in range(sheet.visible, len(sheet.cases)):
        tensors = [*sheet.inputs[index], *(answer.expected for answer in sheet.answers[index])]
        values = [value for tensor in tensors for value in tensor.flatten()[:50].tolist()]
        hidden = {
            f"{abs(value):.9e}".replace(".", "")[:5] for value in values if value and value == value
        }
        # Five digits match by chance once in 90 000: one meeting is no leak, several are.
        assert len(hidden & written) <= 2, sheet.cases[index].name
    for text in texts:
        assert secret not in text
        assert key not in text
        for index in range(len(sheet.cases) - sheet.visible):
            assert str(oracle.seed_of(key, task.id, "inputs", index)) not in text


def test_hidden_failures_were_among_the_feedback(cell: Path) -> None:
    said = " ".join(
        text
        for name in ("softmax", "layernorm", "max_last")
        for text in prompts(cell, f"core/{name}")
    )
    assert "hidden" in said, "the search above would prove nothing without a hidden failure"
