# SPDX-License-Identifier: Apache-2.0
"""C++ sources of known right and known wrong kernels.

A candidate is one file, so shared fragments (``benchmarks/core/_cpp/*.h``) are pasted in, of which
only the definitions that are used: known kernels are also examples in prompts. Wrong
kernels are readable edits of a plain right one: ``edit`` refuses an edit that changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_FRAGMENTS = Path(__file__).resolve().parent / "core" / "_cpp"
_NEEDS = {
    "exp": ("vec",),
    "sqrt": ("vec",),
    "log": ("vec",),
    "tanh": ("exp",),
    "erf": ("exp",),
    "sincos": ("vec",),
}
_NAME = re.compile(r"(?:typedef .*? |constexpr \w+ )(\w+)|(\w+)\(")
_NEEDS |= {"pointwise": ("vec",), "rows": ("vec",), "sums": ("rows",)}


@cache
def _fragment(name: str) -> str:
    text = (_FRAGMENTS / f"{name}.h").read_text(encoding="utf-8")
    return text.removeprefix("// SPDX-License-Identifier: Apache-2.0\n")


def _with_needs(names: Sequence[str]) -> list[str]:
    ordered: list[str] = []
    for name in names:
        for item in (*_with_needs(_NEEDS.get(name, ())), name):
            if item not in ordered:
                ordered.append(item)
    return ordered


def _definitions(fragment: str) -> list[tuple[str, str]]:
    """(name, text with the comment above it) of every top-level definition, in order."""
    found, lines, depth = [], [], 0
    for line in fragment.splitlines(keepends=True):
        lines.append(line)
        depth += line.count("{") - line.count("}")
        if depth == 0 and line.rstrip().endswith((";", "}")):
            code = "".join(one for one in lines if not one.startswith(("//", "template")))
            match = _NAME.search(code)
            if match is None:
                raise ValueError(f"no name in the definition {code!r}")
            found.append((match[1] or match[2], "".join(lines)))
            lines = []
    if "".join(lines).strip():
        raise ValueError(f"a definition does not end: {lines[0]!r}")
    return found


def paste(fragments: Sequence[str], body: str) -> str:
    """One whole file: the include, of the fragments what the operator's own part needs, and that
    part. As C++ names what is already defined, one pass from the end finds all that is used."""
    definitions = [
        item for name in _with_needs(fragments) for item in _definitions("\n" + _fragment(name))
    ]
    kept: list[str] = []
    used = set(re.findall(r"\w+", body))
    for name, text in reversed(definitions):
        if name in used:
            kept.append(text)
            used.update(re.findall(r"\w+", re.sub(r"//.*", "", text)))
    return "".join(["#include <kernelcoder.h>\n", *reversed(kept), "\n", body.lstrip("\n")])


def edit(source: str, *changes: tuple[str, str]) -> str:
    """``source`` with every (old, new) applied; ``ValueError`` if one of them changes nothing."""
    for old, new in changes:
        if old not in source or old == new:
            raise ValueError(f"the edit {old!r} -> {new!r} changes nothing")
        source = source.replace(old, new)
    return source


def edits(source: str, changes: Mapping[str, tuple[tuple[str, str], ...]]) -> dict[str, str]:
    """Name -> edited source, one per entry."""
    return {name: edit(source, *change) for name, change in changes.items()}


def plain_pointwise(inputs: Sequence[str], expression: str) -> str:
    """A right scalar kernel: ``expression`` in float over the argument names."""
    tensors = ", ".join(f"const DLTensor *{name}_" for name in inputs)
    loads = "\n".join(
        f"        const float {name} = float(kc::data<T>({name}_)"
        f"[kc::row_offset({name}_, r) + i * kc::col_stride({name}_)]);"
        for name in inputs
    )
    return f"""#include <kernelcoder.h>

extern "C" void kernel({tensors}, DLTensor *y) {{
  kc::dispatch(y->dtype, [&](auto zero) {{
    using T = decltype(zero);
    T *out = kc::data<T>(y);
    const int64_t rows = kc::rows(y), n = kc::cols(y);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < n; ++i) {{
{loads}
        out[r * n + i] = T({expression});
      }}
  }});
}}
"""


def wrong_pointwise(
    inputs: Sequence[str],
    expression: str,
    mistakes: Mapping[str, str],
    changes: Mapping[str, tuple[tuple[str, str], ...]],
) -> dict[str, str]:
    """Wrong kernels of a pointwise operator: each of ``mistakes`` (name -> another expression),
    each of ``changes`` (name -> edits of the right kernel), and the structural mistakes
    that every operator invites."""
    right = plain_pointwise(inputs, expression)
    first = inputs[0]
    wrong = {name: plain_pointwise(inputs, other) for name, other in mistakes.items()}
    wrong |= edits(
        right,
        {
            "ignores_strides": (
                (f"kc::row_offset({first}_, r) + i * kc::col_stride({first}_)", "r * n + i"),
            ),
            "loses_the_tail": (("i < n; ++i", "i < n / 8 * 8; ++i"),),
            "first_block_only": (("i < n; ++i", "i < std::min<int64_t>(n, 1024); ++i"),),
            "rounds_through_half": (
                (f"const float {first} = float(", f"const float {first} = kc::half("),
            ),
        },
    )
    return wrong | edits(right, changes)
