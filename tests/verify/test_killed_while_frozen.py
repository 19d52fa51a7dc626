# SPDX-License-Identifier: Apache-2.0
"""A child that is killed from outside while it stands frozen is no cheat: the closed pipe that
is left of it looks like tampering."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from kernelcoder.verify.child import Child, Died, Tampered
from kernelcoder.verify.compile import Compiler
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.slots import Limits, Slot

HEAD = '#include <dlpack/dlpack.h>\n#include <unistd.h>\nextern "C" void kernel() {%s}\n'


@pytest.fixture(scope="module")
def compiler(shared_cache: Path) -> Compiler:
    return Compiler(shared_cache)


@pytest.fixture
def regions() -> Iterator[Regions]:
    with Regions([Call((torch.ones(1),), (((1,), "f32"),))]) as made:
        yield made


def started(compiler: Compiler, slot: Slot, regions: Regions, body: str) -> Child:
    path = compiler.build(HEAD % body).path
    assert path is not None
    child = slot.start(Path(path), regions, Limits())
    child.loaded(20)
    return child


def test_killed_between_the_freeze_and_the_look(
    compiler: Compiler, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze = Child._freeze

    def freeze_and_die(child: Child, timeout: float) -> None:
        freeze(child, timeout)
        os.kill(child.pid(), signal.SIGKILL)
        select.select([child._pidfd], [], [], 5)  # until it is dead

    with Slot() as slot:
        child = started(compiler, slot, regions, "")
        monkeypatch.setattr(Child, "_freeze", freeze_and_die)
        with pytest.raises(Died) as caught:
            child.run(0, 1)
    assert not isinstance(caught.value, Tampered)
    assert (caught.value.exit.kind, caught.value.exit.killed) == ("signaled", True)
