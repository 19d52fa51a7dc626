# SPDX-License-Identifier: Apache-2.0
"""One sentence about a make variable nobody reads: NAME KNOWN...; called by the Makefile."""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def sentence(name: str, known: list[str]) -> str:
    """What is wrong and the nearest right spelling, among make's variables and all options."""
    files = [_ROOT / "Kconfig", *_ROOT.glob("*/Kconfig"), *_ROOT.glob("*/*/Kconfig")]
    symbols = {s for f in files for s in re.findall(r"^config (\w+)$", f.read_text(), re.MULTILINE)}
    if name.upper() in symbols:
        return f"unknown make variable {name}: options are written CONFIG_{name.upper()}=..."
    upper = {word.upper(): word for word in [*known, *(f"CONFIG_{s}" for s in symbols)]}
    upper |= {symbol: f"CONFIG_{symbol}" for symbol in symbols - upper.keys()}
    near = difflib.get_close_matches(name.upper(), upper, n=1)
    hint = f"did you mean {upper[near[0]]}?" if near else "make help lists them"
    return f"unknown make variable {name}: {hint}"


if __name__ == "__main__":
    sys.stdout.write(sentence(sys.argv[1], sys.argv[2:]) + "\n")
