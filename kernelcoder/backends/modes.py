# SPDX-License-Identifier: Apache-2.0
"""Native or not: what a machine offers, and what ``KERNELCODER_<BACKEND>_MODE`` asks for."""

from __future__ import annotations

import os

from kernelcoder.backends import Availability
from kernelcoder.errors import Error
from kernelcoder.records import Mode


def choose(backend: str, native: Availability, other: Mode, meaning: str) -> Availability:
    """``native`` if it can run (its mode is native) and nobody wants otherwise, else ``other``,
    with the reason. ``meaning`` is what results of the other mode are. Raises :class:`Error` for a
    mode that there is not; one that cannot run here is no mode at all."""
    name = f"KERNELCODER_{backend.upper()}_MODE"
    asked = os.environ.get(name, "")
    if asked not in ("", "native", other):
        raise Error(f"{name}={asked} is no mode", fix=f"native or {other}, or leave it out")
    if asked == other:
        return Availability(other, f"{name}={other}: {meaning}")
    if native.mode == "native":
        return native
    if asked == "native":
        return Availability(None, f"{name}=native, but {native.reason}")
    return Availability(other, f"{native.reason}: {meaning}")
