# SPDX-License-Identifier: Apache-2.0
"""Backends: how candidates of one language are described, built and run. One per file.

A member ``BACKEND_FOO`` is ``kernelcoder/backends/foo.py`` with

- ``LANGUAGE``: fence tag of its candidates (``cpp``, ``python``, ``cuda``), and where several have
  the same, ``DIALECT``: which recipes are for it;
- ``probe() -> Availability``: what this machine can do, cheap, without importing torch;
- ``contract(task) -> str``: the prompt section on the candidate's form: signature, include files,
  compiler flags, rules;
- ``open_verifier(options: VerifyOptions, cache: Path, workers: int) -> Verifier``, which where the
  module has ``Options`` (filled from ``BACKEND_FOO_*``) takes one of them as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernelcoder.records import Mode


@dataclass(frozen=True, slots=True)
class Availability:
    """``mode`` is None when nothing can run here; ``reason`` says why, or names what was found."""

    mode: Mode | None
    reason: str
