# SPDX-License-Identifier: Apache-2.0
"""A launch as text: what a compiler in another process needs to make the same kernel.

Tensors are described, not sent; everything else is sent as it is. The text is JSON, one object with
``kernel`` (a name in the candidate's module), ``arguments`` by name and ``options``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import triton.language as tl

_LONGEST = 4000  # characters of one launch


def _described(value: Any) -> Any:
    """One argument, or None in a list of its own if it cannot be said."""
    value = value.value if isinstance(value, tl.constexpr) else value
    if isinstance(value, torch.Tensor):
        return {"tensor": str(value.dtype)[6:], "aligned": value.data_ptr() % 16 == 0}
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return {"value": value}
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, tl.dtype):
        return {"type": str(value)}
    if isinstance(value, torch.dtype):
        return {"torch": str(value)[6:]}
    if isinstance(value, (tuple, list)):
        return {"tuple": [_described(item) for item in value]}
    base = getattr(value, "base", None)
    if isinstance(base, torch.Tensor) and hasattr(value, "block_shape"):
        sizes = {name: list(getattr(value, name)) for name in ("shape", "strides", "block_shape")}
        return {"descriptor": str(base.dtype)[6:], **sizes}
    if hasattr(value, "__name__"):
        return {"name": str(value.__name__)}
    return {"unknown": type(value).__name__}


def text(
    kernel: str, arguments: Mapping[str, Any], constants: Sequence[str], options: Mapping[str, Any]
) -> str:
    """The launch on one line, or "" if it is too long to be sent."""
    found = {
        "kernel": kernel,
        "arguments": {name: _described(value) for name, value in arguments.items()},
        "constants": list(constants),
        "options": {name: value for name, value in options.items() if isinstance(value, int)},
    }
    line = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return line if len(line) <= _LONGEST and line.isascii() else ""


def family(line: str) -> str:
    """What a launch has in common with others that differ only in sizes and alignment: one of them
    is enough to see whether a device takes the kernel."""
    found = json.loads(line)
    constants = set(found["constants"])
    parts = [found["kernel"], found["options"]]
    for name, value in sorted(found["arguments"].items()):
        if name in constants or "tensor" not in value and "value" not in value:
            parts.append([name, value])
        else:
            kind = type(value.get("value")).__name__
            parts.append([name, value.get("tensor", kind)])
    return json.dumps(parts, sort_keys=True)
