# SPDX-License-Identifier: Apache-2.0
"""Where things lie. ``O=dir`` (``KERNELCODER_O``) moves ``.config`` and ``results/``."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def output() -> Path:
    """The folder that holds ``.config`` and ``results/``: the tree itself without ``O=``."""
    chosen = os.environ.get("KERNELCODER_O", "")
    return Path(chosen).resolve() if chosen else ROOT


def config_file() -> Path:
    """The current ``.config`` (``KCONFIG_CONFIG`` wins, as in the kernel)."""
    chosen = os.environ.get("KCONFIG_CONFIG", "")
    return Path(chosen).resolve() if chosen else output() / ".config"


def machine() -> str:
    """Name under which results lie: ``KERNELCODER_MACHINE`` or the host name, made file-safe."""
    name = os.environ.get("KERNELCODER_MACHINE", "") or platform.node() or "machine"
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.") or "machine"


def results(mode: str = "native") -> Path:
    """``results/<machine>/``: one folder per cell, and ``calls/`` with recorded replies. What did
    not run natively lies apart, under ``results/<machine>+<mode>/``, and is never pooled."""
    return output() / "results" / (machine() if mode == "native" else f"{machine()}+{mode}")


def cache() -> Path:
    """Compiled candidates, precompiled headers, roofs: everything that may be deleted."""
    return output() / "results" / ".cache"
