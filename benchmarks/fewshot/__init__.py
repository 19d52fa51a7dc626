# SPDX-License-Identifier: Apache-2.0
"""Operators of no suite: what the examples in prompts compute, so that the verifier can judge them.

None has the name or the formula of a task that a model is asked for; one for each category of
``kernelcoder/prompts/examples``. ``KERNELCODER_OPS_PATH=benchmarks/fewshot`` puts them beside the
core suite, for ``python -m kernelcoder verify core/square_sum FILE``.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from kernelcoder.task import Task


def names() -> tuple[str, ...]:
    """The operators in alphabetical order."""
    found = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def load(name: str) -> Task:
    """The operator's task; it has neither solutions nor wrong kernels: those are the examples."""
    task = importlib.import_module(f"{__name__}.{name}").TASK
    if not isinstance(task, Task) or task.name != name:
        raise ValueError(f"{name}.py must define TASK, a Task named {name!r}")
    return task
