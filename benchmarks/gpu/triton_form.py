# SPDX-License-Identifier: Apache-2.0
"""What all Triton files here share: their first lines, and how a wrong kernel is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cpp import edit

HEAD = """import torch
import triton
import triton.language as tl


"""
HEAD_LIBDEVICE = HEAD.replace(
    "triton.language as tl\n",
    "triton.language as tl\nfrom triton.language.extra import libdevice\n",
)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A wrong kernel and a regular expression for what a verdict must say of it."""

    source: str
    says: str


# name -> (what the verdict says, the edits that make the mistake)
Mistakes = Mapping[str, tuple[str, tuple[tuple[str, str], ...]]]
READS, WRITES = "reads outside of a buffer", "writes outside of a buffer"
RACE = "a data race"
# Poison of torch.empty, in a tensor that the kernel made itself.
UNWRITTEN = "output not written|NaN where a number is expected"


def edited(source: str, mistakes: Mistakes) -> dict[str, Wrong]:
    """Each mistake planted in ``source``; ``ValueError`` where an edit changes nothing."""
    return {name: Wrong(edit(source, *change), says) for name, (says, change) in mistakes.items()}
