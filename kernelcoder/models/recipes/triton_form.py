# SPDX-License-Identifier: Apache-2.0
"""What Triton recipes share: slots, the first lines, expressions."""

from __future__ import annotations

import re

from kernelcoder.models.recipes import gpu, slots
from kernelcoder.models.recipes.slots import Params, Slot

WARPS = Slot("warps", (2, 4, 8), (2, 6, 3), 4, ordered=True)
STAGES = Slot("stages", (1, 2, 3, 4), (1, 3, 4, 2), 3, ordered=True)
LAYOUT = Slot("layout", ("copy", "dense"), (12, 1), "copy")
GRID = Slot("grid", ("cover", "fixed"), (14, 1), "cover")
NAN = slots.NAN
_NUMBER = re.compile(r"(?<![\w.])((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)f\b")
# The hardware's exponential and logarithm, or libdevice's that are right to an ulp or two.
_CAREFUL = {"exp": "libdevice.exp", "log": "libdevice.log"}
_FAST = {"exp": "tl.exp", "log": "tl.log"}
_NAMES = {
    "sqrt": "tl.sqrt_rn", "tanh": "libdevice.tanh", "erf": "tl.erf", "abs": "tl.abs",
    "max": "larger", "min": "smaller",
}  # fmt: skip
_HELPERS = {
    "sigmoid": "@triton.jit\ndef sigmoid(x):\n    return 1.0 / (1.0 + {exp}(-x))\n\n\n",
    "max": "@triton.jit\ndef larger(a, b):\n    return tl.maximum(a, b{nan})\n\n\n",
    "min": "@triton.jit\ndef smaller(a, b):\n    return tl.minimum(a, b{nan})\n\n\n",
}
_PROPAGATE = {"propagate": ", propagate_nan=tl.PropagateNan.ALL", "swallow": ""}


def expression(text: str, careful: bool) -> str:
    """An expression of a recipe over float32 tensors."""
    names = {**_NAMES, **(_CAREFUL if careful else _FAST)}
    return gpu.renamed(_NUMBER.sub(r"\1", text), names)


def helpers(used: set[str], nan: str = "propagate", careful: bool = True) -> str:
    """Device functions for those of ``used`` that Triton has not."""
    exp = _CAREFUL["exp"] if careful else _FAST["exp"]
    return "".join(
        text.format(exp=exp, nan=_PROPAGATE[nan]) for name, text in _HELPERS.items() if name in used
    )


def head(family: str, sentence: str, params: Params, body: str) -> str:
    """The top of a file, down to the imports ``body`` needs."""
    needed = "from triton.language.extra import libdevice\n" if "libdevice." in body else ""
    return (
        f"{gpu.first_line('#', family, params)}# {sentence}\n"
        f"import torch\nimport triton\nimport triton.language as tl\n{needed}\n\n"
    )
