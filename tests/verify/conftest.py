# SPDX-License-Identifier: Apache-2.0
"""Where objects are built that no fixture asks for, and which files measure."""

from __future__ import annotations

from pathlib import Path

import pytest
from verify import shared_objects

_MEASURE = {"test_timing.py", "test_timing_attacks.py", "test_python_library.py"}


@pytest.fixture(autouse=True, scope="session")
def _objects_in_the_shared_cache(shared_cache: Path) -> None:
    """Tells shared_objects.py where to build."""
    shared_objects.cache = shared_cache


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that take real clocks, or samples of what a kernel is doing."""
    for item in items:
        if item.path.name in _MEASURE:
            item.add_marker("measures")
