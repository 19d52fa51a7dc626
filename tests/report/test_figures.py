# SPDX-License-Identifier: Apache-2.0
"""Charts as files: well-formed, with their colors, and the same bytes from the same ledgers."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from report import synthetic

from kernelcoder.report import exports, source

NAMES = {"attempts-1.svg", "attempts-2.svg", "device-2.svg", "wall-1.svg", "fast.svg",
         "profile.svg", "cost.svg"}  # fmt: skip


def test_every_chart_is_a_file_of_its_own(tmp_path: Path) -> None:
    specs = [synthetic.Spec(m, tasks=synthetic.TASKS[:4], tokens=True) for m in ("metr", "refine")]
    runs = source.load_all([synthetic.cell(tmp_path / "results", spec) for spec in specs])
    once = exports.write_report(runs, tmp_path / "a")
    again = exports.write_report(runs, tmp_path / "b")
    drawn = {path.name: path for path in once if path.parent.name == "figures"}
    assert set(drawn) >= NAMES
    for path in drawn.values():
        picture = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert picture.tag.endswith("svg")
        assert picture.find("{http://www.w3.org/2000/svg}style") is not None
        assert "--c0: #1f5fbf" in path.read_text()
    assert [p.read_bytes() for p in once] == [p.read_bytes() for p in again]
    curve = drawn["attempts-1.svg"].read_text()
    assert "metr" in curve and ".line { fill: none" in curve
