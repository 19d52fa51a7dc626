# SPDX-License-Identifier: Apache-2.0
"""What a verdict's words point at: the slots that a developer would suspect."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kernelcoder.models import recipes
from kernelcoder.models.recipes import Value

# Words of a verdict -> the slots a developer would suspect, the surest signs first.
_SUSPECTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"data race|identical runs|barrier|nobody has written", ("barrier", "reduce", "lanes")),
    (r"outside of a buffer|misaligned", ("bounds", "loop", "tail", "align", "layout", "grid")),
    (r"launch|shared memory", ("threads", "outputs", "side", "grid")),
    (r"strides? (is |are )?ignored|as if contiguous", ("layout",)),
    (r"crashed|SIG(SEGV|BUS)|null pointer|memory that is not", ("align", "layout", "tail")),
    (r"not written|left out|\btail\b|\blast \d|partial block", ("tail", "grid", "loop")),
    (r"NaN of the input", ("nan",)),
    (r"NaN where|infinity where|overflow", ("algorithm", "acc", "variance", "nan")),
    (r": zero\b|negative", ("init",)),
    (
        r"inaccurate|scaled by|approximation",
        ("approx", "root", "acc", "variance", "angles", "eps", "lanes", "barrier"),
    ),
    (r"\bb?f16\b", ("acc",)),
    (r"tiny|subnormal|constant|shifted", ("eps", "variance", "root")),
    (
        r"wrong values",
        ("pairing", "eps", "variance", "angles", "layout", "acc", "barrier", "lanes", "bounds"),
    ),
    (r"timeout|processor time|too long", ("algorithm", "lanes", "threads")),
)


def repair(
    recipe: Mapping[str, object],
    params: Mapping[str, Value],
    feedback: str,
    all_of_them: bool,
) -> dict[str, Value]:
    """``params`` with the slots that the feedback points at moved to their safe choice: the first
    suspect that is not there yet, or all of them. Unchanged if it points at nothing."""
    safe = {slot.name: slot.safe for slot in recipes.slots_of(recipe)}
    new = dict(params)
    for pattern, suspects in _SUSPECTS:
        if not re.search(pattern, feedback, re.IGNORECASE):
            continue
        for name in suspects:
            if name in safe and new[name] != safe[name]:
                new[name] = safe[name]
                if not all_of_them:
                    return new
    return new


def suspected(
    recipe: Mapping[str, object], params: Mapping[str, Value], feedback: str
) -> tuple[str, Value, str] | None:
    """The first suspect that is not at its safe choice: slot, safe choice and the words that point
    at it; None if they point at nothing."""
    safe = {slot.name: slot.safe for slot in recipes.slots_of(recipe)}
    for pattern, suspects in _SUSPECTS:
        sign = re.search(pattern, feedback, re.IGNORECASE)
        for name in suspects if sign else ():
            if name in safe and params[name] != safe[name]:
                return name, safe[name], sign[0] if sign else ""
    return None
