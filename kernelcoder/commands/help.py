# SPDX-License-Identifier: Apache-2.0
"""Show the make targets, the settings of the command line and where to start."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from kernelcoder import errors, paths

_TARGET = re.compile(r"^([a-z$%][^:]*):.*?## (\* )?(?:\[(.*?)\] )?(.*)$")
_STARTS = 6


def arguments(parser: argparse.ArgumentParser) -> None:
    """No flags."""


def run(args: argparse.Namespace) -> int:
    """Print the help. The sentences stand beside their rules in the Makefile."""
    print("\n".join(text()))
    return errors.DONE


def text() -> Iterator[str]:
    """The lines of ``make help``, taken from the Makefile and the defconfigs."""
    first = True
    for line in (paths.ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            if not first and line.endswith(":"):
                yield ""
            first = False
            yield line[3:]
        elif line.startswith("##   "):
            yield line[2:]
        elif match := _TARGET.match(line):
            names, star, shown, sentence = match.groups()
            yield f"{star or '  '}{shown or names:<18} - {sentence}"
    yield ""
    yield "Starting points (list-defconfigs shows all):"
    yield from _starting_points()


def _starting_points() -> Iterator[str]:
    found = []
    for path in sorted((paths.ROOT / "defconfigs").iterdir()):
        if path.is_file():
            first = path.read_text(encoding="utf-8").partition("\n")[0]
            found.append((path.name, first.removeprefix("# Help: ")))
    # What is free comes first: a newcomer should be able to take the first line without a key.
    found.sort(key=lambda item: (item[0] != "smoke", not item[0].startswith("cpu"), item[0]))
    for name, sentence in found[:_STARTS]:
        yield f"  {'defconfig-' + name:<25} - {sentence}"
