# SPDX-License-Identifier: Apache-2.0
"""A job script is what bash and sbatch take, runs each cell in one share, and says what it ran."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kernelcoder import __main__ as lab
from kernelcoder import config, config_files, matrix, slurm
from kernelcoder.errors import Error

JOB = slurm.Job("lab", 3, 90, 8, 16, 1, True, "node-a", ("partition=gpu",))
CONFIG = 'CONFIG_SEEDS=3\nCONFIG_SUITE_CORE_TASKS="relu"\n'
PYTHON = """#!/bin/sh
while [ $# -gt 0 ]; do
  if [ "$1" = --config ]; then cat "$2" > seen.config; shift; else echo "$1"; fi
  shift
done > seen.words
echo "$KERNELCODER_MACHINE" > seen.machine
"""


def test_a_script_carries_its_configuration_to_the_bench(tmp_path: Path) -> None:
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text(PYTHON)
    (tmp_path / ".venv/bin/python").chmod(0o755)
    (tmp_path / "job").write_text(slurm.script(JOB, CONFIG))
    told = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_ARRAY_TASK_ID": "2", "TMPDIR": str(tmp_path)}
    env = {"PATH": os.environ["PATH"], **told}
    subprocess.run(["bash", str(tmp_path / "job")], env=env, cwd="/", check=True)
    assert (tmp_path / "seen.config").read_text() == CONFIG
    assert (tmp_path / "seen.words").read_text().split() == [
        "-m", "kernelcoder", "bench", "--shard", "2/3",
    ]  # fmt: skip
    assert (tmp_path / "seen.machine").read_text() == "node-a\n"


def test_without_an_environment_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "job").write_text(slurm.script(JOB, CONFIG))
    env = {"PATH": os.environ["PATH"], "SLURM_SUBMIT_DIR": str(tmp_path)}
    done = subprocess.run(["bash", str(tmp_path / "job")], env=env, capture_output=True, text=True)
    assert done.returncode == 3
    assert "run make doctor" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("#!/bin/bash\n", "", "begins with #!"),
        ("--time=0-01:30:00", "--time=ninety", "--time does not take 'ninety'"),
        ("--mem=16G", "--mem=16 G", "--mem does not take"),
        ("--array=1-3", "--array=1..3", "--array does not take"),
        ("#SBATCH --nodes=1", "#SBATCH nodes=1", "not of the form"),
        ("#SBATCH --requeue", "#SBATCH --requeue=y", "--requeue takes no value"),
        ("#SBATCH --nodes=1", "#SBATCH --nodes", "--nodes needs a value"),
        ("#SBATCH --nodes=1", "#SBATCH --frobnicate=1", "no option that is known"),
        ("#SBATCH --nodes=1", "#SBATCH --ntasks=1", "--ntasks stands there twice"),
        ("set -euo pipefail", "set -e\n#SBATCH --nodes=2", "after a command is ignored"),
    ],
)
def test_what_sbatch_would_refuse_or_ignore_is_found(old: str, new: str, says: str) -> None:
    text = slurm.script(JOB, CONFIG)
    assert slurm.faults(text) == []
    assert old in text
    assert any(says in one.what for one in slurm.faults(text.replace(old, new, 1)))


def test_an_option_that_breaks_out_of_its_line_is_refused() -> None:
    for extra in ("partition=a b", "partition=x\nrm -rf y", "wrap=true"):
        with pytest.raises(Error, match="would not take"):
            slurm.script(slurm.Job("lab", 1, 30, 1, 1, 0, False, "m", (extra,)), CONFIG)
    with pytest.raises(Error, match="ends it in the script"):
        slurm.script(JOB, f"{CONFIG}{slurm.MARK}\n")


def test_the_limit_has_slack_and_keeps_to_a_cap() -> None:
    assert slurm.minutes_of(None, 1, 0) == 30
    assert slurm.minutes_of(7200.0, 1, 0) == 270, "two hours twice, three minutes, in half hours"
    assert slurm.minutes_of(7200.0, 4, 0) == 90
    assert slurm.minutes_of(7200.0, 1, 60) == 63
    assert slurm.clock(1530) == "1-01:30:00"


def test_the_command_writes_checks_and_covers_every_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.config").write_text(CONFIG)
    file = tmp_path / "job.sbatch"
    words = ["slurm", str(file), "--config", str(tmp_path / "x.config"), "--jobs", "2"]
    assert lab.main(words) == 0
    out = capsys.readouterr().out
    assert "3 cells in 2 array tasks" in out
    assert "bash -n: no fault found" in out
    text = file.read_text()
    assert "#SBATCH --array=1-2\n" in text
    cells = matrix.cells(config.load(tmp_path / "x.config", ()))
    shares = [matrix.select(cells, shard=f"{i}/2") for i in (1, 2)]
    assert sorted(one.id for share in shares for one in share) == sorted(one.id for one in cells)
    assert lab.main([*words[:-1], "4"]) == 2
    assert "a cell is never split" in capsys.readouterr().err
    assert lab.main([*words, "--machine", "../x"]) == 2
    assert lab.main([*words, "--sbatch=partition=a b"]) == 2


def test_every_defconfig_has_a_script_that_is_taken() -> None:
    for name in config_files.defconfigs():
        text = slurm.script(JOB, config_files.minimal(config_files.merged([name])))
        assert slurm.faults(text) == [], name
