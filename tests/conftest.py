# SPDX-License-Identifier: Apache-2.0
"""What tests of all rooms share in a run of several processes: one cache of what compilers made,
and a turn for each test that measures."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_SEVERAL = "PYTEST_XDIST_WORKER"  # set in each of several processes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The red team first. Of two processes each begins with half of the list, and verify/, which
    measures as well, is the end of the other half: so they seldom wait for each other's turn."""
    items.sort(key=lambda item: item.path.parent.name != "redteam")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the whole run, whatever process of it a test is in."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if _SEVERAL in os.environ else base


@pytest.fixture(autouse=True)
def turn(request: pytest.FixtureRequest, run_folder: Path) -> Iterator[None]:
    """Of tests marked ``measures`` one runs at a time; others may run beside it."""
    if _SEVERAL not in os.environ or request.node.get_closest_marker("measures") is None:
        yield
        return
    with (run_folder / "measuring").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def shared_cache(run_folder: Path) -> Path:
    """A cache for compilers and verifiers, of all tests and processes of a run.

    Its entries are named by what they were made of, so none can be taken for another. A cache of
    one's own begins with two precompiled headers, which are five seconds. Tests of the cache
    itself, and of what a compiler does, have their own."""
    cache = run_folder / "shared-cache"
    (cache / "include").mkdir(parents=True, exist_ok=True)
    return cache


@pytest.fixture(scope="session")
def with_cache(shared_cache: Path) -> Callable[[Path], Path]:
    """``with_cache(folder)``: the folder, as a place for ``O=`` whose cache is the shared one."""

    def prepared(folder: Path) -> Path:
        (folder / "results").mkdir(parents=True)
        (folder / "results" / ".cache").symlink_to(shared_cache)
        return folder

    return prepared
