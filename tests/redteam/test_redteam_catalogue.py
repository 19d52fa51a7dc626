# SPDX-License-Identifier: Apache-2.0
"""Every candidate-side entry of the catalogue is tested or has its reason, and the page is true."""

from __future__ import annotations

import re
from pathlib import Path

from redteam.corpus import CLASSES, HONEST
from redteam.entry import caught_as

PAGE = Path(__file__).resolve().parents[2] / "docs" / "redteam.md"
# How many entries each class of the catalogue has.
COUNTS = {"A": 24, "B": 23, "C": 14, "D": 26, "E": 7, "F": 11}
CATALOGUE = {f"{letter}{n}" for letter, count in COUNTS.items() for n in range(1, count + 1)}
ENTRIES = [entry for entries in CLASSES.values() for entry in entries]


def rows() -> list[str]:
    """The lines of the table, as they must stand on the page."""
    return [
        f"| {', '.join(entry.ids)} | {entry.name} | {entry.mechanism} | {caught_as(entry)} |"
        for entry in ENTRIES
    ]


def excused() -> dict[str, str]:
    """Entry of the catalogue -> why it cannot apply, from the page."""
    part = PAGE.read_text().partition("## Not applicable")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| ([A-F]\d+) \| (.+) \|$", part, re.MULTILINE))


def test_every_entry_is_tested_or_excused() -> None:
    tested = {number for entry in ENTRIES for number in entry.ids}
    assert tested <= CATALOGUE
    assert CATALOGUE - tested - set(excused()) == set()
    assert tested & set(excused()) == set()


def test_the_page_lists_every_candidate_as_it_is() -> None:
    listed = set(PAGE.read_text().splitlines())
    assert [row for row in rows() if row not in listed] == []
    table = PAGE.read_text().partition("## Candidates")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| [A-F]\d", table, re.MULTILINE)) == len(ENTRIES)


def test_names_are_unique_and_the_corpus_is_large_enough() -> None:
    names = [entry.name for entry in [*ENTRIES, *HONEST]]
    assert sorted(set(names)) == sorted(names)
    assert len(HONEST) >= 25
    assert all(entry.twin for entry in ENTRIES if "verified" in entry.accept)
