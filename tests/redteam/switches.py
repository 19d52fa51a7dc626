# SPDX-License-Identifier: Apache-2.0
"""Takes single defenses of the verifier away. Only tests can: production code has no switch.

Each switch replaces one function, constant or line of native source, and leaves everything else.
"""

from __future__ import annotations

import dataclasses
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kernelcoder.verify import (
    VerifyOptions,
    arena,
    census,
    child,
    exam,
    guards,
    judging,
    properties,
    python_builder,
    refresh,
    regions,
    sandbox,
    slots,
    symbols,
    totals,
    watched,
)
from kernelcoder.verify.builder import NativeBuilder


class Workbench:
    """What switches act on: the patcher, a folder, the layers to skip, the options to judge with,
    and edits of the native sources as (file, old, new)."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, options: VerifyOptions) -> None:
        self.patch, self.folder, self.options = patch, folder, options
        self.skip: list[str] = []
        self.edits: list[tuple[str, str, str]] = []

    def take_away(self, name: str) -> None:
        """Switch one defense off."""
        SWITCHES[name](self)

    def apply(self) -> None:
        """Let the collected layers and edits take effect."""
        if self.skip:
            made = partial(slots.Slot, tuple(self.skip))
            self.patch.setattr(
                NativeBuilder, "slot", lambda builder: made(threads=builder._threads)
            )
        if self.edits:
            self._edit()

    def _edit(self) -> None:
        """Build the native helpers from edited sources, in a folder of the test's own."""
        self.folder.mkdir(exist_ok=True)
        native = self.folder / "native-sources"
        shutil.rmtree(native, ignore_errors=True)
        shutil.copytree(sandbox.NATIVE, native)
        for name, old, new in self.edits:
            path = native / name
            text = path.read_text()
            assert text.count(old) == 1, f"{name} no longer holds {old!r} once"
            path.write_text(text.replace(old, new))
        cache = self.folder / "native-cache"
        self.patch.setattr(sandbox, "NATIVE", native)
        self.patch.setattr(sandbox.paths, "cache", lambda: cache)
        sandbox.helper.cache_clear()


def _constant(module: object, name: str, value: object) -> Callable[[Workbench], None]:
    return lambda bench: bench.patch.setattr(module, name, value)


def _layer(name: str) -> Callable[[Workbench], None]:
    return lambda bench: bench.skip.append(name)


def _native(name: str, old: str, new: str = "") -> Callable[[Workbench], None]:
    return lambda bench: bench.edits.append((name, old, new))


def _options(**changes: object) -> Callable[[Workbench], None]:
    def change(bench: Workbench) -> None:
        bench.options = dataclasses.replace(bench.options, **changes)

    return change


def _not_poisoned(bench: Workbench) -> None:
    """Outputs keep what they held; the bytes around them still count as untouched."""
    bench.patch.setattr(regions.Regions, "poison", lambda self, byte, calls=None: None)
    bench.patch.setattr(regions.Regions, "canaries_intact", lambda self, calls: True)


def _one_edge(late: bool) -> Callable[[Workbench], None]:
    """All calls have their tensors at the same edge of a page."""
    made = exam._call
    return lambda bench: bench.patch.setattr(
        exam, "_call", lambda sheet, index, _: made(sheet, index, late)
    )


def _one_pass(bench: Workbench) -> None:
    """Hidden cases run once. The native look expects two runs, so it is not asked."""

    def holdouts(self: judging.Judge) -> bool:
        cases = range(self.sheet.visible, len(self.sheet.cases))
        self._run(cases, [(0, judging.POISONS[0])])
        return self._doubt(cases, 0)

    bench.patch.setattr(judging.Judge, "holdouts", holdouts)
    bench.patch.setattr(judging.Judge, "_repeat", lambda self, cases, wrong: ())


def _kept_gaps(bench: Workbench) -> None:
    """Between candidates outputs are poisoned, but no memory is given back."""
    bench.patch.setattr(regions.Regions, "scrub", lambda self: self._poison_again())


