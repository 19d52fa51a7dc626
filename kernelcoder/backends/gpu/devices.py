# SPDX-License-Identifier: Apache-2.0
"""Which NVIDIA GPU this machine has and what CUDA toolkit goes with it; cheap, and without CUDA.

The driver's own program is asked, so that the process that judges never starts CUDA itself.
"""

from __future__ import annotations

import ctypes.util
import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_QUERY = "index,uuid,name,compute_cap,driver_version"
_SECONDS = 20
_LIBRARIES = ("lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib")
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU. ``capability`` is (major, minor); ``visible`` what CUDA_VISIBLE_DEVICES has to be
    for it to be the only one."""

    name: str
    capability: tuple[int, int]
    driver: str
    visible: str

    @property
    def arch(self) -> str:
        """As nvcc names it."""
        return f"sm_{self.capability[0]}{self.capability[1]}"


@dataclass(frozen=True, slots=True)
class Toolkit:
    """Paths of nvcc and of CUDA's runtime library, and nvcc's release."""

    nvcc: Path
    runtime: Path
    version: str


@dataclass(frozen=True, slots=True)
class Found:
    """A device, or the reason why there is none to use."""

    device: Device | None
    reason: str


@functools.cache
def device() -> Found:
    """The first GPU that this process may use."""
    if not Path("/dev/nvidiactl").exists():
        return Found(None, "no NVIDIA GPU (/dev/nvidiactl is missing)")
    if ctypes.util.find_library("cuda") is None and not _driver_elsewhere():
        return Found(None, "a GPU, but no driver library (libcuda.so.1)")
    if (program := shutil.which("nvidia-smi")) is None:
        return Found(None, "a GPU, but no nvidia-smi to ask about it")
    command = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Found(None, f"nvidia-smi did not answer within {_SECONDS} s")
    if done.returncode:
        said = " ".join((done.stdout or done.stderr).split())[:120]
        return Found(None, f"nvidia-smi fails: {said}")
    return chosen(done.stdout, os.environ.get(_VISIBLE))


def _driver_elsewhere() -> bool:
    """Whether the loader's own path has the driver's library."""
    places = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    return any(place and (Path(place) / "libcuda.so.1").exists() for place in places)


def chosen(listed: str, visible: str | None) -> Found:
    """The first device of what nvidia-smi lists (``_QUERY``) that ``visible`` allows."""
    known = [found for line in listed.splitlines() if (found := _device(line))]
    if visible is None:
        named = [index for index, _ in known]
    else:
        named = [part.strip() for part in visible.split(",") if part.strip()]
    for name in named[:1]:
        if name.startswith("MIG-"):
            return Found(None, "a part of a GPU (MIG) is not used: no test of ours knows one")
        for index, one in known:
            if name == index or (name.startswith("GPU-") and one.visible.startswith(name)):
                return Found(one, f"{one.name} ({one.arch}, driver {one.driver})")
    return Found(None, f"{_VISIBLE}={visible!r} names no GPU" if visible is not None else "no GPU")


def _device(line: str) -> tuple[str, Device] | None:
    fields = [field.strip() for field in line.split(",")]
    if len(fields) < 5 or not (found := re.fullmatch(r"(\d+)\.(\d+)", fields[-2])):
        return None
    name = ", ".join(fields[2:-2])
    capability = int(found[1]), int(found[2])
    return fields[0], Device(name, capability, fields[-1], fields[1])


@functools.cache
def toolkit() -> Toolkit | None:
    """nvcc and the runtime library beside it; None where either is missing."""
    from kernelcoder.backends.simt import nvcc

    if not nvcc.found():
        return None
    compiler = Path(nvcc.found())
    root = compiler.parent.parent
    for folder in _LIBRARIES:
        for name in ("libcudart.so", *_releases(root / folder)):
            if (library := root / folder / name).is_file():
                return Toolkit(compiler, library.resolve(), nvcc.version())
    return None


def _releases(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("libcudart.so.*")) if folder.is_dir() else []


@functools.cache
def reaches(toolkit: Toolkit, device: Device) -> bool:
    """Whether nvcc makes code for a device."""
    asked = [str(toolkit.nvcc), "--list-gpu-code"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return device.arch in done.stdout.split()


def environment(device: Device, toolkit: Toolkit | None) -> dict[str, str]:
    """What a process needs in its environment to use this device and no other. Nothing compiled is
    kept in the user's home."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    kept |= {"KC_CUDART": str(toolkit.runtime)} if toolkit else {}
    return kept | {
        _VISIBLE: device.visible,
        "CUDA_CACHE_DISABLE": "1",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
