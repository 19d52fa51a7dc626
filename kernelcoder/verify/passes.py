# SPDX-License-Identifier: Apache-2.0
"""What one pass over a range of cases left behind, and how two of them compare."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

Outputs = tuple[Tensor, ...]


@dataclass(slots=True)
class Pass:
    """The outputs of a pass by case, copied out of shared memory; ``overrun`` are the cases whose
    surroundings were written to."""

    poison: int
    outputs: dict[int, Outputs]
    overrun: set[int] = field(default_factory=set)


def any_wrong(masks: tuple[Tensor, ...]) -> bool:
    """Whether a mask (bool, one for each output) marks anything."""
    return any(bool(mask.any()) for mask in masks)


def bits(tensor: Tensor) -> Tensor:
    """A tensor of 4 or 2 byte floats as integers of that size."""
    return tensor.view(torch.int32 if tensor.element_size() == 4 else torch.int16)


def same(left: Outputs, right: Outputs) -> bool:
    """Whether two runs gave the same bits in all outputs of a case."""
    return all(torch.equal(bits(a), bits(b)) for a, b in zip(left, right, strict=True))


def holds(tensor: Tensor, byte: int) -> Tensor:
    """Which elements still consist of the poison byte."""
    size = tensor.element_size()
    pattern = int.from_bytes(bytes([byte]) * size, "little", signed=True)
    return bits(tensor) == pattern
