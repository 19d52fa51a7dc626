# SPDX-License-Identifier: Apache-2.0
"""Input values and memory layouts of cases, deterministic from (seed, argument name).

Value families, for every dtype (the tests assert their statistics):

========= ==================================================================================
normal    standard normal
large     ``|x| > 80``, up to the argument's ``largest`` (log-uniform), random sign, finite
negative  all ``< 0``, about -0.1 to -4
tiny      ``0 < |x| <= 1e-6``
constant  one value for the whole tensor, ``0.5 <= |x| <= 3``
mixed     magnitudes over many decades side by side, random sign
subnormal ``0 < |x| <`` smallest normal number of the dtype
shifted   a large common offset with a spread of one (mean much larger than deviation)
special   normal with the argument's ``specials`` (NaN, inf, zeros, ...) at random places
integers  whole numbers, one in eight negative: any sum of them, or of products of them, is exact
          in float32 in any order, yet far beyond what a half or bfloat16 accumulator counts
edges     zeros of both signs, the smallest and largest subnormal, the smallest normal number, one
          and its neighbor, the argument's largest; random sign
========= ==================================================================================

An argument with ``positive`` gets the absolute value of all of these (``negative`` is then not
legal). Layouts are those of ``kernelcoder.task.Layout``; the gaps of a strided buffer hold other
ordinary numbers, so that a kernel which ignores strides reads plausible wrong values.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from kernelcoder.task import Arg, Case

FAMILIES = (
    "normal",
    "large",
    "negative",
    "tiny",
    "constant",
    "mixed",
    "subnormal",
    "shifted",
    "special",
    "integers",
    "edges",
)
DTYPES: Mapping[str, torch.dtype] = {
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
}
# Spacing of the subnormal numbers (the smallest of them) and how many there are per sign.
_SUBNORMAL = {
    "f32": (2.0**-149, 2**23 - 1),
    "f16": (2.0**-24, 2**10 - 1),
    "bf16": (2.0**-133, 2**7 - 1),
}
_F16_CEILING = 6e4
# Up to which absolute values sums of whole numbers stay exact in float32 (and below infinity in
# f16), and up to which every whole number exists in the dtype.
_WHOLE_SUM = {"f32": 2.0**24, "f16": _F16_CEILING, "bf16": 2.0**24}
_WHOLE = {"f32": 2.0**24, "f16": 2.0**11, "bf16": 2.0**8}
OFFSET = 3  # elements before an ``offset`` tensor: never a multiple of a vector
SHIFT = 2000.0  # common offset of ``shifted``; its spread is one
STEP = 2  # element stride of a ``strided`` tensor


@dataclass(frozen=True, slots=True)
class Domain:
    """Which values are legal and telling for one argument.

    ``largest`` bounds the families ``large`` and ``mixed``; ``largest_f16`` replaces it for f16.
    ``specials`` are the values that ``special`` plants. ``family`` fixes the family whatever the
    case says (weights and biases). ``summed`` is the dim over which a task adds terms up, and
    ``share`` this argument's part of the digits of a term (the parts of all factors add up to one).
    """

    positive: bool = False
    largest: float = 1e4
    largest_f16: float = _F16_CEILING
    specials: tuple[float, ...] = ()
    family: str = ""
    summed: int | None = None
    share: float = 1.0


def generator(seed: int, name: str) -> torch.Generator:
    """The random stream of one argument: a function of the seed and the name alone."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def values(
    family: str, shape: Sequence[int], dtype: str, rng: torch.Generator, domain: Domain
) -> torch.Tensor:
    """A contiguous tensor of ``shape`` and ``dtype`` from a family; ``ValueError`` if unknown."""
    if family not in FAMILIES:
        raise ValueError(f"unknown value family {family!r}; one of {', '.join(FAMILIES)}")
    if family == "negative" and domain.positive:
        raise ValueError("family 'negative' is not legal for a positive argument")
    top = min(domain.largest, domain.largest_f16) if dtype == "f16" else domain.largest
    shape = tuple(shape)
    if family in ("normal", "negative", "shifted", "special"):
        out = torch.randn(shape, generator=rng, dtype=torch.float32)
        if family == "negative":
            out = -(out.abs() + 0.1)
        elif family == "shifted":
            out = out + SHIFT
    elif family == "integers":
        out = _whole(shape, dtype, rng, domain)
    elif family == "edges":
        out = _edges(shape, dtype, rng, top)
    else:
        out = _scaled(family, shape, dtype, rng, top)
    if domain.positive:
        out = out.abs()
    if family == "special":
        _plant(out, domain.specials, rng)
    return out.to(DTYPES[dtype])


