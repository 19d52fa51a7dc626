# SPDX-License-Identifier: Apache-2.0
"""The evaluator we compare ourselves with works, and the comparison says what was measured."""

from __future__ import annotations

from pathlib import Path

from kernelcoder.commands.bench_verify import _ratios
from kernelcoder.verify import peers, throughput
from kernelcoder.verify.compile import FLAGS
from kernelcoder.verify.throughput import COMPILED, PEER, Rate


def test_the_peer_tells_right_from_wrong(tmp_path: Path) -> None:
    right = throughput._RELU % 1
    wrong = right.replace("in[i] < 0.0f", "in[i] < 0.1f")
    flags = [*FLAGS, f"-I{throughput._INCLUDE}"]
    assert peers.evaluate([right], tmp_path, flags, 1) == 1
    assert peers.evaluate([wrong], tmp_path, flags, 1) == 0


def test_candidates_differ_as_programs() -> None:
    assert throughput._RELU % 1 != throughput._RELU % 2
    assert 'extern "C" const int variant = 2;' in throughput._RELU % 2


def test_the_ratio_is_between_like_and_like() -> None:
    rates = [
        Rate(PEER, 4, 1, 4, 1200.0, 1100.0, 0.0),
        Rate(PEER, 4, 2, 4, 700.0, 1100.0, 0.0),
        Rate(COMPILED, 100, 1, 100, 60.0, 55.0, 45.0),
        Rate(COMPILED, 100, 2, 100, 35.0, 55.0, 45.0),
        Rate("another", 100, 1, 100, 1.0, 1.0, 0.0),
    ]
    one, two = _ratios(rates)
    assert "1 worker, compiled: 20.0 times" in one and "20.0 times less CPU" in one
    assert "2 workers, compiled: 20.0 times" in two and "100 candidates against 4" in two
