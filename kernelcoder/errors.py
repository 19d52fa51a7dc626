# SPDX-License-Identifier: Apache-2.0
"""User errors are sentences; everything else is a traceback.

Exit codes of ``python -m kernelcoder``:

==== =========================================================
0    done
1    a cell broke, or a verdict other than ``verified``
2    configuration or usage
3    something is left that cannot run on this machine
130  interrupted
==== =========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DONE, BROKEN, USAGE, CANNOT_RUN, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it stands, what it is, and how to mend it."""

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"  {head}" + (f"\n          {self.fix}" if self.fix else "")


class Error(Exception):
    """A mistake of the user or a lack of the machine, reported without a traceback.

    ``problems`` holds all of them: a person should never have to fix one to learn of the next.
    """

    def __init__(
        self,
        what: str,
        where: str = "",
        fix: str = "",
        problems: Sequence[Problem] = (),
        code: int = USAGE,
    ) -> None:
        self.what, self.where, self.fix = what, where, fix
        self.problems = tuple(problems)
        self.code = code
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        lines = [f"error: {head}"]
        if self.fix:
            lines.append(f"  {self.fix}")
        lines += [str(problem) for problem in self.problems]
        return "\n".join(lines)


class CannotRun(Error):
    """The request is sound, but this machine lacks what it needs (exit code 3)."""

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        super().__init__(what, where, fix, code=CANNOT_RUN)
