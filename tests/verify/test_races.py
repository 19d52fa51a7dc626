# SPDX-License-Identifier: Apache-2.0
"""Kernels with threads are run again under other schedules."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kernelcoder.verify import races


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system binds no processes")
def test_a_process_is_put_on_one_processor_and_on_all() -> None:
    usable = os.sched_getaffinity(0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert races.schedule(other.pid, 1)
        assert len(os.sched_getaffinity(other.pid)) == 1
        assert races.schedule(other.pid, 0)
        assert os.sched_getaffinity(other.pid) == usable
        other.kill()


def test_a_process_that_is_gone_is_no_fault() -> None:
    assert not races.schedule(2**22 - 1, 1)
