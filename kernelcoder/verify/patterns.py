# SPDX-License-Identifier: Apache-2.0
"""Where in a tensor the marked elements lie, in words: a class of positions, never values."""

from __future__ import annotations

import torch
from torch import Tensor

EVERYWHERE = "everywhere"


def rows_of(tensor: Tensor) -> Tensor:
    """A contiguous tensor as [rows, last dimension]; a scalar becomes [1, 1]."""
    return tensor.reshape(-1, tensor.shape[-1] if tensor.ndim else 1)


def where(mask: Tensor) -> str:
    """A phrase for the true elements of a bool tensor, the most regular one that is exact:
    ``everywhere``, ``in the last 3 of 259 elements``, ``in every 2nd element``, ``in every row but
    the first``, ``in the last 5 of 37 columns of every row``, else ``in 12 of 4096 elements,
    scattered``."""
    flat = mask.reshape(-1)
    total, count = flat.numel(), int(flat.sum())
    if count == total:
        return EVERYWHERE
    indices = flat.nonzero().reshape(-1)
    if count == 1:
        return f"in one of {total} elements, number {int(indices[0])}"
    grid = rows_of(mask)
    if phrase := _end(indices, total, "elements") if grid.shape[0] == 1 else "":
        return phrase
    if phrase := _grid(grid):
        return phrase
    if phrase := _end(indices, total, "elements"):
        return phrase
    if phrase := _step(indices, total, "element"):
        return phrase
    if count >= 0.95 * total:
        return f"almost everywhere ({count} of {total} elements)"
    return f"in {count} of {total} elements, scattered"


def _end(indices: Tensor, total: int, noun: str) -> str:
    """The tail or the head, if the indices are exactly that."""
    count, first, last = len(indices), int(indices[0]), int(indices[-1])
    if last - first + 1 != count:
        return ""
    if last == total - 1:
        block = first & -first  # largest power of two that divides the start
        partial = ", a partial block" if first and count < block else ""
        return f"in the last {count} of {total} {noun} (from {first} on{partial})"
    if first == 0:
        return f"in the first {count} of {total} {noun}"
    return f"in {noun} {first} to {last} of {total}"


def _step(indices: Tensor, total: int, noun: str) -> str:
    """Every k-th (k > 1), if the indices are evenly spaced over the whole range."""
    if len(indices) < 3:
        return ""
    steps = indices.diff()
    step = int(steps[0])
    if step < 2 or bool((steps != step).any()):
        return ""
    if int(indices[0]) >= step or int(indices[-1]) + step < total:
        return ""
    return f"in every {_ordinal(step)} {noun}"


def _grid(grid: Tensor) -> str:
    """Whole rows, or the same columns of every row."""
    rows, columns = grid.shape
    if rows > 1 and bool((grid == grid[:, :1]).all()):
        chosen = grid[:, 0].nonzero().reshape(-1)
        if len(chosen) == rows - 1 and int(chosen[0]) == 1:
            return "in every row but the first"
        return (
            _end(chosen, rows, "rows")
            or _step(chosen, rows, "row")
            or f"in {len(chosen)} of {rows} rows"
        )
    if rows > 1 and columns > 1 and bool((grid == grid[:1]).all()):
        chosen = grid[0].nonzero().reshape(-1)
        phrase = (
            _end(chosen, columns, "columns")
            or _step(chosen, columns, "column")
            or f"in {len(chosen)} of {columns} columns"
        )
        return f"{phrase} of every row"
    return ""


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def by_input(mask: Tensor, tensor: Tensor) -> str:
    """A phrase if the mask is decided by the sign, the size or the kind of an input of the same
    shape: ``where the input is negative``. Empty if not; the threshold itself is not told."""
    if mask.shape != tensor.shape or not bool(mask.any()) or bool(mask.all()):
        return ""
    inside, outside = tensor[mask], tensor[~mask]
    for name, test in _KINDS:
        if bool(test(inside).all()) and not bool(test(outside).any()):
            return f"where the input is {name}"
    if len(inside) < 3 or len(outside) < 3:
        return ""
    inside, outside = inside.abs(), outside.abs()
    if float(inside.min()) > float(outside.max()):
        return "where the input is large in magnitude"
    if float(inside.max()) < float(outside.min()):
        return "where the input is small in magnitude"
    return ""


_KINDS = (
    ("NaN", torch.isnan),
    ("infinite", torch.isinf),
    ("negative", lambda values: values < 0),
    ("positive", lambda values: values > 0),
    ("zero", lambda values: values == 0),
    ("not a number or infinite", lambda values: ~torch.isfinite(values)),
)
