# SPDX-License-Identifier: Apache-2.0
"""Machine code of Triton kernels for one device: launches as children describe them, compiled.

Triton's own compiler runs in a sandboxed child that runs no kernel (``triton_guest_aot.py``), the
assembler it brings along in the compile sandbox, as for the ahead-of-time check; here the result is
kept. What a source's children have asked for is remembered, so the next child starts with it: as
the last line of its file, a comment.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelcoder.backends import triton_launches
from kernelcoder.backends.triton_aot import Ahead
from kernelcoder.backends.triton_figures import placed
from kernelcoder.verify import leftovers, sandbox
from kernelcoder.verify.compile import _fetch
from kernelcoder.verify.python_builder import site
from kernelcoder.verify.toolchain import toolchain
from kernelcoder.verify.wants import Want

MARK = "#machine code "  # as in triton_guest_native.py
_MOST = 160  # kernels of one source
_MEMORY_MB = 4096
_HEAD = re.compile(r"^aot: (\d{1,8}) (\{[ -~]{1,8000}\})\n", re.MULTILINE)
_ENTRY = re.compile(r"\.visible \.entry (\w{1,200})\((.*?)\)", re.DOTALL)
_THREADS = re.compile(r"\.reqntid (\d{1,4})")
_CLUSTER = re.compile(r"\.(?:explicitcluster|reqnctapercluster|cluster_dim)")
_NAME = re.compile(r"c_[0-9a-f]{32}")
# name -> entry, shared bytes, threads, parameters, code in base85
Code = dict[str, list[Any]]


class Cubins:
    """Thread-safe. ``capability`` as (major, minor)."""

    def __init__(self, cache: Path, capability: tuple[int, int], seconds: int) -> None:
        number = 10 * capability[0] + capability[1]
        self._target = f"sm_{number}"
        # Triton asks for the features of one architecture from Hopper on (compiler.py).
        self._arch = self._target + ("a" if number >= 90 else "")
        self._folder, self._seconds = cache / "triton-code", seconds
        self._ahead = Ahead(cache, seconds)
        self._lock = threading.Lock()

    @property
    def target(self) -> str:
        """What it compiles for."""
        return self._arch

    def library(self, source: str) -> bytes:
        """There is none: the code is in the tail."""
        return b""

    def tail(self, source: str) -> str:
        """What is appended to a source: all that its children have asked for so far."""
        known = self._known(source)
        return f"\n{MARK}{json.dumps(known, sort_keys=True)}" if known else ""

    def add(self, source: str, wanted: Sequence[Want]) -> str | None:
        """Compile what a child wanted. None if there was nothing new to be done, "" if it is done,
        else what the compiler says."""
        known = self._known(source)
        new = [one for one in wanted if one.kind == "cubin" and _NAME.fullmatch(one.name)]
        new = [one for one in new if one.name not in known]
        if not new or len(known) + len(new) > _MOST:
            return None
        made, problem = self._compile(source, new)
        if made:
            with self._lock:
                self._remember(source, {**self._known(source), **made})
        return problem or ("" if made else None)

    def close(self) -> None:
        """End the compiling process."""
        self._ahead.close()

    def _path(self, source: str) -> Path:
        name = hashlib.sha256(f"{self._arch} {source}".encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.json"

    def _known(self, source: str) -> Code:
        path = self._path(source)
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _remember(self, source: str, code: Code) -> None:
        path = self._path(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_suffix(f".{threading.get_ident()}")
        staged.write_text(json.dumps(code))
        staged.replace(path)

    def _compile(self, source: str, wanted: Sequence[Want]) -> tuple[Code, str]:
        launches: list[str] = []
        names: list[str] = []
        for one in wanted:
            described = triton_launches.read(f"launch: {one.text}\n", source)
            if described:
                launches.append(described[0])
                names.append(one.name)
        if not launches:
            return {}, "kernel.py:0: error: a launch that cannot be described to the compiler"
        said, late = self._ahead.child(source, launches, (self._target, len(launches)))
        found: Code = {}
        problem = "compiling took too long" if late else ""
        for index, (head, text) in heads(said, self._target).items():
            if index >= len(names):
                continue
            if isinstance(head.get("error"), str):
                problem = problem or placed(head["error"], source)
                continue
            entry, trouble = self._assembled(head, text)
            if trouble:
                problem = problem or f"kernel.py:0: error: {trouble}"
            else:
                found[names[index]] = entry
        return found, problem

    def _assembled(self, head: Mapping[str, Any], text: str) -> tuple[list[Any], str]:
        """Facts and code of one kernel, or what is wrong with it."""
        entry, threads = _ENTRY.search(text), _THREADS.search(text)
        if entry is None or threads is None:
            return [], "the compiler left no kernel"
        if _CLUSTER.search(text):
            return [], "clusters of blocks are not launched on a device"
        if head.get("scratch"):
            return [], "kernels that need scratch memory are not launched on a device"
        tool = site() / "triton" / "backends" / "nvidia" / "bin"
        with tempfile.TemporaryDirectory(
            prefix=leftovers.owner(), ignore_cleanup_errors=True
        ) as work:
            job = Path(work)
            (job / "a.ptx").write_text(text)
            (job / "a.ptx").chmod(0o644)
            command = [
                "/proc/self/fd/9/ptxas",
                f"--gpu-name={self._arch}",
                "a.ptx",
                "-o",
                "a.cubin",
            ]
            outcome = sandbox.confined(
                [command], job, tool, toolchain().readable, self._seconds, _MEMORY_MB
            )
            if outcome.code != 0:
                return [], f"the assembler: {' '.join(outcome.log.split())[-300:]}"
            code = base64.b85encode(_fetch(job / "a.cubin")).decode()
        shared = head.get("shared", 0)
        return [entry[1], shared, int(threads[1]), entry[2].count(".param"), code], ""


def heads(said: str, target: str) -> dict[int, tuple[dict[str, Any], str]]:
    """Launch -> what the compiling child says of it for a target, and its text."""
    found: dict[int, tuple[dict[str, Any], str]] = {}
    at = 0
    while len(found) < _MOST and (match := _HEAD.search(said, at)):
        size = int(match[1])
        text, at = said[match.end() : match.end() + size], match.end() + size
        try:
            head = json.loads(match[2])
        except (ValueError, RecursionError):
            continue
        if head.get("target") == target and isinstance(head.get("launch"), int):
            found.setdefault(head["launch"], (head, text))
    return found
