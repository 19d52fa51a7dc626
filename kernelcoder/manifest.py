# SPDX-License-Identifier: Apache-2.0
"""What a cell was begun on: packages, compilers, processor, accelerator, clocks, load.

It is written into ``cell.json`` once, when the cell begins, and read by nothing that judges: it is
what a reader needs who gets other numbers. What cannot be found out is None, never a guess.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from kernelcoder import paths

_GPU = (
    "name",
    "driver_version",
    "memory.total",
    "clocks.max.sm",
    "clocks.max.mem",
    "mig.mode.current",
)
_GPU_NOW = ("clocks.sm", "clocks.mem", "temperature.gpu", "utilization.gpu")
# In the order in which builds look for them; what a machine lacks is left out.
_COMPILERS = ("g++", "clang++", "nvcc", "ld")
_CPU = Path("/sys/devices/system/cpu")
# What two manifests must share for their times to be compared: (part, field).
SAME_SPEED = (
    ("host", "processor"),
    ("host", "architecture"),
    ("host", "cores"),
    ("software", "compilers"),
    ("software", "torch"),
    ("host", "gpus"),
)


def manifest(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a cell begins on, as plain JSON data; ``values`` are its settings."""
    return {
        "config": config_hash(values),
        "software": software(),
        "host": host(),
        "now": now(),
    }


def config_hash(values: Mapping[str, Any]) -> str:
    """SHA-256 of the settings that mean something (``RUN_*`` left out), in canonical JSON."""
    kept = {name: value for name, value in values.items() if not name.startswith("RUN_")}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def software() -> dict[str, Any]:
    """Interpreter, compilers, the packages that the lab names itself, and one hash over all."""
    installed = {
        str(one.metadata["Name"]).lower(): one.version
        for one in metadata.distributions()
        if one.metadata["Name"]
    }
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(installed.items()))
    named = {name: installed[name] for name in sorted(_named() & set(installed))}
    return {
        "python": platform.python_version(),
        "torch": installed.get("torch"),
        "packages": named,
        "all_packages": hashlib.sha256(lines.encode()).hexdigest(),
        "compilers": {name: said for name in _COMPILERS if (said := _version(name)) is not None},
    }


def _named() -> set[str]:
    """Packages that requirements/*.in and the lock of PyTorch ask for by name."""
    found = set()
    for path in sorted((paths.ROOT / "requirements").glob("*.*")):
        if path.suffix == ".in" or path.stem in ("torch", "embedded"):
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r"^([A-Za-z][\w.-]*)(?=[ =<\[;@\n])", text, re.MULTILINE))
    return {name.lower() for name in found}


def _version(program: str) -> str | None:
    """The line of ``--version`` that names it, None where there is no such program."""
    where = shutil.which(program)
    said = _said([where, "--version"]) if where else None
    if not said:
        return None
    lines = said.splitlines()
    return next((line.strip() for line in lines if "release" in line), lines[0].strip())


def _said(command: Sequence[str], seconds: float = 10.0) -> str | None:
    """What a program prints, None if it cannot be run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@functools.cache
def host() -> dict[str, Any]:
    """Processor, memory, system and accelerators."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": processor(),
        "architecture": platform.machine(),
        "cores": _usable(),
        "cores_all": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "governor": _text(_CPU / "cpu0/cpufreq/scaling_governor"),
        "max_mhz": _mhz(_text(_CPU / "cpu0/cpufreq/cpuinfo_max_freq")),
        "boost": _text(_CPU / "cpufreq/boost"),
        "gpus": _gpus(_GPU),
    }


def _usable() -> int | None:
    ask = getattr(os, "sched_getaffinity", None)
    return len(ask(0)) if ask else os.cpu_count()


def processor() -> str | None:
    """The processor's name as the system tells it."""
    text = _text(Path("/proc/cpuinfo")) or ""
    found = re.search(r"^(?:model name|Model|cpu model|Processor)\s*:\s*(.+)$", text, re.MULTILINE)
    if found:
        return found[1].strip()
    return _said(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor() or None


def now() -> dict[str, Any]:
    """What changes from minute to minute: load over 1, 5 and 15 minutes, and clocks in MHz."""
    text = _text(Path("/proc/cpuinfo")) or ""
    clocks = [float(one) for one in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", text, re.MULTILINE)]
    return {
        "load": _load(),
        "mhz": [min(clocks), max(clocks)] if clocks else None,
        "gpus": _gpus(_GPU_NOW),
    }


def _load() -> list[float] | None:
    try:
        return [round(one, 2) for one in os.getloadavg()]
    except OSError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _mhz(khz: str | None) -> float | None:
    return int(khz) / 1000 if khz and khz.isdigit() else None


def _gpus(fields: Sequence[str]) -> list[dict[str, str]]:
    """One record per device that the driver of NVIDIA lists; empty where there is none."""
    where = shutil.which("nvidia-smi")
    query = f"--query-gpu={','.join(fields)}"
    said = _said([where, query, "--format=csv,noheader"]) if where else None
    rows = [line.split(", ") for line in (said or "").splitlines()]
    return [dict(zip(fields, row, strict=True)) for row in rows if len(row) == len(fields)]


def speed_differs(then: Mapping[str, Any], here: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs between two manifests and changes how fast kernels run: (name, then, here).
    Of devices the names count, not their clocks."""
    found = []
    for part, name in SAME_SPEED:
        old, new = then.get(part, {}).get(name), here.get(part, {}).get(name)
        if name == "gpus":
            old, new = ([one.get("name") for one in each or ()] for each in (old, new))
        if old != new:
            found.append((name, old, new))
    return found
