# SPDX-License-Identifier: Apache-2.0
"""The cache of compiled objects is bounded, and never loses what is in use."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from kernelcoder.verify import shelf
from kernelcoder.verify.compile import Compiler
from kernelcoder.verify.shelf import Shelf
from kernelcoder.verify.stream import KINDS

HOUR = 3600.0


def put(folder: Path, name: str, size: int, hours: float) -> Path:
    """A file last used so many hours ago."""
    path = folder / name[:1] / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    when = time.time() - hours * HOUR
    os.utime(path, (when, when))
    return path


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    files = [put(tmp_path, f"{n}.so", 1000, hours=10 - n) for n in range(10)]
    assert Shelf(tmp_path, limit=10_000).clear_out() == 0
    assert Shelf(tmp_path, limit=9_000).clear_out() == 3  # to 80 %
    assert [path.exists() for path in files] == [False] * 3 + [True] * 7


def test_a_use_counts(tmp_path: Path) -> None:
    old, new = put(tmp_path, "a.so", 1000, 9), put(tmp_path, "b.so", 1000, 5)
    both = Shelf(tmp_path, limit=1500)
    assert both.has(old) and not both.has(tmp_path / "none")
    assert both.clear_out() == 1
    assert old.exists() and not new.exists()


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    files = [put(tmp_path, f"{n}.so", 1000, hours=0.01) for n in range(5)]
    assert Shelf(tmp_path, limit=1000).clear_out() == 0
    assert all(path.exists() for path in files)


def test_it_looks_now_and_then(tmp_path: Path) -> None:
    put(tmp_path, "a.so", 1000, 9)
    one = Shelf(tmp_path, limit=500)
    one.added()  # the first addition of a process looks
    assert not list(tmp_path.rglob("*.so"))
    late = put(tmp_path, "b.so", 1000, 9)
    for _ in range(shelf._EVERY - 1):
        one.added()
    assert late.exists()
    one.added()
    assert not late.exists()


def test_a_removed_object_is_built_again_under_readers(tmp_path: Path) -> None:
    """Files vanish while others look them up: every build still gives a file or a fresh one."""
    compiler = Compiler(tmp_path)
    source = KINDS[0].source(0)
    first = compiler.build(source)
    assert first.path is not None
    over = threading.Event()

    def remove() -> None:
        while not over.is_set():
            put(tmp_path / "objects", "z.so", 10, 9)
            Shelf(tmp_path / "objects", limit=1, recent=-HOUR).clear_out()

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        built = [compiler.build(source)]
        while built[-1].cached and len(built) < 5000:
            built.append(compiler.build(source))
    finally:
        over.set()
        thread.join()
    assert all(one.ok for one in built)
    assert not built[-1].cached
