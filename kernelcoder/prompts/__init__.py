# SPDX-License-Identifier: Apache-2.0
"""Prompts: what is asked (``render``) and what is read out of the answer (``extract``).

All wording lies in ``templates/*.md``; ``TEMPLATES_DIGEST`` names its version and belongs into
whatever identifies a run. Only ``Task.visible`` cases are ever shown.
"""

from __future__ import annotations

from kernelcoder.prompts.extraction import extract
from kernelcoder.prompts.rendering import DEFAULT_LIMIT, Parts, estimate_tokens, render
from kernelcoder.prompts.templates import TEMPLATES_DIGEST

__all__ = ["DEFAULT_LIMIT", "TEMPLATES_DIGEST", "Parts", "estimate_tokens", "extract", "render"]
