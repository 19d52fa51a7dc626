# SPDX-License-Identifier: Apache-2.0
"""Which results a command means: globs over cell ids, on this machine or another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernelcoder import paths
from kernelcoder.errors import Error

if TYPE_CHECKING:
    from kernelcoder.report.source import CellRun


def runs(globs: Sequence[str] = (), machine: str = "") -> list[CellRun]:
    """Cells whose id matches a glob (none means all). A glob that matches nothing is an error."""
    from kernelcoder.report import source

    root, where = paths.results().parent, machine or paths.machine()
    folders = source.find(root, globs, where)
    idle = [glob for glob in globs if not source.find(root, [glob], where)]
    if idle:
        raise Error(
            f"no results match {', '.join(idle)}",
            fix="make status lists the cells; --machine '*' looks at other machines' results too",
        )
    return source.load_all(folders)
