# SPDX-License-Identifier: Apache-2.0
"""The Metal text that MLX makes of an ``mx.fast.metal_kernel`` call, byte for byte.

The rules are MLX's own (mlx/backend/metal/custom_kernel.cpp, fast.cpp), found out by reading and
checked against MLX itself: exporting a function that calls a kernel makes it print its text even
where there is no Metal (tests/simt/test_metal_signature.py).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

# dtype of MLX -> its name in kernels.
TYPES = {
    "bool": "bool",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
    "uint64": "uint64_t",
    "float16": "float16_t",
    "bfloat16": "bfloat16_t",
    "float32": "float",
    "float64": "double",
    "complex64": "complex64_t",
}
# What a kernel may ask about its thread, in the order MLX lists them; (name, type).
ATTRIBUTES = (
    ("dispatch_quadgroups_per_threadgroup", "uint"),
    ("dispatch_simdgroups_per_threadgroup", "uint"),
    ("dispatch_threads_per_threadgroup", "uint3"),
    ("grid_origin", "uint3"),
    ("grid_size", "uint3"),
    ("quadgroup_index_in_threadgroup", "uint"),
    ("quadgroups_per_threadgroup", "uint"),
    ("simdgroup_index_in_threadgroup", "uint"),
    ("simdgroups_per_threadgroup", "uint"),
    ("thread_execution_width", "uint"),
    ("thread_index_in_quadgroup", "uint"),
    ("thread_index_in_simdgroup", "uint"),
    ("thread_index_in_threadgroup", "uint"),
    ("thread_position_in_grid", "uint3"),
    ("thread_position_in_threadgroup", "uint3"),
    ("threadgroup_position_in_grid", "uint3"),
    ("threadgroups_per_grid", "uint3"),
    ("threads_per_grid", "uint3"),
    ("threads_per_simdgroup", "uint"),
    ("threads_per_threadgroup", "uint3"),
)
_SMALL = 8  # elements: arrays below that lie in the constant address space
Value = bool | int | str  # a template argument; a str is a dtype


@dataclass(frozen=True, slots=True)
class Input:
    """An array a kernel reads: MLX's dtype name and its shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Kernel:
    """One call of a kernel, as far as its text depends on it. ``outputs`` are (name, dtype),
    ``template`` (name, value) in the call's order."""

    name: str
    source: str
    inputs: tuple[Input, ...]
    outputs: tuple[tuple[str, str], ...]
    template: tuple[tuple[str, Value], ...] = ()
    header: str = ""
    atomic_outputs: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """Which facts about an input a source mentions: MLX looks for the words as substrings."""

    shape: bool
    strides: bool
    ndim: bool


def asked(source: str, name: str) -> Asked:
    """What is passed besides the data of input ``name``, unless it has no dimensions."""
    return Asked(f"{name}_shape" in source, f"{name}_strides" in source, f"{name}_ndim" in source)


def attributes(source: str) -> tuple[tuple[str, str], ...]:
    """The attributes a source mentions. Substrings count: ``dispatch_threads_per_threadgroup``
    brings ``threads_per_threadgroup`` along."""
    return tuple((name, kind) for name, kind in ATTRIBUTES if name in source)


def template_head(kernel: Kernel) -> str:
    """``typename T, int N, bool B``."""
    kinds = {bool: "bool", int: "int", str: "typename"}
    return ", ".join(f"{kinds[type(value)]} {name}" for name, value in kernel.template)


def template_arguments(kernel: Kernel) -> str:
    """``<float, 3, 1>``, or "" without a template."""
    if not kernel.template:
        return ""
    return "<" + ", ".join(_written(value) for _, value in kernel.template) + ">"


def _written(value: Value) -> str:
    return TYPES[value] if isinstance(value, str) else str(int(value))


def full_name(kernel: Kernel) -> str:
    """What MLX calls the function: template values, input kinds and output types are part of it."""
    name = f"custom_kernel_{kernel.name}"
    if kernel.template:
        listed = template_arguments(kernel).replace(", ", "_")
        name += "_" + re.sub(r"[<>-]", "_", listed)[:-1]
    for item in kernel.inputs:
        kind = "s" if not item.shape else "c" if item.size < _SMALL else ""
        name += f"_{TYPES[item.dtype]}{kind}"
    return name + "".join(f"_{TYPES[dtype]}" for _, dtype in kernel.outputs)


def _parameters(kernel: Kernel) -> list[str]:
    found: list[str] = []
    for item in kernel.inputs:
        space = "constant" if item.size < _SMALL else "device"
        sign = "*" if item.shape else "&"
        found.append(f"const {space} {TYPES[item.dtype]}{sign} {item.name}")
        wants = asked(kernel.source, item.name)
        if item.shape and wants.shape:
            found.append(f"const constant int* {item.name}_shape")
        if item.shape and wants.strides:
            found.append(f"const constant int64_t* {item.name}_strides")
        if item.shape and wants.ndim:
            found.append(f"const constant int& {item.name}_ndim")
    for name, dtype in kernel.outputs:
        kind = f"atomic<{TYPES[dtype]}>" if kernel.atomic_outputs else TYPES[dtype]
        found.append(f"device {kind}* {name}")
    lines = [f"  {text} [[buffer({place})]]" for place, text in enumerate(found)]
    return lines + [f"  {kind} {name} [[{name}]]" for name, kind in attributes(kernel.source)]


def metal_text(kernel: Kernel) -> str:
    """What MLX hands to Metal's compiler, after its own helpers."""
    name = full_name(kernel)
    head = f"template <{template_head(kernel)}>\n" if kernel.template else ""
    text = f"{kernel.header}{head}[[kernel]] void {name}(\n"
    text += ",\n".join(_parameters(kernel)) + ") {\n" + kernel.source + "\n}\n"
    if kernel.template:
        instance = f"{name}{template_arguments(kernel)}"
        shown = f'[[host_name("{name}")]] [[kernel]]'
        text += f"\ntemplate {shown} decltype({instance}) {instance};\n"
    return text
