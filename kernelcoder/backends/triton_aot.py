# SPDX-License-Identifier: Apache-2.0
"""Ahead-of-time compiles: would a device take the kernels that were launched here?

That a kernel runs without a GPU says little: sizes, registers, shared memory and names are the
compiler's business. So Triton's own compiler makes the machine code of the launches seen, for which
no GPU is needed: its part in Python in a sandboxed child (``triton_guest_aot.py``), the assembler
that it brings along in the compile sandbox. sm_90 is a gate, gfx942 a remark.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from kernelcoder.backends.triton_figures import GATE, REMARK, Found, judged, split
from kernelcoder.verify import leftovers, sandbox
from kernelcoder.verify.python_builder import PythonSlot, site
from kernelcoder.verify.python_bundle import pack
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.slots import Died, Limits, Slot, TimedOut
from kernelcoder.verify.toolchain import toolchain

_HERE = Path(__file__).parent
GUEST = _HERE / "triton_guest_aot.py"
MARK = "#launches "
_REMARKED = 2  # launches compiled for the second target
_MEMORY_MB, _TEXT_KB = 4096, 16384
_RECIPE = "1"  # part of the cache key: raise it when something else changes what is found
_ASSEMBLER = ("-v", "--regAllocOptLevel=2", "--gpu-name=sm_90a")


class Ahead:
    """Thread-safe; what was found is kept in ``cache``. ``close`` ends its process, which the next
    ``compile`` starts again."""

    targets = f"{GATE}, {REMARK}"

    def __init__(self, cache: Path, timeout_seconds: int = 30) -> None:
        self._cache, self._timeout = cache / "triton-aot", timeout_seconds
        self._slot: Slot | None = None
        self._regions: Regions | None = None
        self._lock = threading.Lock()
        digest = hashlib.sha256(f"{_RECIPE} {importlib.metadata.version('triton')}".encode())
        for path in (GUEST, *sorted((_HERE / "triton_child").glob("*.py"))):
            digest.update(path.read_bytes())
        self._key = digest.digest()

    def compile(self, source: str, launches: Sequence[str]) -> Found:
        """Compile launches (``triton_launches.read``) of a source, or look up what came of it."""
        order = self._order(launches)
        key = hashlib.sha256(self._key + source.encode() + b"\0" + order.encode()).hexdigest()
        path = self._cache / key[:2] / f"{key}.json"
        kernels = [json.loads(one)["kernel"] for one in launches]
        if path.exists():
            known = json.loads(path.read_text())
            return judged(known["said"], known["assembled"], kernels, False, self._timeout)
        with self._lock:
            said, late = self._child(source, order, key)
        texts = split(said)[1]
        assembled, slow = self._assembled(texts)
        if not late and not slow:
            path.parent.mkdir(parents=True, exist_ok=True)
            staged = path.with_suffix(f".{threading.get_ident()}")
            staged.write_text(json.dumps({"said": _heads(said), "assembled": assembled}))
            staged.replace(path)
        return judged(said, assembled, kernels, late or slow, self._timeout)

    def child(
        self, source: str, launches: Sequence[str], *targets: tuple[str, int]
    ) -> tuple[str, bool]:
        """What the compiling child says of launches for targets (so many of the launches each), and
        whether it ran out of time."""
        order = self._order(launches, *targets)
        key = hashlib.sha256(self._key + source.encode() + b"\0" + order.encode()).hexdigest()
        with self._lock:
            return self._child(source, order, key)

    def _order(self, launches: Sequence[str], *targets: tuple[str, int]) -> str:
        """One line of Python: a comment that the guest reads."""
        targets = targets or ((GATE, len(launches)), (REMARK, _REMARKED))
        asked = {"launches": [json.loads(one) for one in launches], "targets": targets}
        return MARK + json.dumps(asked, sort_keys=True)

    def _child(self, source: str, order: str, key: str) -> tuple[str, bool]:
        """What the compiling child wrote, and whether it ran out of time."""
        if self._slot is None:
            self._slot = PythonSlot(1, guest=GUEST)
        if self._regions is None:
            self._regions = Regions([Call((), (((1,), "f32"),))])
        limits = Limits(
            memory_mb=_MEMORY_MB, cpu_seconds=self._timeout + 1, threads=1, output_kb=_TEXT_KB
        )
        bundle = self._cache / f"{key}.bundle"
        bundle.parent.mkdir(parents=True, exist_ok=True)
        bundle.write_bytes(pack(f"{source}\n{order}", b""))
        try:
            child = self._slot.start(bundle, self._regions, limits)
            try:
                child.loaded(self._timeout)
                child.run(0, 1, timeout=self._timeout)
            except Died as died:
                return died.exit.stderr, False
            except TimedOut as late:
                return late.exit.stderr, True
            return child.finish().stderr, False
        finally:
            bundle.unlink(missing_ok=True)

    def _assembled(self, texts: Mapping[int, str]) -> tuple[dict[str, str], bool]:
        """Launch -> what the assembler said of its text, beginning with ok or failed; whether it
        ran out of time."""
        tool = site() / "triton" / "backends" / "nvidia" / "bin"
        found: dict[str, str] = {}
        for index, text in texts.items():
            with tempfile.TemporaryDirectory(
                prefix=leftovers.owner(), ignore_cleanup_errors=True
            ) as work:
                job = Path(work)
                (job / "a.ptx").write_text(text)
                (job / "a.ptx").chmod(0o644)
                command = ["/proc/self/fd/9/ptxas", *_ASSEMBLER, "a.ptx", "-o", "a.cubin"]
                outcome = sandbox.confined(
                    [command], job, tool, toolchain().readable, self._timeout, _MEMORY_MB
                )
            if outcome.code is None or outcome.code == 152:
                return found, True
            word = "ok" if outcome.code == 0 else "failed"
            found[str(index)] = f"{word} {outcome.log[-4000:]}"
        return found, False

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._slot is not None:
                self._slot.close()
                self._slot = None
            if self._regions is not None:
                self._regions.close()
                self._regions = None


def _heads(said: str) -> str:
    """A text without the machine code in it."""
    return "".join(f"aot: 0 {json.dumps(head)}\n\n" for head in split(said)[0])


def installed() -> bool:
    """Whether Triton's assembler is where it should be and may be run."""
    return shutil.which("ptxas", path=str(site() / "triton/backends/nvidia/bin")) is not None
