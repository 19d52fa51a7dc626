# SPDX-License-Identifier: Apache-2.0
"""How an attack on timing is judged: wrong timed outputs, or an honest time after all."""

from __future__ import annotations

from kernelcoder.redteam.entry import Hostile, among, softmax

_WRONG = among("incorrect", "cheating", "crashed")
_COUNTED = among("verified", "cheating", "incorrect", "crashed", "timeout")


def attack(
    ids: str,
    name: str,
    mechanism: str,
    source: str,
    *,
    task: str = "relu",
    twin: str = "",
    escape: str = "",
    threads: int = 1,
    by_luck: bool = False,
) -> Hostile:
    """Caught by wrong timed outputs; with a ``twin`` also by gaining nothing over it."""
    accept = _COUNTED if twin else _WRONG
    return Hostile(
        tuple(ids.split()), name, mechanism, source, accept, task,
        timed=True, twin=twin, escape=escape, threads=threads, by_luck=by_luck,
    )  # fmt: skip


def slow(
    ids: str, name: str, mechanism: str, source: str, escape: str = "", threads: int = 1
) -> Hostile:
    """An attack on the time of a slow softmax."""
    return attack(
        ids, name, mechanism, source,
        task="softmax", twin=softmax(), escape=escape, threads=threads,
    )  # fmt: skip
