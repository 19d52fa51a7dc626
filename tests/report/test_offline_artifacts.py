# SPDX-License-Identifier: Apache-2.0
"""Every artifact is made again from the folder of a run alone, without a network, to the byte."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from report import synthetic

from kernelcoder import manifest, paths
from kernelcoder.report import environment, source

# A process in which no socket can be made and strings hash in another order.
ALONE = """
import socket, sys
def none(*args, **more): raise OSError("no network here")
socket.socket = socket.create_connection = none
from kernelcoder.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def made(folder: Path, seed: str, *words: str) -> str:
    """Output of a command on the results below ``folder``."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("CONFIG_")}
    env |= {"KERNELCODER_O": str(folder), "KERNELCODER_MACHINE": "box", "PYTHONHASHSEED": seed}
    command = [sys.executable, "-c", ALONE, *words]
    done = subprocess.run(command, cwd=paths.ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_report_tables_and_rows_are_the_same_bytes_elsewhere(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for number, method in enumerate(("best_of_n", "refine")):
        spec = synthetic.Spec(method, rng_seed=number, tasks=synthetic.TASKS[:3], budget=3)
        folder = synthetic.cell(first / "results", spec)
        meta = json.loads((folder / "cell.json").read_text())
        meta["manifest"] = manifest.manifest(meta["values"])
        (folder / "cell.json").write_text(json.dumps(meta))
    shutil.copytree(first, second)
    written = []
    for seed, folder in (("1", first), ("2", second)):
        made(folder, seed, "report", "--all")
        rows = made(folder, seed, "rows", "--json")
        report = folder / "results" / "report"
        files = {
            str(p.relative_to(report)): p.read_bytes() for p in report.rglob("*") if p.is_file()
        }
        written.append((rows, files))
    assert written[0][0] == written[1][0]
    assert sorted(written[0][1]) == sorted(written[1][1])
    assert written[0][1] == written[1][1]
    kernels = [name for name in written[0][1] if name.endswith(".cpp")]
    assert kernels, "the source of the chosen kernels is among the artifacts"


def test_the_manifest_is_in_the_report_and_cells_of_old_have_none(tmp_path: Path) -> None:
    spec = synthetic.Spec(tasks=synthetic.TASKS[:1], budget=1)
    folder = synthetic.cell(tmp_path, spec)
    assert "hardware" not in dict(environment.facts(source.load(folder)))
    meta = json.loads((folder / "cell.json").read_text())
    meta["manifest"] = manifest.manifest(meta["values"])
    (folder / "cell.json").write_text(json.dumps(meta))
    facts = dict(environment.facts(source.load(folder)))
    assert meta["manifest"]["config"][:16] in facts["configuration"]
    assert f"{meta['manifest']['host']['cores']} cores" in facts["hardware"]
