# SPDX-License-Identifier: Apache-2.0
"""Look at this machine: tools, sandbox, backends, models; says what cannot run and why.

Exit code 0, or 3 if no backend can run here. Keys are named, never shown.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from kernelcoder import config, errors, paths, registry

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: ``state`` is ok, no (lacking, but the lab can run) or bad (it cannot)."""

    part: str
    name: str
    state: str
    text: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare flags."""
    parser.add_argument("--json", action="store_true", help="one JSON object per line")


def run(args: argparse.Namespace) -> int:
    """Print every finding as it is made."""
    worst = errors.DONE
    part = ""
    for finding in findings():
        if args.json:
            _print_json(finding)
        else:
            if finding.part != part:
                part = finding.part
                print(f"{part}:")
            mark = {"ok": "ok ", "no": "-  ", "bad": "BAD"}[finding.state]
            print(f"  {mark} {finding.name:<18} {finding.text}", flush=True)
        if finding.state == "bad":
            worst = errors.CANNOT_RUN
    if not args.json:
        print("make bench can run here" if worst == errors.DONE else "make bench cannot run here")
    return worst


def _print_json(finding: Finding) -> None:
    import dataclasses
    import json

    print(json.dumps(dataclasses.asdict(finding)), flush=True)


def findings() -> Iterator[Finding]:
    """All of them, cheap ones first."""
    yield from machine()
    yield from tools()
    yield from backends()
    yield from sandbox()
    yield from models()


def machine() -> Iterator[Finding]:
    """Processor, memory, disk, interpreter."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("machine", "system", "ok", f"{platform.system()} {platform.release()}")
    yield Finding("machine", "cores", "ok", f"{cores} ({platform.machine()})")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    state = "ok" if memory >= 2 * _GIB else "no"
    yield Finding("machine", "memory", state, f"{memory / _GIB:.1f} GiB (the smallest used: 2)")
    free = shutil.disk_usage(paths.ROOT).free
    yield Finding("machine", "disk", "ok" if free > _GIB else "no", f"{free / _GIB:.1f} GiB free")
    fits = sys.version_info >= (3, 11)
    text = f"{platform.python_version()} (needs 3.11)"
    yield Finding("machine", "python", "ok" if fits else "bad", text)


def tools() -> Iterator[Finding]:
    """Programs and Python packages."""
    for name in ("g++", "ld", "make", "git"):
        where = shutil.which(name)
        needed = "bad" if name in ("g++", "ld") else "no"
        text = _version(where) if where else "not found"
        yield Finding("tools", name, "ok" if where else needed, text)
    for name in ("torch", "numpy", "kconfiglib", "rich", "openai", "xllamacpp", "litellm"):
        try:
            yield Finding("tools", name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            needed = "bad" if name in ("torch", "kconfiglib") else "no"
            yield Finding("tools", name, needed, "not installed")


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0] or program


def backends() -> Iterator[Finding]:
    """What each backend says of this machine. One that can run is enough."""
    found = []
    for member in registry.members("BACKEND", config.options()):
        probe = registry.module("BACKEND", member).probe()
        found.append(probe.mode)
        text = f"{probe.mode}: {probe.reason}" if probe.mode else probe.reason
        yield Finding("backends", member, "ok" if probe.mode else "no", text)
    if not any(found):
        yield Finding("backends", "any", "bad", "no backend can run on this machine")


def sandbox() -> Iterator[Finding]:
    """The layers that hold, tried by attacking them, and the compiler, tried by compiling."""
    from kernelcoder.verify import isolation

    try:
        report = isolation.probe()
        yield Finding("sandbox", "level", "ok", report.level)
        for layer in report.layers:
            state = "ok" if layer.holds else "no"
            text = f"{'stops' if layer.holds else 'so not stopped here'}: {layer.stops}"
            yield Finding("sandbox", layer.name, state, f"L{layer.rung}: {layer.reason}; {text}")
        yield from _compiles()
        yield from _compiler_obeys()
        yield from _python_slot()
    except errors.CannotRun as error:
        yield Finding("sandbox", "level", "bad", error.what)


def _compiles() -> Iterator[Finding]:
    from kernelcoder.verify.compile import Compiler

    compiler = Compiler(paths.cache(), use_cache=False)
    source = '#include <kernelcoder.h>\nextern "C" void kernel(const DLTensor *, DLTensor *) {}\n'
    compiler.build(source)  # the first one makes the precompiled header
    start = time.monotonic()
    built = compiler.build(source)
    text = f"{built.status}, {built.cpu_seconds * 1000:.0f} ms CPU"
    text += f", {(time.monotonic() - start) * 1000:.0f} ms wall, {compiler.version}"
    yield Finding("sandbox", "compile", "ok" if built.ok else "bad", text)
    leak = compiler.build('#include "/etc/passwd"\n')
    shut = not leak.ok and "ermission denied" in leak.log
    text = "the compiler cannot read files outside" if shut else "the compiler can read any file"
    yield Finding("sandbox", "compile files", "ok" if shut else "no", text)


def _compiler_obeys() -> Iterator[Finding]:
    """Commands in place of the compiler, as if a source had taken it over."""
    import tempfile
    from pathlib import Path

    from kernelcoder.verify import sandbox
    from kernelcoder.verify.toolchain import toolchain

    attempts = {
        "compile secrets": ("cat /etc/passwd", "reads no other file"),
        "compile writes": (
            "f=/tmp/kernelcoder-$$; echo > $f && rm $f",
            "writes only in its folder",
        ),
        "compile signals": (f"kill -0 {os.getpid()}", "cannot signal the judge"),
        "compile escape": ("setsid true", "nothing it starts can leave its group"),
    }
    for name, (command, text) in attempts.items():
        with tempfile.TemporaryDirectory() as folder:
            line = [["/bin/sh", "-c", f"{command} && echo && echo SUCCEEDED"]]
            readable = toolchain().readable
            done = sandbox.confined(line, Path(folder), sandbox.INCLUDE, readable, 10, 512)
        shut = "SUCCEEDED" not in done.log
        yield Finding("sandbox", name, "ok" if shut else "no",
                      text if shut else f"not so here: it {text}")  # fmt: skip


def _python_slot() -> Iterator[Finding]:
    """The same layers around Python candidates; seconds, because torch is loaded for it."""
    from kernelcoder.verify import isolation_python

    try:
        for layer in isolation_python.probe():
            state = "ok" if layer.holds else "no"
            yield Finding(
                "sandbox", f"python {layer.name}", state, f"L{layer.rung}: {layer.reason}"
            )
    except errors.CannotRun as error:
        yield Finding("sandbox", "python", "no", error.what)


def models() -> Iterator[Finding]:
    """Whether each model of the menu could be asked; nothing is sent anywhere."""
    values: dict[str, config.Value] = {n: o.default for n, o in config.options().items()}
    if paths.config_file().exists():
        values.update(config.load().values)
    for member in registry.members("MODEL", config.options()):
        provider = registry.module("MODEL", member, values)
        lacking = provider.ready(registry.options("MODEL", member, values))
        name = registry.model_id(member, values)
        yield Finding("models", member, "no" if lacking else "ok", lacking or f"ready ({name})")
