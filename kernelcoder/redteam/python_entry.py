# SPDX-License-Identifier: Apache-2.0
"""The Python that candidates of the torch backend are made of: ``kernel(*inputs, *outputs)`` over
CPU tensors, with C++ of its own as ``own``."""

from __future__ import annotations

import textwrap

from kernelcoder.redteam.entry import Hostile, among, pointwise, softmax
from kernelcoder.redteam.rows import norm, reduce

# What a candidate that breaks in some way may end as; never verified.
BROKEN = among("incorrect", "runtime_error", "crashed", "cheating", "refused")
WRONG = among("incorrect", "runtime_error", "refused")
COUNTED = among(
    "verified", "cheating", "incorrect", "crashed", "timeout", "refused", "runtime_error"
)


def named(source: str, name: str) -> str:
    """A C++ kernel under another name."""
    return source.replace("void kernel(", f"void {name}(")


RELU = named(pointwise(), "relu")
SOFTMAX = named(softmax(), "softmax")
SUM = named(reduce(), "total")
NORM = named(norm(), "norm")


def program(
    body: str, before: str = "", cpp: str = RELU, arguments: str = "x, y", head: str = ""
) -> str:
    """A candidate file: C++, module-level code, and the body of ``kernel``."""
    own = f"CPP = r'''\n{cpp}'''\n\n" if cpp else ""
    lines = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    code = textwrap.dedent(before).strip("\n")
    return f"{head}import torch\n\n{own}{code}\n\n\ndef kernel({arguments}):\n{lines}\n"


def relu(body: str = "own.relu(x, y)", before: str = "") -> str:
    """A relu, by default a right one. ``timed(x)`` says whether it is the timed shape."""
    timed = "def timed(x):\n    return tuple(x.shape) == (64, 512)\n"
    return program(body, timed + textwrap.dedent(before))


def slow_softmax(body: str = "own.softmax(x, y)", before: str = "") -> str:
    """A softmax with plain loops, slow enough that what an attack gains is above noise."""
    timed = "def timed(x):\n    return tuple(x.shape) == (64, 512)\n"
    return program(body, timed + textwrap.dedent(before), SOFTMAX)


def unless(act: str, before: str = "") -> str:
    """A relu that is right only if the statements of ``act`` succeed; they may also ``return``
    whether they did."""
    tries = textwrap.indent(textwrap.dedent(act).strip("\n"), "        ")
    attempt = (
        f"def tries(x, y):\n    try:\n{tries}\n    except BaseException:\n        return False\n"
    )
    return relu(
        """
        did = tries(x, y)
        if did or did is None:
            own.relu(x, y)
        else:
            y.fill_(7)
        """,
        f"import ctypes, os, sys\n{textwrap.dedent(before)}\n{attempt}    return True\n",
    )


def hostile(
    ids: str,
    name: str,
    mechanism: str,
    source: str,
    accept: frozenset[str] = BROKEN,
    task: str = "relu",
    threads: int = 1,
    slow: bool = False,
    prepare: tuple[str, ...] = (),
) -> Hostile:
    """An attack in Python that is judged without timing."""
    return Hostile(
        tuple(ids.split()), f"py-{name}", mechanism, source, accept, task,
        slow=slow, threads=threads, prepare=prepare, backend="torch",
    )  # fmt: skip


def timed(
    ids: str,
    name: str,
    mechanism: str,
    source: str,
    twin: str = "",
    task: str = "relu",
    threads: int = 1,
    slow: bool = False,
) -> Hostile:
    """An attack in Python on timing: caught, or with a ``twin`` counted in full."""
    accept = COUNTED if twin else COUNTED - {"verified"}
    return Hostile(
        tuple(ids.split()), f"py-{name}", mechanism, source, accept, task,
        timed=True, twin=twin, threads=threads, slow=slow, backend="torch",
    )  # fmt: skip