def _plain_windows(bench: Workbench) -> None:
    """Timed inputs are windows of one pool, scaled and shifted."""

    def refreshed(self: refresh.Bench) -> None:
        for call in range(self.count):
            for index, pool in enumerate(self._pools):
                target = self.regions.input(call, index)
                target.copy_(self._window(pool, target) * random.uniform(0.9, 1.1))

    bench.patch.setattr(refresh.Bench, "refresh", refreshed)


def _not_frozen(bench: Workbench) -> None:
    """A child may go on for a while after it said that it is done, before its output is read."""
    froze = child.Child._freeze

    def freeze(self: child.Child, timeout: float) -> None:
        time.sleep(0.25)  # plenty, also for threads on a busy machine
        froze(self, timeout)

    bench.patch.setattr(child.Child, "_freeze", freeze)


def _bare_compiler(bench: Workbench) -> None:
    """Compilers run as we do, with our rights."""

    def confined(
        commands: list[list[str]], directory: Path, include: Path, *_: object
    ) -> sandbox.Outcome:
        for command in commands:
            argv = [part.replace("/proc/self/fd/9", str(include)) for part in command]
            done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False)
            if done.returncode:
                break
        return sandbox.Outcome(done.returncode, done.stderr, 0.0, 0.0)

    bench.patch.setattr(sandbox, "confined", confined)


SWITCHES: dict[str, Callable[[Workbench], None]] = {
    "poison": _not_poisoned,
    "poison-ordinary": _constant(judging, "POISONS", (0xFF, 0xFF)),
    "poison-nan": _constant(judging, "POISONS", (0x3C, 0x3C)),
    "canaries": _constant(regions.Regions, "canaries_intact", lambda self, calls: True),
    "guard-after": _one_edge(late=False),
    "guard-before": _one_edge(late=True),
    "fault-handlers": _native(
        "seccomp.c",
        "  equal(&f, SIGSEGV, 1);\n  give(&f, REFUSE);\n",
    ),
    "seal": _constant(regions, "_SEAL_FUTURE_WRITE", 0),
    "hidden-cases": _constant(judging.Judge, "holdouts", lambda self: True),
    "two-edges": _one_pass,
    "properties": _constant(properties, "broken", lambda *_: None),
    "float-mode": _native("child.c", "  if (float_mode() != self.mode) _exit(KC_EXIT_MODE);\n"),
    "scrub": _kept_gaps,
    "fresh-inputs": _constant(refresh.Bench, "refresh", lambda self: None),
    "mixture": _plain_windows,
    "spot-checks": _constant(refresh.Bench, "wrong", lambda self, check: ""),
    "roofline": _constant(totals, "IMPOSSIBLE", {"hot": 1e9, "cold": 1e9}),
    "wild-rounds": _constant(arena.Arena, "wild_round", lambda self, rng: None),
    "freeze": _not_frozen,
    "guard": _constant(guards, "check", lambda source: None),
    "audit": _constant(symbols, "audit", lambda *_, **__: symbols.Audit(None, "", 0)),
    "compile-sandbox": _bare_compiler,
    "seccomp": _layer("seccomp"),
    "landlock": _layer("landlock"),
    "uid": _layer("uid"),
    "address-space": _native("calls.c", "  kc_limit(RLIMIT_AS, space, space);\n"),
    "output-limit": _native(
        "calls.c", "  kc_limit(RLIMIT_FSIZE, job->output_bytes, job->output_bytes);\n"
    ),
    "no-threads": _native("seccomp.c", "  if (threads <= 1) when(", "  if (threads < 1) when("),
    "no-processes": _layer("seccomp"),
    "census": _constant(python_builder, "decide", lambda *_, **__: census.Finding()),
    "watcher": _constant(watched.Watcher, "follow", lambda *_: None),
    "library-policy": _options(library="allowed"),
}
