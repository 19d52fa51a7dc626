# SPDX-License-Identifier: Apache-2.0
"""What Triton asks a GPU's driver for, answered without a GPU.

The answers are those of an H100 (sm_90), for which kernels are compiled ahead of time. Autotuning
measures nothing: of the configurations that are left after pruning the one with the largest tiles
and at least four warps is taken, which is what runs fastest here and compiles everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import triton
import triton.testing
from triton.backends.compiler import GPUTarget
from triton.runtime.autotuner import Autotuner
from triton.runtime.driver import driver

# NVIDIA H100 SXM5, from its data sheet and CUDA's device properties.
PROPERTIES: Mapping[str, int] = {
    "max_shared_mem": 232448,
    "max_num_regs": 65536,
    "multiprocessor_count": 132,
    "warpSize": 32,
    "sm_clock_rate": 1980000,
    "mem_clock_rate": 2619000,
    "mem_bus_width": 5120,
}
CAPABILITY = (9, 0)


class _Utilities:
    def get_device_properties(self, *_: Any) -> dict[str, int]:
        return dict(PROPERTIES)


class Driver:
    """The part of Triton's driver interface that candidates and Triton's own host code use."""

    utils = _Utilities()

    def __init__(self, capability: int = 90) -> None:
        self._target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> Any:
        """What to compile for."""
        return self._target

    def get_current_device(self) -> int:
        """The only one."""
        return 0

    def set_current_device(self, *_: Any) -> None:
        """There is no other."""

    def get_device_capability(self, *_: Any) -> tuple[int, int]:
        """Major and minor version."""
        return CAPABILITY

    def get_current_stream(self, *_: Any) -> int:
        """The default stream."""
        return 0

    def get_active_torch_device(self) -> Any:
        """Where tensors are said to be."""
        return torch.device("cuda", 0)

    def get_device_interface(self) -> Any:
        """PyTorch's module for such devices."""
        return torch.cuda

    def get_benchmarker(self) -> Callable[..., list[float]]:
        """Runs once and measures nothing."""
        return _bench

    def get_empty_cache_for_benchmark(self) -> Any:
        """A buffer that nobody reads."""
        return torch.empty(1)

    def clear_cache(self, _: Any) -> None:
        """There is no cache to clear."""


def _bench(call: Callable[[], Any], *_: Any, quantiles: Any = None, **__: Any) -> Any:
    call()
    return [1.0] * len(quantiles) if quantiles else 1.0


def size(config: Any) -> tuple[bool, int]:
    """The rank of a configuration: enough warps first, then the product of its block sizes."""
    total = 1
    for value in config.kwargs.values():
        total *= (
            value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 1
        )
    return config.num_warps >= 4, total


def _largest_first(self: Any, *_: Any, config: Any, **__: Any) -> list[float]:
    """In place of a measurement: a number that is smallest for the configuration to take."""
    enough, total = size(config)
    return [(1.0 if enough else 2.0) + 1.0 / (1 + total)] * 3


def install_autotuner() -> None:
    """From now on nothing is measured."""
    Autotuner._bench = _largest_first
    triton.testing.do_bench = _bench


def install() -> None:
    """From now on there seems to be one H100."""
    driver.set_active(Driver())
    install_autotuner()
