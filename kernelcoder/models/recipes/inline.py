# SPDX-License-Identifier: Apache-2.0
"""A recipe's C++ kernel as a Python candidate of the torch backend."""

from __future__ import annotations


def inline(source: str) -> str:
    """The file with ``source`` as its ``CPP`` and a ``kernel`` that hands its arguments on."""
    return f"CPP = r'''\n{source}'''\n\n\ndef kernel(*arguments):\n    own.kernel(*arguments)\n"
