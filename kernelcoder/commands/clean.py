# SPDX-License-Identifier: Apache-2.0
"""Delete caches; with --config also the configuration. Results are never deleted."""

from __future__ import annotations

import argparse
import shutil

from kernelcoder import errors, paths

_CACHES = (".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "build")
_ROOMS = ("kernelcoder", "benchmarks", "scripts", "tests")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--config", action="store_true", help="also .config and .config.old")


def run(args: argparse.Namespace) -> int:
    """Remove what can be made again. Ledgers, replies and reports cost money and stay."""
    doomed = [paths.cache(), *(paths.ROOT / name for name in _CACHES)]
    for room in _ROOMS:
        doomed += (paths.ROOT / room).rglob("__pycache__")
    for path in doomed:
        shutil.rmtree(path, ignore_errors=True)
    if args.config:
        target = paths.config_file()
        target.unlink(missing_ok=True)
        target.with_name(target.name + ".old").unlink(missing_ok=True)
    return errors.DONE
