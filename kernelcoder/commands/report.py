# SPDX-License-Identifier: Apache-2.0
"""Write results/report/index.html and the same as Markdown and CSV.

Without arguments: the cells of the current configuration that have results, or every cell of
this machine where there is no configuration. The page is one file and needs no network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kernelcoder import errors, paths


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("globs", nargs="*", metavar="GLOB", help="cell ids instead of .config's")
    parser.add_argument("--all", action="store_true", help="every cell of the machine")
    parser.add_argument("--machine", default="", help="whose results (default: this machine's)")
    parser.add_argument("--config", metavar="FILE", help="configuration (default: .config)")
    parser.add_argument("--out", metavar="DIR", help="default: results/report")


def run(args: argparse.Namespace) -> int:
    """Write the files and name them."""
    from kernelcoder.commands import _results
    from kernelcoder.report.exports import write_report
    from kernelcoder.wording import tally

    globs = list(args.globs)
    if not globs and not args.all:
        globs = _configured(args.config, args.machine)
    runs = _results.runs(globs, args.machine)
    if not runs:
        raise errors.Error("there are no results to report", fix="make bench makes some")
    folder = Path(args.out) if args.out else paths.results().parent / "report"
    written = write_report(runs, folder, _origin({run.id for run in runs}))
    print(f"{tally(len(runs), 'cell')}: {written[0]}")
    beside = [path.name for path in written if path.parent == folder][1:]
    drawn = sum(path.parent.name == "figures" for path in written)
    kernels = tally(len(written) - len(beside) - 1 - drawn, "kernel")
    print(f"beside it: {', '.join(beside)}, {tally(drawn, 'figure')} and {kernels}")
    return errors.DONE


def _configured(config_file: str | None, machine: str) -> list[str]:
    """Ids of the configuration's cells that have results; [] (all) if there are none."""
    from kernelcoder import config, matrix
    from kernelcoder.report import source

    if config_file is None and not paths.config_file().exists():
        return []
    wanted = {cell.id for cell in matrix.cells(config.load(config_file))}
    root, where = paths.results().parent, machine or paths.machine()
    here = {folder.name for folder in source.find(root, machine=where)}
    if not wanted & here:
        print("the configuration has no results yet: reporting every cell of the machine")
    return sorted(wanted & here)


def _origin(ids: set[str]) -> str:
    """The defconfig whose cells are exactly these, "" if none: looked up, never stored."""
    from kernelcoder import config, matrix

    for path in sorted((paths.ROOT / "defconfigs").iterdir()):
        if path.is_file() and {c.id for c in matrix.cells(config.load(path, ()))} == ids:
            return path.name
    return ""