def _scaled(
    family: str, shape: tuple[int, ...], dtype: str, rng: torch.Generator, top: float
) -> torch.Tensor:
    """The families with a magnitude and a random sign, in float64."""
    sign = torch.randint(0, 2, shape, generator=rng).double() * 2 - 1
    if family == "constant":
        level = 0.5 + 2.5 * torch.rand((), generator=rng, dtype=torch.float64)
        side = torch.randint(0, 2, (), generator=rng) * 2 - 1
        return torch.empty(shape, dtype=torch.float64).copy_(level * side)
    if family == "subnormal" or (family == "tiny" and dtype == "f16"):
        unit, count = _SUBNORMAL[dtype]
        if family == "tiny":  # of the f16 numbers only the lowest subnormals are this small
            count = int(1e-6 / unit)
        return sign * unit * torch.randint(1, count + 1, shape, generator=rng).double()
    if family == "tiny":
        low, high = -9.0, math.log10(0.99e-6)
    elif family == "large":
        low, high = math.log10(81.0), math.log10(top)
    else:  # mixed
        low, high = (-4.0 if dtype == "f16" else -6.0), math.log10(min(top, 1e3))
    exponent = low + (high - low) * torch.rand(shape, generator=rng, dtype=torch.float64)
    return sign * torch.pow(torch.tensor(10.0, dtype=torch.float64), exponent)


def _whole(
    shape: tuple[int, ...], dtype: str, rng: torch.Generator, domain: Domain
) -> torch.Tensor:
    """Whole numbers from 1 to the largest that keeps all sums exact, in float64."""
    terms = 1 if domain.summed is None or not shape else max(1, shape[domain.summed])
    most = max(1.0, min(_WHOLE[dtype], (_WHOLE_SUM[dtype] / terms) ** domain.share))
    size = torch.randint(1, int(most) + 1, shape, generator=rng).double()
    return torch.where(torch.randint(0, 8, shape, generator=rng) == 0, -size, size)


def _edges(shape: tuple[int, ...], dtype: str, rng: torch.Generator, top: float) -> torch.Tensor:
    """Numbers beside which arithmetic changes, in float64."""
    unit, count = _SUBNORMAL[dtype]
    near = 1.0 + torch.finfo(DTYPES[dtype]).eps
    sizes = (0.0, unit, unit * count, unit * (count + 1), 1.0, near, top)
    table = torch.tensor([sign * size for size in sizes for sign in (1, -1)], dtype=torch.float64)
    return table[torch.randint(0, len(table), shape, generator=rng)]


def _plant(out: torch.Tensor, specials: tuple[float, ...], rng: torch.Generator) -> None:
    """Put specials into ``out``: about one and a half per row, each at least once if it fits."""
    flat, rows = out.view(-1), max(1, out.numel() // max(1, out.shape[-1] if out.dim() else 1))
    if not specials or not flat.numel():
        return
    count = min(flat.numel(), max(len(specials), rows + rows // 2))
    places = torch.randperm(flat.numel(), generator=rng)[:count]
    flat[places] = torch.tensor(specials, dtype=out.dtype).repeat(count // len(specials) + 1)[
        :count
    ]


def laid_out(data: torch.Tensor, layout: str, rng: torch.Generator, pitch: int = 3) -> torch.Tensor:
    """The same values in another memory layout; ``pitch`` pads the rows of ``strided``.

    Tensors without two dimensions to swap stay contiguous under ``transposed``.
    """
    if layout == "contiguous" or data.dim() == 0:
        return data
    if layout == "transposed":
        if data.dim() < 2:
            return data
        return data.transpose(-1, -2).contiguous().transpose(-1, -2)
    if layout == "strided":
        *lead, cols = data.shape
        buffer = torch.rand((*lead, STEP * cols + pitch), generator=rng).add_(0.5).to(data.dtype)
        view = buffer[..., : STEP * cols : STEP]
    elif layout == "offset":
        buffer = torch.rand(data.numel() + OFFSET, generator=rng).add_(0.5).to(data.dtype)
        view = buffer[OFFSET:].view(data.shape)
    else:
        raise ValueError(f"unknown layout {layout!r}")
    view.copy_(data)
    return view


def maker(
    inputs: tuple[Arg, ...], domains: Mapping[str, Domain]
) -> Callable[[Case, int], list[torch.Tensor]]:
    """``make_inputs`` of a task: the inputs of a case in argument order.

    Every argument has its own row pitch, so that one argument's strides do not fit another.
    """

    def make_inputs(case: Case, seed: int) -> list[torch.Tensor]:
        made = []
        for place, arg in enumerate(inputs):
            domain = domains.get(arg.name, Domain())
            rng = generator(seed, arg.name)
            data = values(
                domain.family or case.values, case.shapes[arg.name], case.dtype, rng, domain
            )
            made.append(laid_out(data, case.layout, rng, pitch=3 + 2 * place))
        return made

    return make_inputs
