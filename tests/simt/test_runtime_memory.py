# SPDX-License-Identifier: Apache-2.0
"""The device's memory: guards, names, what counts as written; and the limits of shared memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from simt import runtime_objects as objects

# case -> the defect in a plain and in a checked build; "" if it passes
CASES = {
    "allocations": ("", ""),
    "damaged_front": ("canary", "canary"),
    "read_after_free": ("bad-address", "bad-address"),
    "host_space": ("", ""),
    "copies_stay_undefined": ("", "uninitialized"),
    "outputs_are_unwritten": ("", "uninitialized"),
    "last_element": ("", ""),
    "behind_the_last": ("", "out-of-bounds-write"),
    "lowest_element": ("", ""),
    "below_the_lowest": ("", "out-of-bounds-write"),
    "granted_to_another": ("shared-memory", "shared-memory"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("memory")


@pytest.fixture(scope="module")
def program(folder: Path) -> Path:
    return objects.driver(folder)


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return objects.compiled(folder, "memory")


@pytest.fixture(scope="module")
def checked(folder: Path) -> Path:
    return objects.compiled(folder, "memory", checked=True)


@pytest.mark.parametrize("case", CASES)
def test_memory(program: Path, plain: Path, checked: Path, case: str) -> None:
    for target, expected in zip((plain, checked), CASES[case], strict=True):
        done = objects.run(program, target, case)
        assert done.returncode == (92 if expected else 0), done.stderr
        assert objects.kinds(objects.said(done)) == ({expected} if expected else set())


@pytest.mark.parametrize(
    ("size", "case", "message"),
    [
        (20000, "static_metal", ""),
        (20000, "static_cuda", ""),
        (33000, "static_metal", "reason=static size=33000 limit=32768"),
        (33000, "static_cuda", "reason=opt-in size=53000 limit=49152"),
        (50000, "static_cuda", "reason=static size=50000 limit=49152"),
    ],
)
def test_static_shared_memory(
    program: Path, folder: Path, size: int, case: str, message: str
) -> None:
    done = objects.run(program, objects.compiled(folder, "memory", define=f"BYTES={size}"), case)
    assert done.returncode == (92 if message else 0), done.stderr
    assert f"simt: shared-memory kernel=large {message}" in done.stderr or not message
