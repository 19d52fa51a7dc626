# SPDX-License-Identifier: Apache-2.0
"""The machine code of candidates' kernels: TTIR as their children asked for it, lowered, compiled.

What a source's children have asked for is remembered, also on disk, so that the next child of the
same source starts with all of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.backends import ttir
from kernelcoder.verify.compile import Compiler

_MOST = 160  # texts of one source
# Compiled as one text, since much of a compile is its beginning: so many, of so many characters.
_TOGETHER, _LONGEST = 8, 200_000
_REMEMBERED = 256
_PLAIN = re.compile(r"[^\w. ,:()-]")


@dataclass(frozen=True, slots=True)
class Made:
    """``library`` is a shared object, or empty; ``missing`` says why kernels have to be
    interpreted, or nothing."""

    library: bytes
    missing: str
    cpu_seconds: float = 0.0


class Kernels:
    """Thread-safe; ``folder`` keeps the texts."""

    def __init__(self, folder: Path, compiler: Compiler) -> None:
        self._folder, self._compiler = folder, compiler
        self._made: dict[str, Made] = {}
        self._lock = threading.Lock()

    def _path(self, source: str) -> Path:
        name = hashlib.sha256(source.encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.texts.json"

    def _rounds(self, source: str) -> list[list[str]]:
        """The texts asked for, as they were asked for together."""
        path = self._path(source)
        return list(json.loads(path.read_text())) if path.exists() else []

    def add(self, source: str, texts: Sequence[str]) -> bool:
        """Remember texts; whether one of them is new and there is room for it."""
        with self._lock:
            rounds = self._rounds(source)
            known = {text for one in rounds for text in one}
            new = [text for text in dict.fromkeys(texts) if text not in known]
            if not new or len(known) + len(new) > _MOST:
                return False
            path = self._path(source)
            path.parent.mkdir(parents=True, exist_ok=True)
            staged = path.with_suffix(f".{threading.get_ident()}")
            staged.write_text(json.dumps([*rounds, new]))
            staged.replace(path)
        return True

    def of(self, source: str) -> Made:
        """All that a source's children have asked for so far."""
        rounds = self._rounds(source)
        key = hashlib.sha256(json.dumps(rounds).encode()).hexdigest()
        if (known := self._made.get(key)) is None:
            known = self._make(rounds)
            with self._lock:
                if len(self._made) >= _REMEMBERED:
                    self._made.clear()
                self._made[key] = known
        return known

    def _make(self, rounds: Sequence[Sequence[str]]) -> Made:
        if not rounds:
            return Made(b"", "")
        try:
            lowered = [[ttir.lower(text).source for text in one] for one in rounds]
            sources = [_together(some) for one in lowered for some in grouped(one)]
        except ttir.Unsupported as lacking:
            return Made(b"", f"there is no lowering for {_PLAIN.sub('_', str(lacking))[:80]}")
        built = self._compiler.assemble(sources)
        if built.path is None:
            return Made(b"", f"the lowered kernel does not compile ({built.status})")
        return Made(built.path.read_bytes(), "", built.cpu_seconds)


def grouped(sources: Sequence[str]) -> list[list[str]]:
    """Sources in their order, as many together as are compiled in one go."""
    groups: list[list[str]] = []
    for source in sources:
        last = groups[-1] if groups else []
        if not last or len(last) == _TOGETHER or sum(map(len, last)) + len(source) > _LONGEST:
            groups.append([])
        groups[-1].append(source)
    return groups


def _together(sources: Sequence[str]) -> str:
    """One text of several lowered kernels, each in a namespace of its own."""
    include = f'#include "{ttir.HEADER}"'
    parts = [
        f"namespace n{index} {{\n{source.removeprefix(include)}\n}}"
        for index, source in enumerate(sources)
    ]
    return "\n".join([include, *parts, ""])
