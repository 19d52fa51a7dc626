# SPDX-License-Identifier: Apache-2.0
"""The whole corpus: classes of the catalogue to their hostile candidates, and the honest ones."""

from __future__ import annotations

from kernelcoder.redteam import (
    attacks_availability,
    attacks_clock,
    attacks_compiler,
    attacks_memory,
    attacks_no_kernel,
    attacks_numerical,
    attacks_pool,
    attacks_shapes,
    attacks_single,
    attacks_system,
    attacks_tampering,
    attacks_timing,
    cuda_attacks,
    cuda_tampering,
    gpu_entry,
    gpu_honest,
    honest_kernels,
    honest_more,
    honest_styles,
    metal_attacks,
    metal_tampering,
    python_availability,
    python_entry,
    python_honest,
    python_memory,
    python_no_kernel,
    python_numerical,
    python_outside,
    python_tampering,
    python_timing,
    python_unwatched,
    triton_attacks,
    triton_tampering,
)
from kernelcoder.redteam.entry import Honest, Hostile, pointwise, softmax

BACKENDS = ("cpu", "torch", "cuda", "metal", "triton")
EMULATED = ("cuda", "metal", "triton")  # judged without times


def _single(letter: str) -> tuple[Hostile, ...]:
    """Those of ``attacks_single`` that belong to a class."""
    return tuple(entry for entry in attacks_single.ENTRIES if entry.ids[0][0] == letter)


HOSTILE: dict[str, dict[str, tuple[Hostile, ...]]] = {
    "cpu": {
        "timing": (
            *attacks_timing.ENTRIES,
            *attacks_clock.ENTRIES,
            *attacks_pool.ENTRIES,
            *_single("A"),
        ),
        "numerical": (*attacks_numerical.ENTRIES, *attacks_shapes.ENTRIES, *_single("B")),
        "memory": (*attacks_memory.ENTRIES, *_single("C")),
        "tampering": (
            *_single("D"),
            *attacks_tampering.ENTRIES,
            *attacks_system.ENTRIES,
            *attacks_compiler.ENTRIES,
        ),
        "no-kernel": (*attacks_no_kernel.ENTRIES, *_single("E")),
        "availability": (*attacks_availability.ENTRIES, *_single("F")),
    },
    "torch": {
        "timing": python_timing.ENTRIES,
        "numerical": python_numerical.ENTRIES,
        "memory": python_memory.ENTRIES,
        "tampering": (*python_tampering.ENTRIES, *python_outside.ENTRIES),
        "no-kernel": (*python_no_kernel.ENTRIES, *python_unwatched.ENTRIES),
        "availability": python_availability.ENTRIES,
    },
    "cuda": {
        "timing": (),
        "numerical": cuda_attacks.NUMERICAL,
        "memory": cuda_attacks.MEMORY,
        "tampering": cuda_tampering.ENTRIES,
        "no-kernel": cuda_attacks.NO_KERNEL,
        "availability": cuda_attacks.AVAILABILITY,
    },
    "metal": {
        "timing": (),
        "numerical": metal_attacks.NUMERICAL,
        "memory": metal_attacks.MEMORY,
        "tampering": metal_tampering.ENTRIES,
        "no-kernel": metal_attacks.NO_KERNEL,
        "availability": metal_attacks.AVAILABILITY,
    },
    "triton": {
        "timing": (),
        "numerical": triton_attacks.NUMERICAL,
        "memory": triton_attacks.MEMORY,
        "tampering": triton_tampering.ENTRIES,
        "no-kernel": triton_attacks.NO_KERNEL,
        "availability": triton_attacks.AVAILABILITY,
    },
}
CLASSES = tuple(HOSTILE["cpu"])
HONEST: dict[str, tuple[Honest, ...]] = {
    "cpu": (*honest_kernels.ENTRIES, *honest_styles.ENTRIES, *honest_more.ENTRIES),
    "torch": python_honest.ENTRIES,
    "cuda": gpu_honest.CUDA,
    "metal": gpu_honest.METAL,
    "triton": gpu_honest.TRITON,
}


def innocent(backend: str) -> str:
    """An honest relu in the language of a backend."""
    return {
        "cpu": pointwise(),
        "torch": python_entry.relu(),
        "cuda": gpu_entry.cuda(),
        "metal": gpu_entry.metal(),
        "triton": gpu_entry.triton(),
    }[backend]


def twins(backend: str) -> dict[str, str]:
    """Task -> the honest kernel that attacks on its time are compared with; none without times."""
    if backend in EMULATED:
        return {}
    if backend == "torch":
        return {"relu": python_entry.relu(), "softmax": python_entry.slow_softmax()}
    return {"relu": pointwise(), "softmax": softmax(), "exp": pointwise(value="std::exp(v)")}


def named(name: str) -> Hostile:
    """The hostile candidate of a name; KeyError if there is none."""
    for classes in HOSTILE.values():
        for entries in classes.values():
            for entry in entries:
                if entry.name == name:
                    return entry
    raise KeyError(name)
