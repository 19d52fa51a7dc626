# SPDX-License-Identifier: Apache-2.0
"""Free text made harmless before it is shown.

Reasons, logs, notes and sources come from compilers, servers and candidates: they may pretend to be
part of the report. Control and format characters (line separators, zero-width, text direction) are
made visible, and every medium has its own escape. Nothing quoted is ever read as a claim.
"""

from __future__ import annotations

import html
import json
import unicodedata
from typing import Any


def visible(text: str, multiline: bool = False) -> str:
    """Text whose control, format, separator and private characters are spelled ``\\u{200b}``.
    Newlines and tabs stay if ``multiline``, else they become a space."""
    out = []
    for char in text:
        if char in "\n\t":
            out.append(char if multiline else " ")
        elif char == " " or not _invisible(char):
            out.append(char)
        else:
            out.append(f"\\u{{{ord(char):x}}}")
    return "".join(out)


def _invisible(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")


def short(text: str, limit: int = 160) -> str:
    """One visible line of at most ``limit`` characters."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 3] + "..."


def esc(text: object) -> str:
    """Text for HTML content and for double-quoted attributes."""
    return html.escape(visible(str(text), multiline=True), quote=True)


def evidence(text: str, limit: int = 240) -> str:
    """Free text as an HTML quotation that says where it comes from by its class alone."""
    return f'<q class="evidence">{esc(short(text, limit))}</q>'


def code_span(text: str, limit: int = 160) -> str:
    """Free text as one Markdown code span that cannot end early or leave its table cell."""
    line = short(text, limit).replace("`", "'").replace("|", "\\|")
    return f"`{line or ' '}`"


def script_json(data: Any) -> str:
    """JSON for a ``<script type="application/json">`` block: no character of it can end the block,
    open a comment, or start an entity; the parsed value is the same."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
