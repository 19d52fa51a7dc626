# SPDX-License-Identifier: Apache-2.0
"""Known kernels of the core suite in the languages of GPUs, right ones and wrong ones.

A language is a module here with ``kernels(name) -> (solution, wrong)``: the source of a right
kernel of an operator and named wrong ones, or None where it has none of this operator. Each is
made from a template of the operator's family and a few lines of its own.
"""

from __future__ import annotations

import dataclasses
import importlib

from kernelcoder.task import Task

LANGUAGES = ("cuda", "metal", "triton")


def with_gpu(task: Task) -> Task:
    """The task with ``solutions`` and ``wrong`` for every language; what it has of its own
    stays."""
    solutions, wrong = dict(task.solutions), dict(task.wrong)
    for language in LANGUAGES:
        found = importlib.import_module(f"{__name__}.{language}").kernels(task.name)
        if found is not None:
            solutions.setdefault(language, found[0])
            wrong.setdefault(language, found[1])
    return dataclasses.replace(task, solutions=solutions, wrong=wrong)
