# SPDX-License-Identifier: Apache-2.0
"""The final table, the report's files and the page's structure."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report import synthetic

from kernelcoder.report import exports, html, payload, source, svg, table
from kernelcoder.report.rows import cell_row

VOID = {"meta", "input", "br", "path", "circle", "rect", "polygon"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[source.CellRun]:
    return source.load_all(synthetic.tree(tmp_path_factory.mktemp("results")))


class Balance(HTMLParser):
    """Checks that every element is closed in order, and gathers ids and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.used: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        for name in ("href", "for", "aria-labelledby"):
            if value := given.get(name):
                self.used.append(value.removeprefix("#"))
        self.outside += [str(given[n]) for n in ("src", "action", "data") if n in given]
        if tag == "th":
            assert given.get("scope") in ("row", "col")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_one_well_formed_file_that_needs_nothing_else(runs: list[source.CellRun]) -> None:
    text = html.page(runs, "cpu-scaling")
    page = Balance()
    page.feed(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert set(page.used) <= set(page.ids)
    assert page.outside == []
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "@import" not in text
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text
    assert 'href="#main"' in text
    assert "recipe search, no language model" in text


def test_page_says_the_numbers_of_the_rows(runs: list[source.CellRun]) -> None:
    text = html.page(runs)
    for run in runs:
        row = cell_row(run)
        assert f"{row['n_verified']} of {row['n_tasks']} tasks verified" in text
        assert f"{row['geomean_all']:.2f}" in text
    assert "make defconfig-" not in text
    assert "make defconfig-smoke bench report" in html.page(runs, "smoke")


def test_same_ledgers_give_the_same_bytes(runs: list[source.CellRun], tmp_path: Path) -> None:
    first = exports.write_report(runs, tmp_path / "one")
    again = [source.load(run.folder) for run in runs]
    second = exports.write_report(again, tmp_path / "two")
    assert len(first) > 5
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_chosen_kernels_are_written_as_files(runs: list[source.CellRun], tmp_path: Path) -> None:
    written = exports.write_report(runs, tmp_path)
    winners = [task.winner for run in runs for task in run.tasks if task.winner]
    kernels = {path.stem.rpartition("-")[2]: path for path in written if path.suffix == ".cpp"}
    assert set(kernels) == {winner.candidate[:12] for winner in winners}
    one = runs[0]
    winner = next(task.winner for task in one.tasks if task.winner)
    assert kernels[winner.candidate[:12]].read_text() == one.blob(winner.source)


def test_csv_holds_every_row_and_no_formula(runs: list[source.CellRun], tmp_path: Path) -> None:
    exports.write_report(runs, tmp_path)
    cells = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text())))
    assert [c["cell"] for c in cells] == [run.id for run in runs]
    assert float(cells[0]["geomean_all"]) == cell_row(runs[0])["geomean_all"]
    attempts = list(csv.DictReader(io.StringIO((tmp_path / "attempts.csv").read_text())))
    assert len(attempts) == sum(len(task.tries) for run in runs for task in run.tasks)
    text = exports.csv_text([{"reason": "=HYPERLINK(1)", "n": -1, "none": None}])
    assert text == "reason,n,none\n =HYPERLINK(1),-1,\n"


def test_table_fits_and_says_how_to_read_it(runs: list[source.CellRun]) -> None:
    out = io.StringIO()
    table.print_cells([cell_row(run) for run in runs], out)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    for needed in ("eager", "failures at 1.0", "recipe search, no language model", "box", "unknown",
                   "unfinished", "compile_error", "cheating"):  # fmt: skip
        assert needed in text
    empty = io.StringIO()
    table.print_cells([], empty)
    assert "make bench" in empty.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_color_adds_nothing_but_color(
    runs: list[source.CellRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [cell_row(run) for run in runs[:4]]
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown, plain = Terminal(), io.StringIO()
    table.print_cells(rows, shown)
    table.print_cells(rows, plain)
    assert "\x1b[" in shown.getvalue()
    assert re.sub(r"\x1b\[\d*m", "", shown.getvalue()) == plain.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    quiet = Terminal()
    table.print_cells(rows, quiet)
    assert quiet.getvalue() == plain.getvalue()


def test_payload_keeps_every_text_once_and_every_zero(runs: list[source.CellRun]) -> None:
    data = json.loads(json.dumps(payload.payload(runs, [run.id for run in runs])))
    assert len(data["blocks"]) == len(set(data["blocks"]))
    for cell, run in zip(data["cells"], runs, strict=True):
        for entry, task in zip(cell["tasks"], run.tasks, strict=True):
            for shown, t in zip(entry["tries"], task.tries, strict=True):
                assert shown["n"] == t.ordinal
                if t.source:
                    blocks = [data["blocks"][b] for b in data["texts"][shown["source"]]]
                    assert "\n\n".join(blocks) == run.blob(t.source)


def test_ticks_are_round_and_inside() -> None:
    for low, high in ((0.0, 1.0), (1.0, 2.43), (0.0, 97.0), (3.0, 3.0), (0.0, 0.004)):
        found = svg.ticks(low, high)
        assert 1 <= len(found) <= 11
        assert all(low - 1e-9 <= t <= high + 1e-9 for t in found)


@pytest.mark.slow
def test_ten_thousand_attempts_make_a_page(tmp_path: Path) -> None:
    run = source.load(synthetic.cell(tmp_path, synthetic.Spec("metr", budget=500)))
    text = html.page([run])
    assert len(text) < 60e6
    assert text.count('class="task"') == 20


def test_a_cell_in_any_early_state_still_renders(tmp_path: Path) -> None:
    """Only opened; a task begun; an attempt asked; an attempt answered but not judged."""
    full = (synthetic.cell(tmp_path, synthetic.Spec("base")) / "ledger.jsonl").read_text()
    for count in (1, 2, 3, 4, 5, 6, 7):
        folder = synthetic.cell(tmp_path / str(count), synthetic.Spec("base"))
        (folder / "ledger.jsonl").write_text("".join(full.splitlines(True)[:count]))
        run = source.load(folder)
        out = io.StringIO()
        table.print_cells([cell_row(run)], out)
        assert " *" in out.getvalue()
        assert ">unfinished<" in html.page([run])
        assert "unfinished" in exports.markdown([run])


def test_compile_as_baseline_is_shown_beside_eager(tmp_path: Path) -> None:
    folder = synthetic.cell(tmp_path, synthetic.Spec(baseline="compile"))
    row = cell_row(source.load(folder))
    assert row["baseline"] == "compile"
    assert row["geomean_all"] == row["geomean_all_compile"] != row["geomean_all_eager"]
    out = io.StringIO()
    table.print_cells([row], out)
    assert "all, x compile" in out.getvalue()
    assert "x eager" in out.getvalue()
    assert "vs eager, all" in html.page([source.load(folder)])
