# SPDX-License-Identifier: Apache-2.0
"""Value families have the statistics they are named for, layouts lie as they say."""

from __future__ import annotations

import pytest
import torch

from benchmarks import generate
from benchmarks.generate import DTYPES, FAMILIES, Domain
from kernelcoder.task import Arg, Case

SHAPE = (61, 67)
ORDINARY = Domain()
SPECIALS = (float("nan"), float("inf"), -float("inf"), 0.0)
LEAST_NORMAL = {"f32": 2.0**-126, "f16": 2.0**-14, "bf16": 2.0**-126}


def drawn(family: str, dtype: str, domain: Domain = ORDINARY, seed: int = 5) -> torch.Tensor:
    """One tensor of a family as float64, which holds every dtype exactly."""
    rng = generate.generator(seed, "x")
    tensor = generate.values(family, SHAPE, dtype, rng, domain)
    assert tensor.dtype == DTYPES[dtype]
    return tensor.double()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("special", "edges")])
def test_every_family_is_finite_and_not_zero(family: str, dtype: str) -> None:
    x = drawn(family, dtype)
    assert torch.isfinite(x).all()
    assert (x != 0).all() or family == "normal"
    assert x.unique().numel() > 50 or family == "constant" or (family, dtype) in COARSE


# bf16 numbers near the common offset are 8 apart; f16 has 16 subnormals below 1e-6 per sign.
COARSE = {("shifted", "bf16"), ("shifted", "f16"), ("tiny", "f16")}


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal(dtype: str) -> None:
    x = drawn("normal", dtype)
    assert abs(float(x.mean())) < 0.1
    assert abs(float(x.std()) - 1) < 0.1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("largest", [100.0, 1e4, 1e30])
def test_large_is_really_above_80(dtype: str, largest: float) -> None:
    x = drawn("large", dtype, Domain(largest=largest))
    assert float(x.abs().min()) > 80
    assert float(x.abs().max()) <= largest * 1.01
    assert 0.4 < float((x > 0).double().mean()) < 0.6


@pytest.mark.parametrize("dtype", DTYPES)
def test_negative_is_really_below_zero(dtype: str) -> None:
    assert float(drawn("negative", dtype).max()) < 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_tiny_is_really_tiny_and_not_zero(dtype: str) -> None:
    size = drawn("tiny", dtype).abs()
    assert float(size.min()) > 0
    assert float(size.max()) <= 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_is_one_value_that_depends_on_the_seed(dtype: str) -> None:
    first, second = drawn("constant", dtype, seed=1), drawn("constant", dtype, seed=2)
    assert first.unique().numel() == second.unique().numel() == 1
    assert first[0, 0] != second[0, 0]
    assert 0.5 <= abs(float(first[0, 0])) <= 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_mixed_has_many_decades_within_rows(dtype: str) -> None:
    size = drawn("mixed", dtype).abs()
    decades = torch.log10(size.amax(dim=-1) / size.amin(dim=-1))
    assert float(decades.min()) > 4
    assert 0.4 < float((drawn("mixed", dtype) > 0).double().mean()) < 0.6


@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormal_is_below_the_smallest_normal(dtype: str) -> None:
    size = drawn("subnormal", dtype).abs()
    assert float(size.min()) > 0
    assert float(size.max()) < LEAST_NORMAL[dtype]


def test_shifted_has_a_mean_far_above_its_deviation() -> None:
    x = drawn("shifted", "f32")
    assert float(x.mean()) > 1000 * float(x.std()) > 500


