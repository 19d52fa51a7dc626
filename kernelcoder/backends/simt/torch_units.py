# SPDX-License-Identifier: Apache-2.0
"""From what ``load_inline`` was given to the texts that are compiled: two translation units, as
PyTorch makes them (torch/utils/cpp_extension.py), against headers of ours.

Everything in a request is a hostile child's; each name that would stand in C++ outside of the
candidate's own text is checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from kernelcoder.backends.simt.cuda_guards import check
from kernelcoder.backends.simt.cuda_rewrite import rewrite
from kernelcoder.backends.simt.metal_compile import place

_NAME = re.compile(r"(?:[A-Za-z_]\w{0,99}::){0,4}[A-Za-z_]\w{0,99}", re.ASCII)
_MACRO = re.compile(r"-D([A-Za-z_]\w{0,99})(?:=([\w.+-]{0,99}))?", re.ASCII)
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"][^\n]*$", re.MULTILINE)
_MODULE = re.compile(r"\bPYBIND11_MODULE\b")
# Appended for a guard that looks at whole candidates: a part may lack what they have.
_WHOLE = "\n__global__ void kernel();\n"


class BadRequest(ValueError):
    """Why a request cannot be built, as a compiler would say it: ``kernel.py:LINE: error: ...``."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a child asked for: sources, the functions to bind, macros of either unit."""

    cpp: tuple[str, ...]
    cuda: tuple[str, ...]
    functions: tuple[str, ...]
    flags: tuple[tuple[str, ...], tuple[str, ...]]


def symbol(request: str) -> str:
    """The name of the compiled entry. The child computes the same."""
    return "torch_" + hashlib.sha256(request.encode()).hexdigest()[:32]


def parse(request: str) -> Request:
    """Check and take apart what cuda_child/extension.py writes; raises BadRequest."""
    try:
        found = json.loads(request)
        lists = [found["cpp"], found["cuda"], found["functions"], *found["flags"]]
    except (ValueError, TypeError, KeyError, RecursionError) as fault:
        raise BadRequest("kernel.py:0: error: load_inline: this is no request") from fault
    if len(lists) != 5 or any(type(part) is not list for part in lists):
        raise BadRequest("kernel.py:0: error: load_inline: sources are lists of strings")
    cpp, cuda, functions, one, two = (tuple(map(str, part)) for part in lists)
    for name in functions:
        if not _NAME.fullmatch(name):
            raise BadRequest("kernel.py:0: error: load_inline: a function's name is no name")
    if not functions and not any(_MODULE.search(text) for text in (*cpp, *cuda)):
        text = "load_inline: neither functions= nor PYBIND11_MODULE says what Python can call"
        raise BadRequest(f"kernel.py:0: error: {text}")
    return Request(cpp, cuda, functions, (one, two))


def refusal(source: str, request: Request) -> str:
    """Why its texts are not taken, or ""."""
    for text in (*request.cpp, *request.cuda):
        found = check(text + _WHOLE) if text.strip() else None
        if found is not None:
            at = place(source, text)
            told = found.line and at.file == "kernel.py"
            return f"line {at.line + found.line - 1}: {found.reason}" if told else found.reason
    return ""


def units(source: str, text: str, apart: bool) -> list[str]:
    """The C++ of one request, with the lines of the candidate's file where they can be told. What
    it defines goes ``apart`` into a namespace of its own where a candidate has several extensions:
    they may use the same names. Raises BadRequest."""
    request, entry = parse(text), symbol(text)
    room = f"in_{entry}" if apart else ""
    cpp = [_placed(source, one, one) for one in request.cpp]
    cuda = [_placed(source, one, _rewritten(source, one)) for one in request.cuda]
    bound = [f'm.def("{name.rpartition("::")[2]}", &{name});' for name in request.functions]
    if bound:
        module = f"PYBIND11_MODULE(extension, m) {{ {' '.join(bound)} }}"
        cpp.append(f'\n#line 1 "kernel.cpp"\n{module}\n')
    both = [(cpp, request.flags[0]), (cuda, request.flags[1])]
    return [_unit(entry, parts, flags, room) for parts, flags in both if "".join(parts).strip()]


def _unit(entry: str, parts: list[str], flags: tuple[str, ...], room: str) -> str:
    macros = [found for flag in flags if (found := _MACRO.fullmatch(flag))]
    lines = [f"#define SIMT_SYMBOL {entry}"]
    lines += [f"#define {found[1]} {found[2] if found[2] is not None else 1}" for found in macros]
    body = "\n".join(parts)
    lines.append("#include <torch/extension.h>")
    if room:
        lines += [match[0] for match in _INCLUDE.finditer(body)]
        body = _INCLUDE.sub("", body)
        lines.append(f"namespace {room} {{")
    return "\n".join([*lines, body, *(["}"] if room else []), ""])


def _placed(source: str, text: str, shown: str) -> str:
    at = place(source, text)
    return f'\n#line {at.line} "{at.file}"\n{shown}'


def _rewritten(source: str, text: str) -> str:
    ready = rewrite(text)
    if not ready.problem:
        return ready.text
    line, _, problem = ready.problem.removeprefix("line ").partition(": ")
    at = place(source, text)
    shifted = at.line + int(line) - 1 if line.isdigit() else 0
    raise BadRequest(f"{at.file}:{shifted}: error: {problem}")
