# SPDX-License-Identifier: Apache-2.0
"""Python sources of known right and known wrong kernels: the C++ ones, carried along as ``CPP``.

So every operator has a solution and wrong kernels for the torch backend without a second source.
"""

from __future__ import annotations

import dataclasses

from kernelcoder.task import Task


def inline(source: str, arguments: tuple[str, ...]) -> str:
    """A Python candidate that calls ``kernel`` of a C++ source with its own arguments."""
    if "'''" in source:
        raise ValueError("the C++ source holds three quotes in a row")
    names = ", ".join(arguments)
    return f"CPP = r'''\n{source}'''\n\n\ndef kernel({names}):\n    own.kernel({names})\n"


def with_python(task: Task) -> Task:
    """The task with ``solutions["torch"]`` and ``wrong["torch"]`` made from those of ``cpu``; what
    it has of its own stays."""
    names = (*(arg.name for arg in (*task.inputs, *task.outputs)), *task.scalars)
    solutions, wrong = dict(task.solutions), dict(task.wrong)
    if "cpu" in solutions:
        solutions.setdefault("torch", inline(solutions["cpu"], names))
    if "cpu" in wrong:
        found = {name: inline(source, names) for name, source in wrong["cpu"].items()}
        wrong.setdefault("torch", found)
    return dataclasses.replace(task, solutions=solutions, wrong=wrong)
