# SPDX-License-Identifier: Apache-2.0
"""Mutations of C++ candidates. CUDA and Metal differ in the names of ``DIALECT``, not in rules."""

from __future__ import annotations

from collections.abc import Iterator

from kernelcoder.mutation import Edit, bounds, flow, terms
from kernelcoder.mutation.view import Dialect, View

_OPPOSITES = {
    "min": "max", "fmin": "fmax", "fminf": "fmaxf", "vmin": "vmax",
    "_mm_min_ps": "_mm_max_ps", "_mm256_min_ps": "_mm256_max_ps", "_mm512_min_ps": "_mm512_max_ps",
    "min_element": "max_element",
}  # fmt: skip
DIALECT = Dialect(
    narrow={"double": ("float",), "float": ("kc::half", "kc::bf16")},
    opposites=_OPPOSITES | {other: one for one, other in _OPPOSITES.items()},
    barriers=("_mm_sfence", "_mm_mfence", "atomic_thread_fence", "stream_end"),
)


def edits(source: str, dialect: Dialect = DIALECT) -> Iterator[Edit]:
    """Every mistake that every rule finds to make; the same text may come from two rules, of
    which the more telling stands first."""
    view = View(source, dialect)
    for rule in (flow.barrier, flow.special, *bounds.RULES, *terms.RULES, *flow.RULES):
        yield from rule(view)
