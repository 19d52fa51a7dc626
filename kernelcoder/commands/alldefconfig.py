# SPDX-License-Identifier: Apache-2.0
"""Write a configuration in which every option has its default: small and free."""

from __future__ import annotations

import argparse

from kernelcoder import config, config_files, errors, paths


def arguments(parser: argparse.ArgumentParser) -> None:
    """No flags."""


def run(args: argparse.Namespace) -> int:
    """Write the configuration."""
    draft = config_files.defaults()
    config.apply_overrides(draft)
    config_files.write(draft, paths.config_file(), "alldefconfig")
    print(f"{config.display(paths.config_file())} written: every default")
    return errors.DONE
