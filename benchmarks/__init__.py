# SPDX-License-Identifier: Apache-2.0
"""Suites. A member ``SUITE_FOO`` is the package ``benchmarks/foo`` with

- ``names() -> tuple[str, ...]``: its tasks, without importing torch;
- ``load(name) -> Task``: one task; an unknown name is an ``Error`` with the nearest names;
- ``digest(name) -> str``: SHA-256 of everything that defines the task's meaning.
"""
