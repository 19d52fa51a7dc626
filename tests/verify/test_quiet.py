# SPDX-License-Identifier: Apache-2.0
"""Nobody is busy while somebody is alone, and everybody gets a turn."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from kernelcoder.verify.quiet import Quiet


def test_alone_excludes_busy_and_busy_share() -> None:
    quiet, lock = Quiet(), threading.Lock()
    inside = {"busy": 0, "alone": 0}
    most = {"busy": 0, "alone": 0}
    mixed = []

    def stay(kind: str) -> None:
        with quiet.busy() if kind == "busy" else quiet.alone():
            with lock:
                inside[kind] += 1
                most[kind] = max(most[kind], inside[kind])
                mixed.append(inside["busy"] > 0 and inside["alone"] > 0)
            time.sleep(0.002)
            with lock:
                inside[kind] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(stay, ["busy", "busy", "busy", "alone"] * 30))
    assert not any(mixed)
    assert most["alone"] == 1
    assert most["busy"] > 1
