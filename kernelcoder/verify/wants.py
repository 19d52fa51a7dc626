# SPDX-License-Identifier: Apache-2.0
"""Machine code on demand: what a Python candidate's child asks to have compiled.

Some kernels only exist while their host code runs: their text depends on shapes and types. A child
cannot compile, so its guest (see zygote_process.py) notes the text, goes on with outputs of zeros
and ends with EXIT_WANTS. The texts stand framed on its stderr::

    wants: KIND NAME BYTES
    <that many bytes>

The child is hostile, so a text may be anything: it is compiled in the sandbox, as the candidate's
own source is, and runs in the candidate's own process only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kernelcoder.verify.child import EXIT_WANTS, Exit

MOST, LARGEST = 64, 256 * 1024  # texts of one child, bytes of one
_HEAD = re.compile(r"^wants: ([a-z]{1,12}) (\w{1,64}) (\d{1,6})\n", re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Want:
    """A text of one ``kind`` (a language its builder knows) that defines the symbol ``name``."""

    kind: str
    name: str
    text: str


def read(ended: Exit) -> tuple[Want, ...]:
    """What a child wanted when it ended, each name once; () for any other end."""
    if ended.kind != "exited" or ended.code != EXIT_WANTS:
        return ()
    found: dict[str, Want] = {}
    data, at = ended.stderr, 0
    while len(found) < MOST and (head := _HEAD.search(data, at)):
        size = int(head[3])
        text = data[head.end() : head.end() + size]
        at = head.end() + size
        if len(text) == size <= LARGEST:
            found.setdefault(head[2], Want(head[1], head[2], text))
    return tuple(found.values())
