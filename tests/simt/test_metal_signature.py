# SPDX-License-Identifier: Apache-2.0
"""The text of a kernel's function is MLX's, byte for byte: MLX itself is asked.

Exporting a function that calls a ``metal_kernel`` makes MLX build and print its text even where
there is no Metal. That prints from C++, so it happens in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kernelcoder.backends.simt.metal_signature import (
    ATTRIBUTES,
    TYPES,
    Input,
    Kernel,
    attributes,
    full_name,
    metal_text,
)

pytest.importorskip("mlx.core", reason="mlx is not installed")

# Reads kernels as JSON, prints each text between marks of its own.
_ASK = """
import json, sys
import mlx.core as mx

def typed(value):
    return getattr(mx, value.replace("bool", "bool_")) if isinstance(value, str) else value

for number, one in enumerate(json.load(sys.stdin)):
    made = mx.fast.metal_kernel(
        name=one["name"], input_names=[i["name"] for i in one["inputs"]],
        output_names=[name for name, _ in one["outputs"]], source=one["source"],
        header=one["header"], atomic_outputs=one["atomic_outputs"],
    )
    arrays = [mx.zeros(i["shape"], typed(i["dtype"])) for i in one["inputs"]]
    def call(*given):
        return made(
            inputs=list(given), output_shapes=[(4,)] * len(one["outputs"]),
            output_dtypes=[typed(kind) for _, kind in one["outputs"]], grid=(4, 1, 1),
            threadgroup=(4, 1, 1), template=[(n, typed(v)) for n, v in one["template"]],
            verbose=True,
        )
    print(f"<{number}<", flush=True)
    mx.export_function(sys.argv[1], call, *arrays)
    print(f">{number}>", flush=True)
"""


def asked_of_mlx(kernels: list[Kernel], scratch: Path) -> list[str]:
    """The texts MLX makes."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK, str(scratch / "exported.mlxfn")],
        input=json.dumps([dataclasses.asdict(kernel) for kernel in kernels]),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    texts = []
    for number in range(len(kernels)):
        said = done.stdout.split(f"<{number}<\n")[1].split(f"\n>{number}>")[0]
        texts.append(said.split("```\n", 1)[1].rsplit("```", 1)[0].removesuffix("\n"))
    return texts


X = Input("x", "float32", (3, 5))
PLAIN = Kernel("plain", "out[0] = x[0];", (X,), (("out", "float32"),))
KERNELS = [
    PLAIN,
    dataclasses.replace(PLAIN, name="small", inputs=(Input("x", "float16", (7,)),)),
    dataclasses.replace(PLAIN, name="eight", inputs=(Input("x", "float16", (8,)),)),
    dataclasses.replace(PLAIN, name="scalar", inputs=(Input("x", "int32", ()),)),
    dataclasses.replace(PLAIN, name="facts", source="x_shape[0] + x_strides[1] * x_ndim;"),
    dataclasses.replace(PLAIN, name="shape_alone", source="x_shape[0];"),
    dataclasses.replace(
        PLAIN, name="facts_of_none", source="x_shape x_ndim", inputs=(Input("x", "bool", ()),)
    ),
    dataclasses.replace(PLAIN, name="in_header", header="// x_shape thread_position_in_grid\n"),
    dataclasses.replace(PLAIN, name="everything", source=" ".join(n for n, _ in ATTRIBUTES)),
    dataclasses.replace(PLAIN, name="part_of_a_name", source="dispatch_threads_per_threadgroup"),
    dataclasses.replace(
        PLAIN, name="templated", template=(("T", "bfloat16"), ("N", -3), ("B", True), ("C", False))
    ),
    dataclasses.replace(PLAIN, name="atomic", atomic_outputs=True),
    Kernel(
        "many<int>",
        "thread_position_in_grid threadgroup_position_in_grid a_ndim b_strides",
        tuple(Input(f"{name}", kind, (9, 2)) for name, kind in zip("ab", TYPES, strict=False)),
        tuple((f"o{place}", kind) for place, kind in enumerate(TYPES) if kind != "float64"),
        (("K", 7),),
        "#include <metal_simdgroup>\n",
    ),
]


def test_texts_are_those_of_mlx(tmp_path: Path) -> None:
    for kernel, wanted in zip(KERNELS, asked_of_mlx(KERNELS, tmp_path), strict=True):
        assert metal_text(kernel).removesuffix("\n") == wanted.rstrip("\n"), kernel.name


def test_a_wrong_rule_would_show() -> None:
    moved = dataclasses.replace(PLAIN, inputs=(Input("x", "float32", (7,)),))
    assert "const constant float* x" in metal_text(moved)
    assert "const device float* x" in metal_text(PLAIN)
    assert full_name(moved) == "custom_kernel_plain_floatc_float"


def test_attributes_are_found_inside_of_longer_words() -> None:
    found = [name for name, _ in attributes("dispatch_threads_per_threadgroup")]
    assert found == ["dispatch_threads_per_threadgroup", "threads_per_threadgroup"]
    assert attributes("thread_position") == ()