@pytest.mark.parametrize("terms", [64, 1000, 5000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_integers_are_exact_in_float32_and_too_long_for_half(
    dtype: str, terms: int
) -> None:
    rng = generate.generator(3, "x")
    x = generate.values("integers", (40, terms), dtype, rng, Domain(summed=-1)).double()
    assert (x == x.round()).all()
    assert x.abs().min() >= 1
    assert 0.05 < float((x < 0).double().mean()) < 0.2
    assert float(x.abs().sum(dim=-1).max()) <= 2**24, "no sum of a part, in any order, rounds"
    running = x.cumsum(dim=-1).abs()
    assert float(running.max()) > (2**8 if dtype == "bf16" else 2**11), "a narrow sum must round"
    narrow = torch.zeros(40, dtype=torch.float16 if dtype == "f16" else torch.bfloat16)
    for column in x.T:
        narrow = narrow + column.to(narrow.dtype)
    assert not torch.equal(narrow.double(), x.sum(dim=-1))
    if dtype == "f16":
        assert float(x.sum(dim=-1).abs().max()) < 65504


def test_products_of_integers_share_the_digits() -> None:
    a, b = Domain(summed=-1, share=0.7), Domain(summed=0, share=0.3)
    for dtype in DTYPES:
        left = generate.values("integers", (20, 131), dtype, generate.generator(1, "a"), a).double()
        right = generate.values("integers", (131, 20), dtype, generate.generator(1, "b"), b)
        assert float((left.abs() @ right.double().abs()).max()) <= 2**24
    left = generate.values("integers", (20, 131), "f32", generate.generator(1, "a"), a)
    assert not torch.equal(left, left.bfloat16().float())
    assert not torch.equal(left, left.half().float()), "nor does TF32 hold them"


@pytest.mark.parametrize("dtype", DTYPES)
def test_edges_are_all_there(dtype: str) -> None:
    x = drawn("edges", dtype, Domain(largest=100.0))
    least = LEAST_NORMAL[dtype]
    found = {abs(value) for value in x.unique().tolist()}
    smallest = generate._SUBNORMAL[dtype][0]
    one = 1 + torch.finfo(DTYPES[dtype]).eps
    assert found == {0.0, smallest, least - smallest, least, 1.0, one, 100.0}
    zero = x[x == 0]
    assert torch.signbit(zero).any()
    assert not torch.signbit(zero).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_has_every_special_and_mostly_ordinary_values(dtype: str) -> None:
    x = drawn("special", dtype, Domain(specials=SPECIALS))
    assert torch.isnan(x).any()
    assert (x == float("inf")).any()
    assert (x == -float("inf")).any()
    assert (x == 0).any()
    assert float((torch.isfinite(x) & (x != 0)).double().mean()) > 0.9
    assert torch.isfinite(x).all(dim=-1).any(), "some rows stay ordinary"


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in ("negative", "special")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_positive_arguments_are_positive(family: str, dtype: str) -> None:
    assert float(drawn(family, dtype, Domain(positive=True)).min()) >= 0


def test_what_is_not_legal_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        drawn("negative", "f32", Domain(positive=True))
    with pytest.raises(ValueError, match="unknown value family"):
        drawn("smooth", "f32")
    with pytest.raises(ValueError, match="unknown layout"):
        generate.laid_out(torch.zeros(2), "diagonal", generate.generator(0, "x"))


def case(layout: str, shape: tuple[int, ...] = (5, 7), values: str = "normal") -> Case:
    return Case("c", {"a": shape, "b": shape, "y": shape}, "f32", layout, values)  # type: ignore[arg-type]


MAKE = generate.maker((Arg("a", ("...",)), Arg("b", ("...",))), {})


def test_inputs_depend_on_seed_and_argument_alone() -> None:
    first, again, other = (
        MAKE(case("contiguous"), 3),
        MAKE(case("contiguous"), 3),
        MAKE(case("offset"), 4),
    )
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("layout", ["strided", "transposed", "offset"])
def test_a_layout_changes_memory_and_not_values(layout: str) -> None:
    plain, laid = MAKE(case("contiguous"), 3), MAKE(case(layout), 3)
    for a, b in zip(plain, laid, strict=True):
        assert torch.equal(a, b)
        assert a.stride() != b.stride() or b.storage_offset()


def test_layouts_lie_as_documented() -> None:
    strided = MAKE(case("strided"), 1)
    assert strided[0].stride(-1) == 2
    assert strided[0].stride(0) > 2 * 7
    assert strided[0].stride(0) != strided[1].stride(0), "one argument's strides fit no other"
    assert MAKE(case("transposed"), 1)[0].stride() == (1, 5)
    offset = MAKE(case("offset"), 1)[0]
    assert offset.is_contiguous()
    assert offset.storage_offset() % 2 == 1
    assert MAKE(case("transposed", (5,)), 1)[0].is_contiguous()


@pytest.mark.parametrize("layout", ["contiguous", "strided", "transposed", "offset"])
@pytest.mark.parametrize("shape", [(0,), (1,), (0, 3), (3, 0), (1, 1, 1)])
def test_empty_and_single_shapes(layout: str, shape: tuple[int, ...]) -> None:
    for family in FAMILIES:
        assert MAKE(case(layout, shape, family), 1)[0].shape == shape
