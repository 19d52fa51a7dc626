# SPDX-License-Identifier: Apache-2.0
"""List the options the configuration does not know yet, with their defaults."""

from __future__ import annotations

import argparse

from kernelcoder import config, config_files, errors, paths


def arguments(parser: argparse.ArgumentParser) -> None:
    """No flags."""


def run(args: argparse.Namespace) -> int:
    """Print one line per new option."""
    for name in config_files.new(paths.config_file()):
        option = config.options()[name]
        print(f"CONFIG_{name}={config.show(option.default)}  # {option.prompt}")
    return errors.DONE
