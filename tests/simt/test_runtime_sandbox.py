# SPDX-License-Identifier: Apache-2.0
"""The runtime where it is used: loaded into a slot, in a child behind the sandbox."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from simt import runtime_objects as objects

from kernelcoder.backends.simt import build
from kernelcoder.verify import defects, sandbox
from kernelcoder.verify.child import EXIT_DEFECT, Died, Exit, Limits
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.slots import Slot

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason="no native sandbox here")
SOURCE = (objects.SOURCES / "called.cpp").read_text()
N = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("called")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return objects.compiled(folder, "called")


@pytest.fixture(scope="module")
def slot() -> Iterator[Slot]:
    with Slot(library=build.library()) as made:
        yield made


def call(
    slot: Slot, target: Path, fault: int, threads: int = 1
) -> tuple[torch.Tensor | None, Exit]:
    """The output, if the child lived, and how it ended."""
    x = torch.arange(N, dtype=torch.float32)
    regions_of = Call((x,), (((N,), "f32"),), (float(fault),), flush="end")
    limits = Limits(memory_mb=1024, cpu_seconds=20, threads=threads)
    with Regions([regions_of]) as regions:
        child = slot.start(target, regions, limits)
        try:
            child.loaded(30)
            child.run(0, 1, timeout=30)
        except Died as died:
            return None, died.exit
        found = regions.output(0).clone().view(-1)[:N]
        return found, child.finish()


def test_a_right_kernel_runs_behind_the_sandbox(slot: Slot, plain: Path) -> None:
    found, ended = call(slot, plain, 0)
    assert found is not None, ended
    assert torch.equal(found, 2 * torch.arange(N, dtype=torch.float32))
    assert "simt: note kind=launched kernel=twice grid=16,1,1 dim=64,1,1" in ended.stderr
    assert defects.read(ended.stderr, SOURCE) == ()


def test_a_fault_past_the_end_is_explained(slot: Slot, plain: Path) -> None:
    found, ended = call(slot, plain, 1)
    assert found is None and ended.code == EXIT_DEFECT, ended
    (defect,) = defects.read(ended.stderr, SOURCE)
    assert defect.status == "runtime_error"
    line = SOURCE[: SOURCE.index("if (fault == 1 ||")].count("\n") + 1
    assert defect.text.startswith(f"it writes outside of a buffer (line {line}, kernel twice,")
    assert re.search(r"argument y, byte offset 40\d\d, size 4000, block 15,0,0", defect.text)


def test_a_write_to_an_input_is_explained(slot: Slot, plain: Path) -> None:
    _, ended = call(slot, plain, 2)
    assert ended.code == EXIT_DEFECT, ended
    (defect,) = defects.read(ended.stderr, SOURCE)
    assert defect.text.startswith("it writes to an input (line ") and "argument x" in defect.text


def test_faults_of_host_code_are_still_the_harnesss(slot: Slot, plain: Path) -> None:
    _, ended = call(slot, plain, 3)
    assert ended.kind == "signaled", ended
    assert "hint: write" in ended.stderr and "simt:" not in ended.stderr


def test_blocks_use_the_threads_a_candidate_is_granted(plain: Path) -> None:
    with Slot(library=build.library(), threads=2) as slot:
        for threads in (2, 1):
            found, ended = call(slot, plain, 40 + threads, threads)
            assert found is not None, ended
            assert found[0] == threads, "OS threads that have run a block"


def test_a_slot_goes_on_after_a_defect(slot: Slot, plain: Path) -> None:
    call(slot, plain, 1)
    found, _ = call(slot, plain, 0)
    assert found is not None
