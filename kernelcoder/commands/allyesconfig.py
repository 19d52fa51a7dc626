# SPDX-License-Identifier: Apache-2.0
"""Write a configuration with every switch on: the full matrix, some of it paid."""

from __future__ import annotations

import argparse

from kernelcoder import config, config_files, errors, paths


def arguments(parser: argparse.ArgumentParser) -> None:
    """No flags."""


def run(args: argparse.Namespace) -> int:
    """Write the configuration."""
    draft = config_files.everything()
    config.apply_overrides(draft)
    config_files.write(draft, paths.config_file(), "allyesconfig")
    print(f"{config.display(paths.config_file())} written: everything on; make matrix shows it")
    return errors.DONE
