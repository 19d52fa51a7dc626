# SPDX-License-Identifier: Apache-2.0
"""A JSON object out of a model's answer, which may be any text at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LONGEST = 64 * 1024  # characters of an answer that are looked at
_TRIED = 1024  # places in one answer at which an object may begin


def first_object(text: str) -> Mapping[str, Any] | None:
    """The first JSON object in a text, whatever stands around it; None if there is none that can
    be read (among other things: nested too deeply, numbers of too many digits)."""
    text = text[:LONGEST]
    decoder = json.JSONDecoder()
    for start in [match.start() for match in re.finditer(r"\{", text)][:_TRIED]:
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    return None


def one_line(text: str) -> str:
    """A text in one line of printable characters. JSON can spell what no prompt may hold: control
    characters, half a character of two."""
    kept = "".join(char for char in text if char.isprintable() or char.isspace())
    return " ".join(kept.split())
