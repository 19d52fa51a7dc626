# SPDX-License-Identifier: Apache-2.0
"""The sampler meets every stratum, fresh each time, and stays small."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks import core, fuzz, generate
from benchmarks.fuzz import COUNT, EDGES, LONGEST, MOST

FAMILIES = fuzz.families()


def drawn(seed: int) -> list[fuzz.Sample]:
    return fuzz.draw(random.Random(seed), FAMILIES)


def test_edges_are_beside_powers_of_two() -> None:
    assert {1, 2, 7, 8, 9, 63, 64, 65, 511, 512, 513} <= set(EDGES)
    assert 0 not in EDGES
    assert len(EDGES) == 23


@pytest.mark.parametrize("seed", range(5))
def test_every_draw_meets_every_stratum_but_that_of_sizes(seed: int) -> None:
    samples = drawn(seed)
    assert len(samples) == COUNT
    assert {len(one.sizes) for one in samples} == {1, 2, 3, 4}
    assert {one.dtype for one in samples} == {"f32", "f16", "bf16"}
    assert {one.layout for one in samples} == {"contiguous", "strided", "transposed", "offset"}
    assert {one.values for one in samples} == set(generate.FAMILIES)
    assert any(set(one.sizes) & set(EDGES) for one in samples)


def test_twelve_keys_meet_every_size() -> None:
    met = {size for seed in range(12) for one in drawn(seed) for size in one.sizes}
    assert set(EDGES) <= met
    assert any(size not in EDGES and size > 513 for size in met), "log-uniform ones too"
    last = {one.sizes[-1] for seed in range(12) for one in drawn(seed)}
    assert len(last & set(EDGES)) > len(EDGES) / 2, "often as the length of a row"


def test_draws_are_fresh_repeatable_and_small() -> None:
    assert drawn(1) == drawn(1)
    assert len({one.sizes for seed in range(4) for one in drawn(seed)}) > 2 * COUNT
    for seed in range(20):
        for one in drawn(seed):
            assert math.prod(one.sizes) <= MOST
            assert min(one.sizes) >= 1
            assert max(one.sizes) <= LONGEST


def test_log_uniform_sizes_are_spread_over_the_octaves() -> None:
    rng = random.Random(2)
    octaves = [int(math.log2(fuzz.log_uniform(rng, 1024))) for _ in range(2000)]
    counts = [octaves.count(octave) for octave in range(10)]
    assert min(counts) > 100
    assert max(counts) < 300


@pytest.mark.parametrize("name", core.names())
def test_fuzzed_cases_are_in_every_holdout_set_and_legal(name: str) -> None:
    task = core.load(name)
    for seed in range(3):
        found = [one for one in task.holdout(random.Random(seed)) if "-fuzz-" in one.name]
        assert len(found) == COUNT
        for case in found:
            inputs = task.make_inputs(case, 1)
            assert [tuple(x.shape) for x in inputs] == [case.shapes[a.name] for a in task.inputs]
            assert sum(x.numel() for x in inputs) <= 12 * MOST
            assert set(case.scalars) == set(task.scalars)
    if task.exact == "integers":
        assert all(case.values != "integers" for case in found), "a mean would have to round"
