# SPDX-License-Identifier: Apache-2.0
"""The Makefile: its help is complete, its variables are strict, its targets delete no results."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelcoder import config, config_files, paths

MAKEFILE = (paths.ROOT / "Makefile").read_text()
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that is this interpreter, with every installation step stamped as done."""
    folder = tmp_path_factory.mktemp("venv")
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for step in ("base", "torch", "embedded", "dev"):
        (folder / f".stamp-{step}").write_text("")
    return folder


@pytest.fixture
def make(venv: Path, output: Path) -> Run:
    """``make("target", "X=y")`` in the checkout, with the empty output folder."""

    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["make", f"VENV={venv}", f"PYTHON={sys.executable}", f"O={output}", *words],
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def phony() -> set[str]:
    """The targets declared phony."""
    text = MAKEFILE.replace("\\\n", " ")
    return set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())


def test_help_lists_every_target_and_only_those(make: Run) -> None:
    shown = set(re.findall(r"^[ *] (\S+) +- ", make("help").stdout, re.MULTILINE))
    families = {"defconfig-<name>", "defconfig-<a>+<b>", "<name>_defconfig", "<fragment>.config"}
    starts = {name for name in shown if name.startswith("defconfig-") and "<" not in name}
    assert shown - families - starts == phony()
    assert families <= shown
    assert 1 <= len(starts) <= 6
    assert {name.removeprefix("defconfig-") for name in starts} <= set(config_files.defconfigs())
    assert make().stdout == make("help").stdout, "plain make prints help"


def test_every_phony_target_has_a_rule() -> None:
    for target in phony():
        assert re.search(rf"^{target}:.*## ", MAKEFILE, re.MULTILINE), target


def test_defconfigs_are_explicit_rules_so_that_shells_complete_them(make: Run) -> None:
    database = make("-np", "help").stdout
    for name in config_files.defconfigs():
        assert re.search(rf"^defconfig-{name}:", database, re.MULTILINE)


def test_configuration_targets_in_one_line(make: Run, output: Path) -> None:
    done = make("defconfig-cpu-embedded", "matrix")
    assert "best-of-n_none_embedded-guided_cpu_core_s0-" in done.stdout
    make("defconfig-smoke+seeds5")
    assert config.load(output / ".config", ())["SEEDS"] == 5
    make("vllm-local_defconfig", "quick.config")
    assert config.load(output / ".config", ())["BUDGET"] == 2
    make("defconfig-nothing", code=2)


def test_a_setting_for_one_command(make: Run, output: Path) -> None:
    make("defconfig-smoke")
    before = (output / ".config").read_text()
    assert "_s4-" in make("CONFIG_SEEDS=5", "matrix").stdout
    assert (output / ".config").read_text() == before
    assert "did you mean CONFIG_SEEDS" in make("CONFIG_SEDS=5", "matrix", code=2).stderr
    assert "outside 1..100" in make("CONFIG_SEEDS=300", "matrix", code=2).stderr
    assert make("ONLY=best*", "SHARD=1/1", "matrix").stdout.count("_s0-") == 1
    make("CONFIG_SEEDS=4", "defconfig-smoke")
    assert config.load(output / ".config", ())["SEEDS"] == 4, "a defconfig target records it"


def test_values_may_hold_blanks(make: Run) -> None:
    done = make("CONFIG_MODEL_REPLAY=y", "CONFIG_MODEL_REPLAY_DIR=/a b/c", "alldefconfig")
    assert done.returncode == 0
    assert '"/a b/c"' in make("diffconfig", "A=smoke").stdout


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("SEEDS=3", "CONFIG_SEEDS=..."),
        ("ONYL=x", "did you mean ONLY?"),
        ("CONFG_BUDGET=3", "did you mean CONFIG_BUDGET?"),
        ("zzzzzz=1", "make help lists them"),
    ],
)
def test_an_unknown_variable_is_an_error(make: Run, word: str, hint: str) -> None:
    said = make(word, "help", code=2).stderr
    assert f"unknown make variable {word.partition('=')[0]}" in said
    assert hint in said


def test_menuconfig_without_a_terminal_names_the_alternatives(make: Run) -> None:
    said = make("menuconfig", code=2).stderr
    assert "needs a terminal" in said
    assert "list-defconfigs" in said
    assert "Traceback" not in said


def test_no_target_deletes_results(make: Run, output: Path) -> None:
    kept = output / "results" / "some-machine" / "cell" / "ledger.jsonl"
    cached = output / "results" / ".cache" / "x"
    for file in (kept, cached):
        file.parent.mkdir(parents=True)
        file.write_text("x")
    make("defconfig-smoke", "V=1")
    dry = make("-n", "clean").stdout + make("-n", "mrproper").stdout
    assert "rm " not in dry
    code = "from kernelcoder.commands import clean; clean._CACHES = (); clean._ROOMS = ()"
    code += "; from kernelcoder.__main__ import main; main(['clean', '--config'])"
    subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, check=True)
    assert kept.exists()
    assert not cached.exists()
    assert not (output / ".config").exists()
    assert not re.search(r"\brm\b", MAKEFILE)


def test_bench_without_a_configuration_takes_smoke(make: Run) -> None:
    recipe = make("-n", "bench", "ONLY=x*", "FRESH=1").stdout
    assert "defconfig --if-missing smoke && " in recipe
    assert "bench --only 'x*' --fresh" in recipe.replace("  ", " ")


def test_the_makefile_is_for_make_3_81() -> None:
    newer = [
        r"!=",
        r"\.ONESHELL",
        r"\$\(file ",
        r"\bundefine\b",
        r"\bprivate\b",
        r"::=",
        r"\$\(let ",
        r"\$\(intcmp ",
        r"&:",
        r"\.EXTRA_PREREQS",
    ]
    for feature in newer:
        assert not re.search(feature, MAKEFILE), feature


def test_recipes_cannot_fail_in_silence() -> None:
    assert "|| true" not in MAKEFILE
    assert not re.search(r"^\t-", MAKEFILE, re.MULTILINE)
    scripts = [path.read_text() for path in (paths.ROOT / "scripts").glob("*.sh")]
    assert all("|| true" not in text and "set -eu" in text for text in scripts)


def test_an_old_or_missing_python_is_a_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.1 && exit 0\nexit 1\n')
    old.chmod(0o755)
    first = ["make", "help", f"PYTHON={old}"]
    done = subprocess.run(first, cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "3.11 or newer is needed" in done.stderr
    for python, sentence in ((str(old), "3.11 or newer is needed"), ("no-python", "there is no")):
        done = subprocess.run(
            ["sh", "scripts/setup.sh", python, str(tmp_path / "venv"), "base"],
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert sentence in done.stderr
        assert not (tmp_path / "venv").exists()
