# SPDX-License-Identifier: Apache-2.0
"""Flags shared by the commands that work on cells."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """``--config``, ``--only`` and ``--shard``."""
    parser.add_argument("--config", metavar="FILE", help="configuration (default: .config)")
    parser.add_argument("--only", metavar="GLOB", default="", help="matching cells only")
    parser.add_argument("--shard", metavar="I/N", default="", help="the I-th of N parts")
