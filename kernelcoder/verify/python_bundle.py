# SPDX-License-Identifier: Apache-2.0
"""Python candidates as one file: the candidate's own shared object (if any), its source, a footer.

A loader of shared objects does not look at what follows them, so the slot's child opens the sealed
copy of this file as a library and reads the source from its end.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

MAGIC = b"KCpybndl"
CPP = "CPP"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a source says without being run: ``cpp`` is its own C++ or "", ``problem`` why it
    cannot be a candidate, as a compiler would say it."""

    cpp: str
    problem: str


def pack(source: str, library: bytes) -> bytes:
    """The bundle's bytes: library, source, its length in bytes (8, little-endian), a mark (8)."""
    text = source.encode()
    return library + text + len(text).to_bytes(8, "little") + MAGIC


def unpack(data: bytes) -> str:
    """The source of a bundle of ours; ``ValueError`` for anything else."""
    size = int.from_bytes(data[-16:-8], "little")
    if data[-8:] != MAGIC or size > len(data) - 16:
        raise ValueError("this is no bundle")
    return data[-16 - size : -16].decode()


def parse(source: str) -> Parsed:
    """Find ``CPP`` and ``kernel`` without running anything.

    The parser of CPython bounds its own depth, so that no source can exhaust our stack."""
    try:
        tree = ast.parse(source, "kernel.py")
    except SyntaxError as error:
        return Parsed("", f"kernel.py:{error.lineno or 0}: error: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Parsed("", f"kernel.py:0: error: {type(error).__name__}: too deep or too large")
    problem = "" if _defines(tree, "kernel") else "kernel.py:0: error: no function `kernel`"
    return Parsed(_constant(tree, CPP), problem)


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name for alias in node.names]
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _defines(tree: ast.Module, name: str) -> bool:
    """Whether the name is bound anywhere at module level, also inside ``if`` and ``with``."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop()
        if name in _names(node):
            return True
        for field in ("body", "orelse", "finalbody"):
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
                pending += getattr(node, field, [])
    return False


def _constant(tree: ast.Module, name: str) -> str:
    """The string a module-level ``name = "..."`` assigns, the last one if there are several."""
    found = ""
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and name in _names(node):
            value = node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found = value.value
    return found
