# SPDX-License-Identifier: Apache-2.0
"""What a problem is: its arguments, its cases, its reference and its known answers.

A task file (``benchmarks/core/softmax.py``) builds one :class:`Task`. This module imports
neither torch nor numpy; tensors appear as ``Any`` and are torch tensors on the CPU.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Dtype = Literal["f32", "f16", "bf16"]
Layout = Literal["contiguous", "strided", "transposed", "offset"]
Tensor = Any

# Relations between the results of related inputs; kernelcoder/verify/properties.py says which.
Property = Literal[
    "rows", "elements", "scale", "odd", "even", "shift", "linear", "monotone", "total", "padding",
]  # fmt: skip

ITEMSIZE: Mapping[str, int] = {"f64": 8, "f32": 4, "f16": 2, "bf16": 2, "i64": 8, "i32": 4, "u8": 1}


@dataclass(frozen=True, slots=True)
class Arg:
    """One tensor argument. ``dims`` are the symbolic dimensions shown in the prompt, e.g.
    ``("...", "dim")``; the real shape comes from the case."""

    name: str
    dims: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One concrete input of a task.

    ``shapes`` has every tensor argument, outputs included. ``layout`` is how the *inputs* lie in
    memory (outputs are always contiguous): ``contiguous``; ``strided`` (every other element of a
    larger buffer along the last dim, and a padded row pitch); ``transposed`` (last two dims
    swapped in memory); ``offset`` (contiguous, but starting at an odd element of its buffer, so
    not aligned to a vector). ``values`` names a value family of ``benchmarks.generate``.
    ``hidden`` cases never leave the trusted side before the verdict.
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    dtype: Dtype
    layout: Layout = "contiguous"
    values: str = "normal"
    scalars: Mapping[str, float] = field(default_factory=dict)
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One problem of a suite.

    Every callable takes the inputs in argument order, then the scalars by position.

    - ``reference``: torch, in any floating dtype; returns the output tensor (or a tuple, in the
      order of ``outputs``). The oracle is this function on the inputs converted to float64.
    - ``magnitude``: float64 tensors -> for each output element the size its rounding errors scale
      with (for a sum: the sum of absolute terms); None means ``|output|``.
    - ``plain``: float32 tensors -> outputs by a plain loop, which adds one term after the other;
      for tasks that sum. What it gets wrong on a case is what the tolerance is measured by.
    - ``exact``: where only the correctly rounded result is right: "always", or on the value family
      "integers", for which no step of a plain float32 loop rounds before the last.
    - ``signed_zero``: "kept" if a zero must have the sign that IEEE arithmetic gives it.
      ``subnormals``: "kept" if subnormal inputs and outputs count in full, "flushed" if they may be
      taken for zero. What a plain loop over floats gives an honest kernel decides.
    - ``properties``: relations that hold between results and are checked as well.
    - ``make_inputs(case, seed)``: the inputs as torch tensors of the case's dtype and layout.
    - ``holdout(rng)``: fresh hidden cases (new shapes and scalars each time, same families).
    - ``timing``: the cases timed; the first word of their name is the cache regime, ``hot`` or
      ``cold``.
    - ``bytes`` and ``flops``: compulsory memory traffic in bytes and floating point operations of
      a case, for the roofline.
    - ``solutions``: backend -> source of a known right kernel (the baseline ``reference``);
      ``wrong``: backend -> name -> source of a plausible wrong kernel the verifier must reject.
    - ``recipe``: data for kernel recipes (family, expression, ...); see kernelcoder/models/recipes.
    """

    suite: str
    name: str
    title: str
    category: str
    inputs: tuple[Arg, ...]
    outputs: tuple[Arg, ...]
    scalars: tuple[str, ...]
    description: str
    reference_source: str
    reference: Callable[..., Any]
    make_inputs: Callable[[Case, int], list[Tensor]]
    visible: tuple[Case, ...]
    holdout: Callable[[random.Random], tuple[Case, ...]]
    timing: tuple[Case, ...]
    bytes: Callable[[Case], int]
    flops: Callable[[Case], int]
    magnitude: Callable[..., Any] | None = None
    plain: Callable[..., Any] | None = None
    exact: Literal["never", "integers", "always"] = "never"
    signed_zero: Literal["kept", "any"] = "any"
    subnormals: Literal["kept", "flushed"] = "flushed"
    properties: tuple[Property, ...] = ()
    solutions: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    @property
    def id(self) -> str:
        """``suite/name``, the spelling of the command line."""
        return f"{self.suite}/{self.name}"

    @property
    def numerics(self) -> str:
        """What counts beside the size of an error, as sentences for a prompt."""
        parts = []
        if self.exact == "always":
            parts.append("The result must be the correctly rounded one.")
        if self.exact == "integers":
            parts.append("Where no step rounds in float32, the result must be exact.")
        if self.subnormals == "kept":
            parts.append("Subnormal numbers count in full.")
        if self.signed_zero == "kept":
            parts.append("The sign of a zero counts.")
        return " ".join(parts)
