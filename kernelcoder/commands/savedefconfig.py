# SPDX-License-Identifier: Apache-2.0
"""Write the configuration, minimal, to defconfigs/NAME."""

from __future__ import annotations

import argparse
import re

from kernelcoder import config, config_files, errors, paths


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", nargs="?", default="", help="letters, digits and dashes")
    parser.add_argument("--text", default="", help="the help line (default: the old one)")


def run(args: argparse.Namespace) -> int:
    """Write the defconfig; its help line is kept where it has one."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", args.name):
        fix = "for example make savedefconfig NAME=my-experiment HELP='what it is for'"
        raise errors.Error(f"{args.name!r} is no name for a defconfig", fix=fix)
    draft = config_files.current()
    draft.finish(config.display(paths.config_file()))
    path = paths.ROOT / "defconfigs" / args.name
    text = args.text or (config_files.help_line(path) if path.exists() else args.name)
    path.write_text(config_files.with_help(text, config_files.minimal(draft)), encoding="utf-8")
    print(f"{config.display(path)} written")
    return errors.DONE
