# SPDX-License-Identifier: Apache-2.0
"""The few-shot library: pairs of a right and a wrong kernel, by backend and category.

``<backend>/<category>/good_<op>.<ext>`` and ``bad_<op>.<ext>``; the first lines of a file say what
it computes and why it is right or wrong. The operators are those of ``benchmarks/fewshot``, which
no suite asks for, and the tests have the verifier judge every file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kernelcoder.records import sha256

_FOLDER = Path(__file__).resolve().parent
_SUFFIXES = (".cpp", ".cu", ".py")
_HEADER = re.compile(r"\A(?://|#) SPDX.*\n(?://|#) what: (.+)\n(?://|#) why: (.+)\n")
# Where a task's category has another name here. The order is that of the pairs in a prompt, after
# the one of the task's own category.
_FOLDERS = {"elementwise": "pointwise", "position": "geometric", "matmul": "linalg"}
CATEGORIES = (
    "reduction", "pointwise", "normalization", "linalg", "activation", "geometric", "attention",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Example:
    """A kernel; ``why`` is the one reason that it is right, or wrong."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two kernels of operator ``op``, which computes ``what``: the wrong one is the right one with
    a mistake."""

    op: str
    what: str
    good: Example
    bad: Example


def files(backend: str = "*") -> tuple[Path, ...]:
    """The kernels of a backend, or of all."""
    found = (path for path in _FOLDER.glob(f"{backend}/*/*") if path.suffix in _SUFFIXES)
    return tuple(sorted(found))


@cache
def load(backend: str, category: str) -> tuple[Pair, ...]:
    """The pairs of a category, in alphabetical order; none for a backend without a folder."""
    pairs = []
    for path in files(backend):
        if path.parent.name == category and path.name.startswith("good_"):
            what, good = _read(path)
            _, bad = _read(path.with_name(path.name.replace("good_", "bad_", 1)))
            pairs.append(Pair(path.stem.removeprefix("good_"), what, good, bad))
    return tuple(pairs)


def _read(path: Path) -> tuple[str, Example]:
    text = path.read_text(encoding="utf-8")
    match = _HEADER.match(text)
    if match is None:
        raise ValueError(f"{path}: the first lines must be SPDX, what: and why:")
    return match[1], Example(text[match.end() :], match[2])


def choose(backend: str, category: str, name: str, count: int) -> tuple[Pair, ...]:
    """``count`` pairs for a task: of its own category first, then one of each other; never one
    whose operator has the task's name."""
    own = _FOLDERS.get(category, category)
    order = (own, *(one for one in CATEGORIES if one != own))
    found = [pair for one in order for pair in load(backend, one)[:1] if pair.op != name]
    return tuple(found[:count])


def digest() -> str:
    """SHA-256 of the whole library."""
    texts = (f"{path.relative_to(_FOLDER).as_posix()}\0{path.read_text()}" for path in files())
    return sha256("\0".join(texts))
