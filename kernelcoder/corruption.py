# SPDX-License-Identifier: Apache-2.0
"""Kernels damaged on purpose between the model and the verifier, to see that none is let through.

Every damage is certain to show, whatever the kernel computes:

- ``garbled``: a line no compiler takes;
- ``idle``: the kernel returns at once, its outputs unwritten;
- ``skewed`` (C++): the kernel runs, then one bit of one element of its last output is turned over:
  the exponent's highest, where one bit is worth the most;
- ``wrong``: a mistake, in the simulated world.

What becomes of a source follows from the source alone, so an audit can do it again.
"""

from __future__ import annotations

import ast
import random
import re

GARBAGE = ")corrupted("
_ENTRY = re.compile(r'extern\s+"C"\s+void\s+kernel\s*\(([^)]*)\)\s*\{')
_OUTPUT = re.compile(r"(?<!const )\bDLTensor\s*\*\s*(\w+)$")
_SKEW = """
extern "C" void kernel({parameters}) {{
  kernel_before_it_was_corrupted({names});
  int64_t corrupted_count = 1;
  for (int corrupted_axis = 0; corrupted_axis < {output}->ndim; ++corrupted_axis)
    corrupted_count *= {output}->shape[corrupted_axis];
  const int64_t corrupted_size = {output}->dtype.bits / 8;
  if (corrupted_count > 0)
    static_cast<unsigned char *>({output}->data)[{output}->byte_offset +
        (corrupted_count / 2) * corrupted_size + corrupted_size - 1] ^=
        {output}->dtype.code == 6 ? 1 : 0x40;
}}
"""


def struck(key: str, percent: int) -> bool:
    """Whether the kernel of a random key is to be damaged, at a rate of ``percent``."""
    return random.Random(f"corrupt {key}").random() * 100 < percent


def corrupt(source: str, language: str) -> tuple[str, str]:
    """The damaged source, and what was done to it."""
    if language == "sim":
        return f"{source.rstrip()}\nbug layout: wrong\n", "wrong"
    rng = random.Random(f"corrupt {source}")
    ways = {"python": ("garbled", "idle"), "cpp": ("garbled", "idle", "skewed")}
    kind = rng.choice(ways.get(language, ("garbled", "idle")))
    done = None
    if kind == "idle":
        done = _idle_python(source) if language == "python" else _idle(source)
    elif kind == "skewed":
        done = _skewed(source)
    return (done, kind) if done is not None else (f"{source}\n{GARBAGE}\n", "garbled")


def _idle(source: str) -> str | None:
    """None where there is not exactly one entry to be found."""
    if len(_ENTRY.findall(source)) != 1:
        return None
    return _ENTRY.sub(lambda found: f"{found[0]}\n  return;", source)


def _idle_python(source: str) -> str | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    entries = [one for one in tree.body if isinstance(one, ast.FunctionDef)]
    entries = [one for one in entries if one.name == "kernel"]
    if len(entries) != 1:
        return None
    entries[0].body.insert(0, ast.Return())
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _skewed(source: str) -> str | None:
    entries = _ENTRY.findall(source)
    if len(entries) != 1:
        return None
    parts = [part.strip() for part in entries[0].split(",")]
    outputs = [found[1] for part in parts if (found := _OUTPUT.search(part))]
    names = [re.split(r"[\s*&]+", part)[-1] for part in parts]
    if not outputs or not all(name.isidentifier() for name in names):
        return None
    head = f'extern "C" void kernel_before_it_was_corrupted({entries[0]}) {{'
    tail = _SKEW.format(parameters=entries[0], names=", ".join(names), output=outputs[-1])
    return _ENTRY.sub(lambda found: head, source) + tail
