# SPDX-License-Identifier: Apache-2.0
"""Prompts: what is asked (``render``, ``question``) and what is read out of a reply (``extract``).

All wording lies in ``templates/*.md``, all examples in ``examples/``; ``TEMPLATES_DIGEST`` names
the version of both and belongs into whatever identifies a run. Only ``Task.visible`` cases are
ever shown.
"""

from __future__ import annotations

from kernelcoder.prompts import examples, templates
from kernelcoder.prompts.extraction import extract
from kernelcoder.prompts.rendering import (
    DEFAULT_LIMIT,
    Parts,
    estimate_tokens,
    outcome,
    question,
    render,
)
from kernelcoder.prompts.templates import fill
from kernelcoder.records import sha256

TEMPLATES_DIGEST: str = sha256(f"{templates.DIGEST}\0{examples.digest()}")

__all__ = [
    "DEFAULT_LIMIT",
    "TEMPLATES_DIGEST",
    "Parts",
    "estimate_tokens",
    "extract",
    "fill",
    "outcome",
    "question",
    "render",
]
