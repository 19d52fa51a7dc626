# SPDX-License-Identifier: Apache-2.0
"""Values of a kernel as C++ expressions of an index, and indexes as C++ expressions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from kernelcoder.backends.ttir.kinds import Type

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """One lane: an expression for each dimension; ``flat`` counts lanes of ``shape`` in order."""

    parts: tuple[str, ...]
    flat: str = ""
    shape: Shape = ()

    def linear(self, shape: Shape) -> str:
        """The offset of this lane in an array of that shape."""
        if self.flat and self.shape == shape:
            return self.flat
        terms = []
        for at, (part, size) in enumerate(zip(self.parts, shape, strict=True)):
            step = math.prod(shape[at + 1 :])
            if size > 1 and part != "0":
                terms.append(part if step == 1 else f"{part}*{step}")
        return "+".join(terms) or "0"


SCALAR = Index(())


@dataclass(frozen=True, slots=True)
class Value:
    """``code`` gives the expression of a lane; nothing is computed before it is written down.
    ``cost`` counts its operations; ``heavy`` says that to repeat it costs time; ``array`` names
    the array it already lies in; ``root`` is the argument a pointer comes from; ``affine`` says
    that it grows evenly along each dimension, ``uniform`` that all lanes are the same."""

    type: Type
    code: Callable[[Index], str]
    cost: int = 0
    heavy: bool = False
    array: str = ""
    root: int | None = None
    affine: bool = False
    uniform: bool = False

    @property
    def even(self) -> bool:
        """Whether its extremes lie in the corners."""
        return self.affine or self.uniform or self.shape is None

    @property
    def same(self) -> bool:
        """Whether one lane tells all."""
        return self.uniform or self.shape is None

    @property
    def shape(self) -> Shape | None:
        """None for a scalar."""
        return self.type.shape

    @property
    def scalar(self) -> str:
        """The expression of a scalar."""
        return self.code(SCALAR)


def constant(kind: Type, text: str) -> Value:
    """The same literal in every lane."""
    return Value(kind, lambda index: text, uniform=True)


def stored(kind: Type, name: str, root: int | None = None) -> Value:
    """What lies in a variable or, for tensors, in an array."""
    shape = kind.shape
    if shape is None:
        return Value(kind, lambda index: name, root=root)
    return Value(kind, lambda index: f"{name}[{index.linear(shape)}]", array=name, root=root)
