# SPDX-License-Identifier: Apache-2.0
"""List every defconfig and fragment with its one-line help."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from kernelcoder import config_files, errors


def arguments(parser: argparse.ArgumentParser) -> None:
    """No flags."""


def run(args: argparse.Namespace) -> int:
    """Print both lists."""
    _print("Defconfigs (make defconfig-<name>):", config_files.defconfigs())
    print()
    _print("Fragments (make <name>.config, or defconfig-<a>+<name>):", config_files.fragments())
    return errors.DONE


def _print(title: str, found: Mapping[str, Path]) -> None:
    print(title)
    width = max((len(name) for name in found), default=0)
    for name, path in found.items():
        print(f"  {name:<{width}}  {config_files.help_line(path)}")
