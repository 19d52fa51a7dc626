# SPDX-License-Identifier: Apache-2.0
"""The whole corpus: classes of the catalogue to their hostile candidates, and the honest ones."""

from __future__ import annotations

from redteam import (
    attacks_availability,
    attacks_clock,
    attacks_memory,
    attacks_no_kernel,
    attacks_numerical,
    attacks_tampering,
    attacks_timing,
    honest_kernels,
    honest_styles,
)

CLASSES = {
    "timing": (*attacks_timing.ENTRIES, *attacks_clock.ENTRIES),
    "numerical": attacks_numerical.ENTRIES,
    "memory": attacks_memory.ENTRIES,
    "tampering": attacks_tampering.ENTRIES,
    "no-kernel": attacks_no_kernel.ENTRIES,
    "availability": attacks_availability.ENTRIES,
}
HONEST = (*honest_kernels.ENTRIES, *honest_styles.ENTRIES)
