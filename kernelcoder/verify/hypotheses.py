# SPDX-License-Identifier: Apache-2.0
"""Plausible misunderstandings of a task, as the results they would give.

Each is the task's own reference on altered inputs: an argument ignored, two swapped, one read as
transposed, the end of every row left out. If a wrong result equals one of them, that is its cause.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from kernelcoder.task import Task
from kernelcoder.verify import oracle

# What is often written instead of a scalar argument: nothing, one, usual eps, usual RoPE base.
_SCALARS = (0.0, 1.0, 1e-5, 1e-6, 1e-8, 1e-12, 10000.0)
_BLOCKS = (4, 8, 16, 32, 64)
_REACH = (64, 128, 256, 512, 1024)


_Change = tuple[str, tuple[Tensor, ...], tuple[float, ...]]


def alternatives(
    task: Task, inputs: tuple[Tensor, ...], values: tuple[float, ...]
) -> Iterator[tuple[str, list[Tensor]]]:
    """(cause, float64 outputs) of misunderstandings, made one by one; inputs in any dtype."""
    exact = tuple(oracle.exact(tensor) for tensor in inputs)
    for text, changed, scalars in _changes(task, exact, values):
        try:
            outputs = oracle.reference(task, changed, scalars)
        except (RuntimeError, ValueError, ZeroDivisionError):
            continue  # the altered inputs have no meaning for this task
        yield text, outputs


def misreadings(
    task: Task, inputs: tuple[Tensor, ...], values: tuple[float, ...]
) -> Iterator[tuple[str, list[Tensor]]]:
    """Results if the strides of all inputs, or of some, are ignored: each is read from its first
    element on as if contiguous."""
    flat: list[Tensor | None] = [_flattened(tensor) for tensor in inputs]
    exact = tuple(oracle.exact(tensor) for tensor in inputs)
    places = range(len(inputs))
    for count in range(len(inputs), 0, -1):
        for chosen in itertools.combinations(places, count):
            read = [flat[i] if i in chosen else exact[i] for i in places]
            if any(tensor is None for tensor in read):
                continue
            names = ", ".join(task.inputs[i].name for i in chosen)
            whose = "" if count == len(inputs) else f" of {names}"
            text = f"input strides{whose} ignored (the buffer was read as if contiguous)"
            yield text, oracle.reference(task, tuple(t for t in read if t is not None), values)


def _flattened(tensor: Tensor) -> Tensor | None:
    """The numbers in memory from the first element on; None if memory ends before."""
    room = tensor.untyped_storage().nbytes() // tensor.element_size()
    if tensor.storage_offset() + tensor.numel() > room:
        return None
    flat = tensor.as_strided((tensor.numel(),), (1,))
    return oracle.exact(flat).reshape(tensor.shape)


def _changes(
    task: Task, inputs: tuple[Tensor, ...], values: tuple[float, ...]
) -> Iterator[_Change]:
    names = [arg.name for arg in task.inputs]
    for i, (name, tensor) in enumerate(zip(names, inputs, strict=True)):
        if i and tensor.ndim < inputs[0].ndim:
            for neutral in (torch.ones_like(tensor), torch.zeros_like(tensor)):
                yield f"input {name} ignored", _with(inputs, i, neutral), values
        for j in range(i + 1, len(inputs)):
            if inputs[j].shape == tensor.shape:
                swapped = _with(_with(inputs, i, inputs[j]), j, tensor)
                yield f"inputs {name} and {names[j]} swapped", swapped, values
    for i, name in enumerate(task.scalars):
        for value in _SCALARS:
            text = f"scalar {name} ignored (a fixed value in its place)"
            yield text, inputs, (*values[:i], value, *values[i + 1 :])
    for i, (name, tensor) in enumerate(zip(names, inputs, strict=True)):
        if tensor.ndim >= 2 and min(tensor.shape[-2:]) > 1:
            turned = tensor.mT.contiguous().reshape(tensor.shape)
            yield f"input {name} read as if transposed", _with(inputs, i, turned), values
    yield from _shortened(inputs, values)


def _shortened(inputs: tuple[Tensor, ...], values: tuple[float, ...]) -> Iterator[_Change]:
    first = inputs[0]
    length = first.shape[-1] if first.ndim else 0
    starts = [
        (length // block * block, "the last terms of every row left out") for block in _BLOCKS
    ]
    starts += [(reach, "only the first terms of every row used") for reach in _REACH]
    seen = set()
    for start, text in starts:
        if not 0 < start < length or start in seen:
            continue
        seen.add(start)
        for neutral in (0.0, -torch.inf):
            cut = first.clone()
            cut[..., start:] = neutral
            yield text, _with(inputs, 0, cut), values


def _with(inputs: tuple[Tensor, ...], index: int, tensor: Tensor) -> tuple[Tensor, ...]:
    return (*inputs[:index], tensor, *inputs[index + 1 :])
