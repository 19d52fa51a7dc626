# SPDX-License-Identifier: Apache-2.0
"""Choose methods, models, backends and suites in a menu."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys

from kernelcoder import errors, paths

_OTHERWISE = (
    "make list-defconfigs shows ready ones, make defconfig-<name> takes one, "
    "make CONFIG_X=v target sets one option"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--gui", action="store_true", help="in a window instead of the terminal")


def run(args: argparse.Namespace) -> int:
    """Become Kconfiglib's menu; it writes the configuration itself."""
    if args.gui:
        if sys.platform == "linux" and not os.environ.get("DISPLAY"):
            raise errors.CannotRun("guiconfig needs a display (DISPLAY is not set)", fix=_OTHERWISE)
        if importlib.util.find_spec("tkinter") is None:
            raise errors.CannotRun("guiconfig needs Python's tkinter package", fix=_OTHERWISE)
    elif not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise errors.CannotRun("menuconfig needs a terminal", fix=_OTHERWISE)
    environment = menu_environment()
    os.chdir(paths.ROOT)
    module = "guiconfig" if args.gui else "menuconfig"
    os.execve(sys.executable, [sys.executable, "-m", module, "Kconfig"], environment)


def menu_environment() -> dict[str, str]:
    """What Kconfiglib reads: where to write, the header of what it writes, the kernel's colors."""
    from kernelcoder.config import HEADER

    target = paths.config_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "KCONFIG_CONFIG": str(target), "KCONFIG_CONFIG_HEADER": HEADER}
    environment.setdefault("MENUCONFIG_STYLE", "aquatic")
    return environment
