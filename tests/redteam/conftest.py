# SPDX-License-Identifier: Apache-2.0
"""After every hostile candidate nothing of it is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from leftovers import census, settled


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Compares a census before and after each test; slots may be opened in between."""
    before = census()
    yield
    assert settled(before, fresh_slots=True) == []
