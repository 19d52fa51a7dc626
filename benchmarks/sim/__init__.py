# SPDX-License-Identifier: Apache-2.0
"""The simulated suite: tasks of a made-up world, for testing methods. Says nothing about models.

A name is a family and a number, ``reduce-007``; tasks of one family have much in common. The first
ones of every family come first, so any number of tasks is spread over the families.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import random
from pathlib import Path
from typing import Any

from kernelcoder.errors import Error
from kernelcoder.simulation import form, landscape
from kernelcoder.task import Arg, Case, Task

ELEMENTS = 1 << 20


@functools.cache
def names() -> tuple[str, ...]:
    """All tasks there are: number after number, each through all families."""
    numbers = range(landscape.PER_FAMILY)
    return tuple(f"{family}-{n:03}" for n in numbers for family in landscape.FAMILIES)


@functools.cache
def digest(name: str) -> str:
    """SHA-256 of what makes the world, and the name."""
    total = hashlib.sha256(name.encode())
    for module in (form, landscape):
        total.update(Path(str(module.__file__)).read_bytes())
    return total.hexdigest()


def load(name: str) -> Task:
    """The task ``sim/<name>``; an unknown name is an ``Error``."""
    if name not in _known():
        near = difflib.get_close_matches(name, names(), n=3, cutoff=0.4) or names()[:3]
        raise Error(f"no such task sim/{name}", fix=f"nearest: sim/{', sim/'.join(near)}")
    family = landscape.family_of(name)
    case = Case("small", {"x": (ELEMENTS,), "y": (ELEMENTS,)}, "f32")
    work = 1 + landscape.FAMILIES.index(family)
    return Task(
        suite="sim",
        name=name,
        title=f"Simulated {family}",
        category=family,
        inputs=(Arg("x", ("n",)),),
        outputs=(Arg("y", ("n",)),),
        scalars=(),
        description=f"A made-up operation of the family {family}; its kernels are choices.",
        reference_source=f"def reference(x):\n    return simulated_{family}(x)",
        reference=_nothing,
        make_inputs=lambda case, seed: [],
        visible=(case,),
        holdout=_no_cases,
        timing=(case,),
        bytes=lambda case: 8 * ELEMENTS,
        flops=lambda case: work * ELEMENTS,
        solutions={"sim": form.render(form.Kernel((0,) * len(form.SLOTS)))},
        recipe={"family": f"sim-{family}", "slips": landscape.landscape(name).slips},
        digest=digest(name),
    )


def published_splits() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Which tasks teach and which judge: across families, and within them."""
    judging = landscape.FAMILIES[-2:]
    across = [landscape.family_of(name) in judging for name in names()]
    within = [int(name[-1]) % 2 == 1 for name in names()]
    return {"across": _sides(across), "within": _sides(within)}


def _sides(judges: list[bool]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pairs = list(zip(names(), judges, strict=True))
    return tuple(n for n, yes in pairs if not yes), tuple(n for n, yes in pairs if yes)


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(names())


def _nothing(*_: Any) -> Any:
    raise NotImplementedError("a simulated task has no reference: its kernels are not programs")


def _no_cases(rng: random.Random) -> tuple[Case, ...]:
    return ()


def refuses(cell: Any) -> str:
    """Why a cell makes no sense, "" if it does: what is made up stays among itself."""
    if cell.backend != "sim":
        return "simulated tasks have no kernels to run: only the backend sim judges them"
    return ""
