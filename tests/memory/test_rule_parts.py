# SPDX-License-Identifier: Apache-2.0
"""The parts of the rule memory: which kernels are paired, and the limit of a share."""

from __future__ import annotations

from math import comb

import pytest
from doubles import kernel, task
from memory.streams import finished, tried

from kernelcoder.memory.rules import pairs as pairing
from kernelcoder.memory.rules.beta import cumulative, lower_limit

TASK = task("op", "row")


def test_pairs_are_better_beyond_doubt() -> None:
    fast, slow, near = (tried(n, kernel(f"{n}"), speed=s) for n, s in enumerate((2.0, 1.0, 1.95)))
    wrong = tried(3, kernel("w"), "incorrect")
    lost = tried(4, kernel("l"), "infra_error")
    found = pairing.pairs(finished(TASK, fast, slow, near, wrong, lost))
    names = {(one.ordinal, other.ordinal): why for one, other, why in found}
    assert len(found) == 4 and (0, 2) not in names and (2, 0) not in names
    assert all(4 not in pair for pair in names)
    assert pairing.better(fast, slow, "eager", 0.02) == "faster"
    assert pairing.better(slow, fast, "eager", 0.02) is None
    assert pairing.better(fast, near, "eager", 0.02) is None  # within the noise: a tie
    assert pairing.better(fast, slow, "eager", 1.5) is None
    assert pairing.better(slow, wrong, "eager", 0.02) == "right"
    assert pairing.better(wrong, slow, "eager", 0.02) is None
    untimed = tried(5, kernel("u"), speed=None)
    assert pairing.better(fast, untimed, "eager", 0.02) is None


def test_of_many_attempts_the_telling_ones_are_paired() -> None:
    many = [tried(n, kernel(str(n)), speed=1.0 + n) for n in range(60)]
    many += [tried(60 + n, kernel(str(n), "w"), "incorrect") for n in range(60)]
    some = pairing.compared(finished(TASK, *many))
    assert len(some) == 48 and {one.ordinal for one in some} >= {0, 11, 48, 59, 60, 83}
    assert len(pairing.pairs(finished(TASK, *many))) == 4


def test_pairs_that_differ_least_come_first() -> None:
    base = "int a;\nint b;\nint c;\n"
    right = tried(0, base)
    far, close = tried(1, "x;\n" * 9, "incorrect"), tried(2, base + "oops;\n", "incorrect")
    found = pairing.pairs(finished(TASK, right, far, close))
    assert [other.ordinal for _, other, _ in found] == [2, 1]


@pytest.mark.parametrize("pairs", [0, 1, 8, 30])
def test_the_limit_is_the_beta_quantile(pairs: int) -> None:
    for obeyed in range(pairs + 1):
        limit = lower_limit(obeyed, pairs)
        # I_x(1 + a, 1 + n - a) is the chance of more than a successes in n + 1 trials.
        tail = sum(
            comb(pairs + 1, k) * limit**k * (1 - limit) ** (pairs + 1 - k)
            for k in range(obeyed + 1, pairs + 2)
        )
        assert tail == pytest.approx(0.2, abs=1e-9)
        assert cumulative(limit, 1 + obeyed, 1 + pairs - obeyed) == pytest.approx(tail)
    assert cumulative(0.0, 1, 1) == 0.0 and cumulative(1.0, 1, 1) == 1.0
