# SPDX-License-Identifier: Apache-2.0
"""Triton's compiler for devices that are not there, as far as it runs in one process.

From a launch in words (``triton_launches.py``) to PTX, or to the assembler text of AMD's GPUs. The
assembler proper is a program of its own, which the judge runs (``triton_aot.py``).
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import triton
import triton.language as tl
from triton import knobs
from triton._C.libtriton import ir
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler.errors import CompilationError
from triton.runtime.errors import OutOfResources
from triton.runtime.jit import JITFunction
from triton.tools.tensor_descriptor import TensorDescriptor

from kernelcoder.backends.triton_child.driver import Driver

REFUSED = (
    CompilationError, OutOfResources, ValueError, TypeError, RuntimeError, AssertionError,
    NotImplementedError, AttributeError, NameError, KeyError, IndexError, RecursionError,
)  # fmt: skip
_LAST = ("ptx", "amdgcn")
_LONGEST = 3000
_AMD = re.compile(r"\.(vgpr_count|vgpr_spill_count):\s+(\d+)")


def target_of(name: str) -> Any:
    """``sm_90`` or ``gfx942`` as Triton has it."""
    if name.startswith("sm_"):
        return GPUTarget("cuda", int(name[3:]), 32)
    return GPUTarget("hip", name, 64)


def readable() -> bool:
    """Whether the libraries that every kernel is linked with can still be read here."""
    folder = Path(triton.__file__).parent / "backends" / "nvidia" / "lib"
    try:
        return (folder / "libdevice.10.bc").stat().st_size > 0 and _opens(folder)
    except OSError:
        return False


def _opens(folder: Path) -> bool:
    with (folder / "libdevice.10.bc").open("rb") as file:
        return bool(file.read(1))


def argument(value: Mapping[str, Any], names: Mapping[str, Any]) -> Any:
    """An argument like the one that was passed."""
    if "tensor" in value:
        room = torch.empty(64, dtype=getattr(torch, value["tensor"]))
        return room if value["aligned"] else room[1:]
    if "descriptor" in value:
        block = value["block_shape"]
        base = torch.empty(block, dtype=getattr(torch, value["descriptor"]))
        return TensorDescriptor.from_tensor(base, block)
    if "tuple" in value:
        return tuple(argument(part, names) for part in value["tuple"])
    if "type" in value:
        return tl.dtype(value["type"])
    if "torch" in value:
        return getattr(torch, value["torch"])
    if "name" in value:
        return names[value["name"]]
    return float.fromhex(value["float"]) if "float" in value else value["value"]


def kernel_of(names: Mapping[str, Any], name: str) -> Any:
    """The kernel itself, without autotuning and heuristics around it."""
    for found in (names.get(name), *names.values()):
        while found is not None and not isinstance(found, JITFunction):
            found = getattr(found, "fn", None)
        if found is not None and found.__name__ == name:
            return found
    raise NameError(f"no kernel {name}")


def stages(
    kernel: Any, given: Mapping[str, Any], options: Mapping[str, Any], linked: bool
) -> dict[str, Any]:
    """What each stage of ``triton.compile`` leaves for the active target, up to its text, and the
    ``metadata`` they gather. Nothing is cached and nothing is written; ``linked``: with the
    libraries of mathematical functions."""
    named: dict[str, Any] = {**options, "debug": False}
    named["instrumentation_mode"] = knobs.compilation.instrumentation_mode
    _, _, target, backend, binder = kernel.create_binder()
    bound, special, chosen = binder(**given, **named)
    chosen, signature, constants, attributes = kernel._pack_args(
        backend, named, bound, special, chosen
    )
    if not linked:
        chosen = dataclasses.replace(chosen, extern_libs=())
    source = ASTSource(kernel, signature, constants, attributes)
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    functions = backend.get_codegen_implementation(chosen)
    module = source.make_ir(target, chosen, functions, backend.get_module_map(), context)
    steps: dict[str, Any] = {}
    backend.add_stages(steps, chosen, source.language)
    metadata: dict[str, Any] = {"target": target, **chosen.__dict__}
    found: dict[str, Any] = {"metadata": metadata}
    for name, step in steps.items():
        module = found[name] = step(module, metadata)
        if name in _LAST:
            break
    return found


def made(
    launch: Mapping[str, Any], names: Mapping[str, Any], linked: bool
) -> tuple[dict[str, Any], str]:
    """Facts of a launch, and its PTX if the target has such."""
    start = time.process_time()
    try:
        kernel = kernel_of(names, launch["kernel"])
        given = {name: argument(value, names) for name, value in launch["arguments"].items()}
        found = stages(kernel, given, launch["options"], linked)
    except REFUSED as error:
        cause = error.__cause__
        reason = f" ({type(cause).__name__}: {cause})" if cause is not None else ""
        return {"error": f"{type(error).__name__}: {error}{reason}"[-_LONGEST:]}, ""
    facts: dict[str, Any] = {"shared": int(found["metadata"].get("shared", 0))}
    scratch = ("global_scratch_size", "profile_scratch_size")
    facts["scratch"] = sum(int(found["metadata"].get(name) or 0) for name in scratch)
    facts["milliseconds"] = int(1000 * (time.process_time() - start))
    text = str(found.get("ptx", ""))
    if not linked and "__nv_" in text:
        return {**facts, "unlinked": 1}, ""
    if "amdgcn" in found:
        known = {name: int(number) for name, number in _AMD.findall(found["amdgcn"])}
        facts["registers"] = known.get("vgpr_count", 0)
        facts["spilled"] = known.get("vgpr_spill_count", 0)
        facts["mma"] = found["amdgcn"].count("v_mfma")
    return facts, text


def compile_all(order: str, names: Mapping[str, Any], write: Any) -> None:
    """``order`` is JSON: ``launches``, and ``targets`` with how many of them each is to have."""
    asked, linked = json.loads(order), readable()
    for target, count in asked["targets"]:
        driver = Driver()
        driver._target = target_of(target)
        triton.runtime.driver.set_active(driver)
        for index, launch in enumerate(asked["launches"][:count]):
            facts, text = made(launch, names, linked)
            head = json.dumps({"launch": index, "target": target, **facts})
            plain = text.encode("ascii", "replace").decode()
            write(f"aot: {len(plain)} {head}\n{plain}\n")


@triton.jit  # type: ignore[untyped-decorator]  # Triton has no types
def _small(x, size: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.arange(0, size)
    tl.store(x + at, tl.sum(tl.exp(tl.load(x + at)), 0) + at)


def warm_up(targets: Sequence[str]) -> None:
    """In a process that may still run programs: the compiler asks the assembler for its version,
    and loads much at first use."""
    launch = {
        "kernel": "_small",
        "arguments": {"x": {"tensor": "float32", "aligned": True}, "size": {"value": 32}},
        "options": {},
    }
    order = {"launches": [launch], "targets": [[target, 1] for target in targets]}
    compile_all(json.dumps(order), {"_small": _small}, lambda _: None)
