# SPDX-License-Identifier: Apache-2.0
"""The templates as text: ``$name`` marks what is filled in (``string.Template``)."""

from __future__ import annotations

from pathlib import Path
from string import Template

from kernelcoder.records import sha256

_FOLDER = Path(__file__).resolve().parent
_TEXT = {
    path.relative_to(_FOLDER).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(_FOLDER.rglob("*.md"))
}

DIGEST: str = sha256("\0".join(f"{name}\0{text}" for name, text in _TEXT.items()))


def fill(name: str, /, **values: object) -> str:
    """Template ``name`` with every ``$word`` replaced once; a missing or left-over word raises
    ``KeyError``. Filled-in text is not searched again, so sources may hold dollar signs."""
    return Template(_TEXT[name]).substitute(values).strip("\n")
