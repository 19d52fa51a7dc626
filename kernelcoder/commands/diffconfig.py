# SPDX-License-Identifier: Apache-2.0
"""Show how two configurations differ: A=<name> [B=<name>], B being the current one if left out."""

from __future__ import annotations

import argparse

from kernelcoder import config, config_files, errors


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("a", nargs="?", default="", help="defconfig name, A+B, or file")
    parser.add_argument("b", nargs="?", default="", help="the same (default: .config)")


def run(args: argparse.Namespace) -> int:
    """Print one line per option that differs."""
    if not args.a:
        raise errors.Error("nothing to compare with", fix="make diffconfig A=cpu-scaling")
    old = config_files.resolve(args.a)
    new = config_files.resolve(args.b) if args.b else config.load()
    changes = config_files.differences(old, new)
    for change in changes:
        print(change)
    if not changes:
        print(f"{old.source} and {new.source} are the same")
    return errors.DONE
