# SPDX-License-Identifier: Apache-2.0
"""Rules that need no judge: those that are nothing but a demand for, or against, a piece of code.

``Use `x`.`` is checked by looking for ``x`` in the code outside of comments. ``Prefer `NAME =
VALUE`.`` is checked against the parameters that a generated kernel states in its first line. A rule
with a condition (when, in, unless) means more than that and stays with the judge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

Check = Callable[[str], "str | None"]  # source -> yes, no, n/a; None if it cannot tell

_FORM = re.compile(
    r"^(?P<verb>use|prefer|call|avoid|never use|do not use|don't use)\s+`(?P<code>[^`]+)`"
    r"(?:,? (?:because|since|as it|as they|so that) [^`]*)?\.?$",
    re.IGNORECASE,
)
_SETTING = re.compile(r"^(\w+) = (.+)$")
_STATED = re.compile(r"^(?://|#) recipe: \w+ (\{.*\})\s*$", re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_HASH = re.compile(r"^\s*#(?!\s*(?:include|pragma|define|if|ifdef|ifndef|else|elif|endif))[^\n]*")


def compiled(text: str) -> Check | None:
    """The check of a rule, None if it takes a reader."""
    match = _FORM.match(text.strip())
    if match is None or not match["code"].strip():
        return None
    wanted = match["verb"].lower() in ("use", "prefer", "call")
    code = " ".join(match["code"].split())
    setting = _SETTING.match(code)
    if setting:
        return lambda source: _stated(source, setting[1], setting[2], wanted)
    return lambda source: _found(source, code, wanted)


def _stated(source: str, name: str, value: str, wanted: bool) -> str | None:
    line = _STATED.search(source)
    if line is None:
        return None
    try:
        parameters = json.loads(line[1])
    except json.JSONDecodeError:
        return None
    if not isinstance(parameters, dict):
        return None
    if name not in parameters:
        return "n/a"
    own = parameters[name]
    spelled = own if isinstance(own, str) else json.dumps(own)
    return "yes" if (spelled == value) == wanted else "no"


def _found(source: str, code: str, wanted: bool) -> str:
    bare = _COMMENT.sub(" ", source)
    bare = "\n".join(_HASH.sub("", line) for line in bare.splitlines())
    edges = (r"\b" if code[0].isalnum() else "", r"\b" if code[-1].isalnum() else "")
    inside = re.escape(code).replace(r"\ ", r"\s+")
    return "yes" if bool(re.search(edges[0] + inside + edges[1], bare)) == wanted else "no"
