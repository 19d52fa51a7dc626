# SPDX-License-Identifier: Apache-2.0
"""Lay a fragment over the configuration."""

from __future__ import annotations

import argparse

from kernelcoder import config, config_files, errors, paths


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", help="a fragment, without .config")


def run(args: argparse.Namespace) -> int:
    """Write the configuration and say which values the fragment replaced."""
    path = config_files.find(args.name, ("fragment",))
    draft = config_files.current()
    draft.add(config.read(path), config.display(path), handwritten=True)
    for note in config_files.write(draft, paths.config_file(), args.name):
        print(f"  {note}")
    print(f"{config.display(paths.config_file())} now includes {args.name}.config")
    return errors.DONE
