# SPDX-License-Identifier: Apache-2.0
"""What "it compiles, so it is right" claims, held against the verifier's verdicts.

For cells of the naive method these are claims it made; of other cells (--all, or by name) what it
would have claimed of the same attempts. A speed is shown where it was measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import json

from kernelcoder import errors


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("globs", nargs="*", metavar="GLOB", help="cell ids (default: naive cells)")
    parser.add_argument("--all", action="store_true", help="every cell")
    parser.add_argument(
        "--examples", action="store_true", help="believe what also passed the visible cases"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per cell")
    parser.add_argument("--machine", default="", help="whose results (default: this machine's)")


def run(args: argparse.Namespace) -> int:
    """Print the claims of every chosen cell."""
    from kernelcoder.commands import _results
    from kernelcoder.report import naive

    runs = _results.runs(args.globs, args.machine)
    found = [naive.claims_of(run, True if args.examples else None) for run in runs]
    if not (args.globs or args.all):
        found = [one for one in found if one.real]
    if not found:
        fix = "make defconfig-naive bench runs one; --all looks at every cell's attempts"
        raise errors.Error("there is no cell of the naive method", fix=fix)
    for one in found:
        print(json.dumps(dataclasses.asdict(one)) if args.json else "\n".join(naive.lines(one)))
    return errors.DONE
