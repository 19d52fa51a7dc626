# SPDX-License-Identifier: Apache-2.0
"""Every candidate-side entry of the catalogue is tested or has its reason, and the page is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelcoder.redteam import catalogue, page
from kernelcoder.redteam.corpus import BACKENDS, HONEST, HOSTILE, named
from kernelcoder.redteam.defenses import DEFENSES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "redteam.md"
LEAST_HONEST = {"cpu": 60, "torch": 20, "cuda": 10, "metal": 10, "triton": 10}
ENTRIES = {
    backend: [entry for entries in HOSTILE[backend].values() for entry in entries]
    for backend in BACKENDS
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_entry_is_tested_or_excused(backend: str) -> None:
    tested = catalogue.covered(entry.ids for entry in ENTRIES[backend])
    assert tested <= set(catalogue.ENTRIES)
    assert catalogue.missing(backend, tested) == []
    assert tested & set(catalogue.NOT_APPLICABLE[backend]) == set()


def test_the_catalogue_is_whole() -> None:
    assert len(catalogue.ENTRIES) == 105


def test_the_page_says_what_the_corpus_holds() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page.renewed(text) == text, "run python -m kernelcoder redteam --pages"


def test_names_are_unique_and_the_corpus_is_large_enough() -> None:
    names = [entry.name for backend in BACKENDS for entry in [*ENTRIES[backend], *HONEST[backend]]]
    assert sorted(set(names)) == sorted(names)
    for backend, least in LEAST_HONEST.items():
        assert len(HONEST[backend]) >= least
    assert all(
        entry.twin
        for entries in ENTRIES.values()
        for entry in entries
        if "verified" in entry.accept
    )


def test_defenses_name_candidates_that_exist() -> None:
    for one in DEFENSES:
        for name in one.needs if one.name not in ("hidden-values", "untrusted-text") else ():
            assert named(name).name == name
