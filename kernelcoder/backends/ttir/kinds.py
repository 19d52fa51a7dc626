# SPDX-License-Identifier: Apache-2.0
"""Types of TTIR: scalars, pointers, and tensors of them with constant shapes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

MOST_ELEMENTS, MOST_DIMENSIONS = 1 << 20, 20  # Triton's own limit; a sort splits by powers of two


class Unsupported(Exception):  # noqa: N818  # a statement about the text, no fault of a program
    """The text uses something that is not lowered (or is no TTIR); the message names it."""


# element -> (C++ type, bytes in memory)
SCALARS: dict[str, tuple[str, int]] = {
    "i1": ("bool", 1), "i8": ("int8_t", 1), "i16": ("int16_t", 2), "i32": ("int32_t", 4),
    "i64": ("int64_t", 8), "index": ("int64_t", 8), "f16": ("half", 2), "bf16": ("bf16", 2),
    "f32": ("float", 4), "f64": ("double", 8), "f8E5M2": ("f8e5", 1), "f8E4M3FN": ("f8e4", 1),
}  # fmt: skip
NARROW = frozenset({"f16", "bf16", "f8E5M2", "f8E4M3FN"})  # computed with in float, rounded once
_POINTER = r"!tt\.ptr<(\w{1,12})(?:, \d{1,2})?>"
TYPE = re.compile(rf"tensor<((?:\d{{1,7}}x){{1,{MOST_DIMENSIONS}}})(?:{_POINTER}|(\w{{1,12}}))>")
POINTER = re.compile(_POINTER)


@dataclass(frozen=True, slots=True)
class Type:
    """``shape`` is None for scalars; ``element`` what a lane holds, or what it points to."""

    shape: tuple[int, ...] | None
    element: str
    pointer: bool = False

    def __post_init__(self) -> None:
        if self.element not in SCALARS:
            raise Unsupported(f"type {self.element}")
        if self.shape is not None and not 0 < math.prod(self.shape) <= MOST_ELEMENTS:
            raise Unsupported(f"a tensor of {math.prod(self.shape)} elements")

    @property
    def c(self) -> str:
        """The C++ type of a lane; pointers are integers."""
        return "int64_t" if self.pointer else SCALARS[self.element][0]

    @property
    def size(self) -> int:
        """Bytes of the element in memory."""
        return SCALARS[self.element][1]

    @property
    def floating(self) -> bool:
        """Whether lanes are floating-point numbers."""
        return not self.pointer and (self.element[0] == "f" or self.element == "bf16")

    @property
    def bits(self) -> int:
        """Width of an integer."""
        return 64 if self.element == "index" or self.pointer else int(self.element[1:])

    def of(self, shape: tuple[int, ...] | None) -> Type:
        """The same lanes in another shape."""
        return Type(shape, self.element, self.pointer)


def parse_type(text: str) -> Type:
    """`tensor<8x4xf32>`, `tensor<8x!tt.ptr<f16>>`, `!tt.ptr<i32>`, `i64`."""
    if match := TYPE.fullmatch(text):
        shape = tuple(int(n) for n in match[1].split("x") if n)
        return Type(shape, match[2] or match[3], match[2] is not None)
    if match := POINTER.fullmatch(text):
        return Type(None, match[1], True)
    return Type(None, text)
