# SPDX-License-Identifier: Apache-2.0
"""What an ahead-of-time compile found, read without trust, and what it means for a verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.records import Status

GATE, REMARK = "sm_90", "gfx942"
# Bytes of shared memory one block may have: CUDA C++ Programming Guide, technical specifications
# per compute capability; AMD Instinct MI300 instruction set architecture, LDS.
SHARED: Mapping[str, int] = {"sm_80": 166912, "sm_90": 232448, "gfx942": 65536}
_FIGURES = ("registers", "spilled", "shared", "mma", "wgmma", "unlinked")
_HEAD = re.compile(r"^aot: (\d{1,8}) (\{[ -~]{1,8000}\})\n", re.MULTILINE)
_USED = re.compile(r"Used (\d{1,4}) registers")
_SPILLED = re.compile(r"(\d{1,8}) bytes stack frame")
_PLACE = re.compile(r"at (\d{1,5}):(\d{1,4}):")
_DEFINED = re.compile(r"^def (\w{1,80})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """``problem`` is why it is not verified, or "", with its ``status``; ``lines`` are evidence,
    ``compiled`` how many kernels the gate's device takes; ``log`` what the compiler said."""

    problem: str
    status: Status
    lines: tuple[str, ...]
    compiled: int
    log: str = ""


def split(said: str) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The heads of a compiling child's text, and the gate's machine texts by launch."""
    heads: list[dict[str, Any]] = []
    texts: dict[int, str] = {}
    at = 0
    while len(heads) < 64 and (match := _HEAD.search(said, at)):
        size = int(match[1])
        text, at = said[match.end() : match.end() + size], match.end() + size
        try:
            head = json.loads(match[2])
        except (ValueError, RecursionError):
            continue
        if head.get("target") not in SHARED or not isinstance(head.get("launch"), int):
            continue
        heads.append(head)
        if head["target"] == GATE and text:
            head["wgmma"], head["mma"] = text.count("wgmma.mma_async"), text.count("mma.sync")
            texts.setdefault(head["launch"], text)
    return heads, texts


def _facts(said: str, assembled: Mapping[str, str]) -> dict[tuple[str, int], dict[str, Any]]:
    """(target, launch) -> figures, or an error."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for head in split(said)[0]:
        kept = {n: head[n] for n in _FIGURES if isinstance(head.get(n), int)}
        if isinstance(head.get("error"), str):
            kept = {"error": head["error"]}
        log = assembled.get(str(head["launch"]), "") if head["target"] == GATE else ""
        if log.startswith("failed"):
            kept = {"error": f"the assembler: {log[7:]}"}
        if used := _USED.search(log):
            kept["registers"] = int(used[1])
        if spilled := _SPILLED.search(log):
            kept["spilled"] = int(spilled[1])
        found.setdefault((head["target"], head["launch"]), kept)
    return found


def reason(error: str) -> str:
    """The last line of a compiler's message, with the line of the kernel that it means."""
    lines = [line.strip() for line in error.splitlines() if line.strip(" ^")]
    place = _PLACE.search(error)
    where = f"line {place[1]} of the kernel: " if place else ""
    return f"{where}{lines[-1] if lines else 'no reason given'}"[:300]


def placed(error: str, source: str) -> str:
    """A compiler's message with the line of the candidate's file first, as g++ would say it."""
    place, name = _PLACE.search(error), _DEFINED.search(error)
    line = 0
    for number, text in enumerate(source.splitlines(), 1):
        if place and name and re.match(rf"\s*def\s+{name[1]}\s*\(", text):
            line = number + int(place[1]) - 1
    lines = [one.strip() for one in error.splitlines() if one.strip(" ^")]
    return f"kernel.py:{line}: error: {lines[-1] if lines else 'no reason given'}\n{error}"


def judged(
    said: str, assembled: Mapping[str, str], kernels: Sequence[str], late: bool, seconds: int
) -> Found:
    """What a compiling child's text means, with the assembler's; ``kernels`` are the launches'
    names."""
    facts = _facts(said, assembled)
    right = {place: one for place, one in facts.items() if "error" not in one}
    lines = tuple(
        dict.fromkeys(
            _line(kernels[index], target, one)
            for (target, index), one in right.items()
            if index < len(kernels)
        )
    )
    done = sum(target == GATE for target, _ in right)
    for index, kernel in enumerate(kernels):
        one = facts.get((GATE, index))
        what = f"compiling kernel {kernel} for {GATE}"
        if one is not None and "unlinked" in one:
            lines += (f"{what} was not finished: its libraries cannot be read in the sandbox",)
            continue
        if one is None or (late and str(index) not in assembled and "error" not in one):
            if late:
                return Found(f"{what} took longer than {seconds} s", "timeout", lines, done)
            return Found(f"{what} failed", "compile_error", lines, done, said[-3000:])
        if "error" in one:
            problem = f"kernel {kernel} does not compile for {GATE}: {reason(one['error'])}"
            return Found(problem, "compile_error", lines, done, one["error"])
        if one.get("shared", 0) > SHARED[GATE]:
            need = f"needs {one['shared']} bytes of shared memory, {GATE} has {SHARED[GATE]}"
            return Found(f"kernel {kernel} {need}", "runtime_error", lines, done)
    others = [i for (t, i), one in facts.items() if t == REMARK and "error" in one]
    if others and others[0] < len(kernels):
        lines += (f"kernel {kernels[others[0]]} does not compile for {REMARK}",)
    return Found("", "verified", lines, done)


def _line(kernel: str, target: str, one: Mapping[str, int]) -> str:
    named = (
        ("registers", "registers"), ("spilled", "bytes of stack per thread"),
        ("shared", "bytes of shared memory"), ("wgmma", "wgmma"), ("mma", "mma"),
    )  # fmt: skip
    parts = [f"{one[key]} {text}" for key, text in named if one.get(key)]
    over = " (more than it has)" if one.get("shared", 0) > SHARED[target] else ""
    return f"{kernel} for {target}: {', '.join(parts) or 'it compiles'}{over}"
