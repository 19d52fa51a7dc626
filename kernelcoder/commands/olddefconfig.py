# SPDX-License-Identifier: Apache-2.0
"""Bring the configuration up to date after an update, saying what changed."""

from __future__ import annotations

import argparse

from kernelcoder import config, config_files, errors, paths


def arguments(parser: argparse.ArgumentParser) -> None:
    """No flags."""


def run(args: argparse.Namespace) -> int:
    """Write the configuration with new options at their defaults."""
    path = paths.config_file()
    draft, said = config_files.update(path)
    config.apply_overrides(draft)
    config_files.write(draft, path, config.display(path))
    for line in said:
        print(f"  {line}")
    print(f"{config.display(path)} is up to date" + ("" if said else "; nothing changed"))
    return errors.DONE
