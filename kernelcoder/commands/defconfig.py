# SPDX-License-Identifier: Apache-2.0
"""Start the configuration from a defconfig, with fragments on top: NAME or A+B+C."""

from __future__ import annotations

import argparse

from kernelcoder import config, config_files, errors, paths


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", help="a defconfig, or a defconfig and fragments joined by +")
    parser.add_argument("--if-missing", action="store_true", help="keep a configuration there is")


def run(args: argparse.Namespace) -> int:
    """Write the configuration. Overrides of the command line become part of it."""
    target = paths.config_file()
    if args.if_missing and target.exists():
        return errors.DONE
    draft = config_files.merged(args.name.split("+"))
    config.apply_overrides(draft)
    notes = config_files.write(draft, target, args.name)
    for note in notes:
        print(f"  {note}")
    if args.if_missing:
        print(f"no configuration yet: taking defconfigs/{args.name}")
    print(f"{config.display(target)} written from {args.name}")
    return errors.DONE
