# SPDX-License-Identifier: Apache-2.0
"""rows, attempts, report and compare as a user calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from report import synthetic

from kernelcoder import __main__, paths
from kernelcoder.report.rows import CELL_FIELDS


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the usual results, which no command changes."""
    folder = tmp_path_factory.mktemp("grown")
    synthetic.tree(folder / "results")
    return folder


@pytest.fixture
def tree(grown: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERNELCODER_O", str(grown))
    monkeypatch.setenv("KERNELCODER_MACHINE", "box")
    monkeypatch.delenv("KCONFIG_CONFIG", raising=False)
    return grown


def test_rows_json_is_one_record_per_finished_cell(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["rows", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 4
    for row in found:
        assert tuple(row)[: len(CELL_FIELDS)] == CELL_FIELDS
    assert __main__.main(["rows", "--json", "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert __main__.main(["rows", "refine*"]) == 0
    assert "results" in capsys.readouterr().out


def test_attempts_json_is_one_record_per_attempt(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["attempts", "--json", "base*"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 20
    assert {"cell", "task", "ordinal", "status", "candidate"} <= set(found[0])
    assert __main__.main(["attempts", "base*"]) == 0
    assert "core/softmax" in capsys.readouterr().out


def test_report_writes_the_page_and_its_companions(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["report", "--all"]) == 0
    folder = tree / "results" / "report"
    names = {"index.html", "report.md", "rows.csv", "tasks.csv", "attempts.csv", "kernels",
             "figures"}  # fmt: skip
    assert {path.name for path in folder.iterdir()} == names
    assert str(folder / "index.html") in capsys.readouterr().out


def test_compare_takes_globs_and_flags(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tree / "out" / "compare.html"
    asked = ["compare", "A=best-of-n_none_recipe*", "--b", "refine*", "--html", str(page)]
    assert __main__.main(asked) == 0
    assert "settings that differ" in capsys.readouterr().out
    assert "<h2" in page.read_text()
    assert __main__.main(["compare", "A=base*", "B=metr*", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["letters"] == "AB"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["compare", "A=base*"], "two sides"),
        (["compare", "A=base*", "B=nothing-like-it"], "no defconfig"),
        (["compare", "A=base*", "D=refine*"], "not a side"),
        (["compare", "A=base*", "B=smoke"], "no results"),
        (["rows", "nothing-like-it"], "no results match"),
    ],
)
def test_mistakes_are_sentences_with_exit_code_two(
    tree: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], word: str
) -> None:
    assert __main__.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert word in error


def test_reading_results_loads_neither_torch_nor_a_model(tree: Path) -> None:
    code = (
        "import sys; from kernelcoder.__main__ import main\n"
        "assert main(['rows', '--json']) == main(['attempts']) == 0\n"
        "assert main(['compare', 'A=base*', 'B=refine*']) == 0\n"
        "heavy = {'torch', 'openai', 'litellm', 'xllamacpp', 'rich'} & set(sys.modules)\n"
        "ours = [m for m in sys.modules if m.startswith(('kernelcoder.models.', "
        "'kernelcoder.verify', 'kernelcoder.backends.', 'benchmarks'))]\n"
        "assert not heavy and not ours, (heavy, ours)\n"
        "assert main(['report', '--all']) == 0\n"
        "assert not {'torch', 'openai', 'litellm', 'xllamacpp', 'rich'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=paths.ROOT,
        env={**os.environ, "KERNELCODER_O": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
