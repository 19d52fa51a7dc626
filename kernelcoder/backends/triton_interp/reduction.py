# SPDX-License-Identifier: Apache-2.0
"""``tl.reduce`` and ``tl.associative_scan`` over whole arrays instead of element by element.

A reduction is a tree of pairs, as on a GPU: log2(n) calls of the combine function on tensors. So
sums of 16-bit numbers round at every step, which is what they do there. A scan is that of W. D.
Hillis and G. L. Steele (Data parallel algorithms, 1986), log2(n) steps as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter
from triton.runtime.interpreter import TensorHandle as Handle

from kernelcoder.backends.triton_interp.values import Array, rounded

_PLAIN = ("f", "i", "u")


def _tensor(data: Array, dtype: Any) -> Any:
    scalar = dtype.scalar
    kind = tl.block_type(scalar, list(data.shape)) if data.shape else scalar
    return tl.core.tensor(Handle(data, scalar), kind)


def _scalar(data: Array, dtype: Any) -> Any:
    """A result without dimensions is a scalar, which the interpreter keeps in an array of one."""
    return (
        _tensor(data, dtype)
        if data.shape
        else tl.core.tensor(Handle(data.reshape(1), dtype.scalar), dtype.scalar)
    )


def _combined(combine: Any, left: Sequence[Any], right: Sequence[Any]) -> list[Array]:
    found = combine(*left, *right)
    results = list(found) if isinstance(found, (tuple, tl.core.tuple)) else [found]
    shape = left[0].handle.data.shape
    kept = []
    for result, like in zip(results, left, strict=True):
        value = interpreter.interpreter_semantic.to_tensor(result).handle.data
        kept.append(rounded(np.broadcast_to(value, shape), like.handle.data.dtype))
    return kept


def _half(data: Array, axis: int, first: int, count: int, step: int) -> Array:
    """``count`` slices along an axis, ``step`` apart, beginning at ``first``."""
    index = [slice(None)] * data.ndim
    index[axis] = slice(first, first + count * step, step)
    return np.ascontiguousarray(data[tuple(index)])


def tree(arrays: list[Array], types: Sequence[Any], axis: int, combine: Any) -> list[Array]:
    """Arrays of one shape reduced along an axis to length one."""
    while (length := arrays[0].shape[axis]) > 1:
        pairs = length // 2
        left = [_tensor(_half(a, axis, 0, pairs, 2), t) for a, t in zip(arrays, types, strict=True)]
        right = [
            _tensor(_half(a, axis, 1, pairs, 2), t) for a, t in zip(arrays, types, strict=True)
        ]
        found = _combined(combine, left, right)
        if length % 2:
            rest = [_half(a, axis, length - 1, 1, 1) for a in arrays]
            found = [np.concatenate(pair, axis=axis) for pair in zip(found, rest, strict=True)]
        arrays = found
    return arrays


def scan(arrays: list[Array], types: Sequence[Any], axis: int, combine: Any) -> list[Array]:
    """Running results along an axis, each of all elements up to and with its own."""
    length, distance = arrays[0].shape[axis], 1
    while distance < length:
        # Of full length, since a tensor's is a power of two; what came around is not taken.
        left = [_tensor(np.roll(a, distance, axis), t) for a, t in zip(arrays, types, strict=True)]
        right = [_tensor(a, t) for a, t in zip(arrays, types, strict=True)]
        found = _combined(combine, left, right)
        count = length - distance
        kept = [_half(a, axis, 0, distance, 1) for a in arrays]
        rest = [_half(one, axis, distance, count, 1) for one in found]
        arrays = [np.concatenate(pair, axis=axis) for pair in zip(kept, rest, strict=True)]
        distance *= 2
    return arrays


def _known(combine: Any) -> Any:
    """NumPy's own function where it does the same to the bit, or more exactly than any order."""
    standard = tl.standard
    return {
        standard._elementwise_max: np.fmax,
        standard._elementwise_min: np.fmin,
        standard._sum_combine: np.add,
    }.get(combine)


class Reduce(interpreter.ReduceOps):  # type: ignore[misc]  # Triton has no types
    """``tl.reduce``: tensors of one shape, an axis or None for all."""

    def apply_impl(self, input: tuple[Any, ...]) -> list[Any]:
        """A tensor per input."""
        arrays = [one.handle.data for one in input]
        types = [one.dtype for one in input]
        rank = arrays[0].ndim
        axis = self.axis
        if axis is None:
            arrays, axis = [one.reshape(-1) for one in arrays], 0
        axis += arrays[0].ndim if axis < 0 else 0
        quick = _known(self.combine_fn)
        data = arrays[0]
        if quick is not None and data.dtype.kind in _PLAIN and data.dtype.itemsize >= 4:
            with np.errstate(all="ignore"):
                found = [quick.reduce(data, axis=axis, keepdims=True).astype(data.dtype)]
        else:
            found = tree(arrays, types, axis, self.combine_fn)
        if self.keep_dims:
            found = [one.reshape([1] * rank) if self.axis is None else one for one in found]
        else:
            found = [np.squeeze(one, axis=axis) for one in found]
        return [_scalar(np.asarray(one), kind) for one, kind in zip(found, types, strict=True)]


class Scan(interpreter.ScanOps):  # type: ignore[misc]  # Triton has no types
    """``tl.associative_scan``."""

    def apply_impl(self, input: tuple[Any, ...]) -> list[Any]:
        """A tensor per input, of its shape."""
        arrays = [one.handle.data for one in input]
        types = [one.dtype for one in input]
        axis = self.axis + (arrays[0].ndim if self.axis < 0 else 0)
        if self.reverse:
            arrays = [np.flip(one, axis=axis) for one in arrays]
        found = scan(arrays, types, axis, self.combine_fn)
        if self.reverse:
            found = [np.flip(one, axis=axis) for one in found]
        return [
            _tensor(np.ascontiguousarray(one), kind) for one, kind in zip(found, types, strict=True)
        ]


def install() -> None:
    """Put them in the place of Triton's own, which look them up by name."""
    interpreter.ReduceOps, interpreter.ScanOps = Reduce, Scan
