# SPDX-License-Identifier: Apache-2.0
"""PyTorch as if tensors lay on a GPU, where there is none.

Host code of kernels asks for ``device="cuda"`` and looks at ``x.device`` and ``x.is_cuda``. Here
tensors are on the host and say ``cuda:0``; requests for a device are answered on the host, and what
is freshly allocated holds NaN, or 0x5A in every byte of a number that has none: a kernel that does
not write all of it shows. Code of ours runs under ``torch._C.DisableTorchFunction``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

HOST, DEVICE = torch.device("cpu"), torch.device("cuda", 0)
_FRESH = (
    torch.empty, torch.empty_like, torch.empty_strided, torch.Tensor.new_empty,
    torch.Tensor.new_empty_strided,
)  # fmt: skip
_REFUSED = (torch.Tensor.numpy, torch.Tensor.__array__)
_STAYS = (torch.Tensor.cuda, torch.Tensor.pin_memory)
_ANSWERS: dict[Any, Any] = {
    torch.Tensor.device.__get__: DEVICE,
    torch.Tensor.is_cuda.__get__: True,
    torch.Tensor.is_cpu.__get__: False,
}
_GETTER = type(torch.Tensor.device.__get__)


def _on_host(value: Any) -> Any:
    """A device as it is named in a call, on the host if it is a GPU."""
    if isinstance(value, torch.device):
        return HOST if value.type == "cuda" else value
    if isinstance(value, str) and (value == "cuda" or value.startswith("cuda:")):
        return "cpu"
    return value


def poison(tensor: Any) -> Any:
    """Fill a fresh tensor with what no kernel would leave there."""
    with torch._C.DisableTorchFunction():
        if isinstance(tensor, torch.Tensor) and tensor.numel() and not tensor.is_meta:
            if tensor.dtype.is_floating_point and tensor.element_size() > 1:
                tensor.fill_(float("nan"))
            elif tensor.is_contiguous() and tensor.dtype != torch.bool:
                tensor.view(torch.uint8).fill_(0x5A)
            else:
                tensor.zero_()
    return tensor


class VirtualCuda(TorchFunctionMode):  # type: ignore[misc]  # torch's own class has no types
    """In force from ``__enter__`` on, in this thread."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """One call of PyTorch by the candidate."""
        named = dict(kwargs or {})
        if type(func) is _GETTER and func in _ANSWERS:
            return _ANSWERS[func]
        if func is torch.device:
            return func(*args, **named)
        if func in _STAYS:
            return args[0]
        if func in _REFUSED:  # and .cpu() moves nothing: the work is not to be done on the host
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if func is torch.Tensor.get_device:
            return 0
        if func is torch.Tensor.is_pinned:
            return False
        if "device" in named:
            named["device"] = _on_host(named["device"])
        if named.get("pin_memory"):
            named["pin_memory"] = False
        given = [_on_host(a) if isinstance(a, (str, torch.device)) else a for a in args]
        found = func(*given, **named)
        return poison(found) if func in _FRESH else found


class _Stream:
    cuda_stream = 0

    def __init__(self, *_: Any, **__: Any) -> None:
        return None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None

    def query(self) -> bool:
        return True

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: Any) -> None:
        return None


class _Event(_Stream):
    def elapsed_time(self, _: Any) -> float:
        return 1.0


class _Guard(_Stream):
    def __call__(self, function: Any) -> Any:
        return function


PROPERTIES = SimpleNamespace(
    name="NVIDIA H100 80GB HBM3", major=9, minor=0, multi_processor_count=132, warp_size=32,
    total_memory=80 << 30, max_threads_per_multi_processor=2048, regs_per_multiprocessor=65536,
    shared_memory_per_block_optin=232448, shared_memory_per_multiprocessor=233472,
    shared_memory_per_block=49152, L2_cache_size=50 << 20, gcnArchName="",
)  # fmt: skip


def _says(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def install() -> None:
    """Replace what ``torch.cuda`` would ask a driver for. The mode is entered by who runs a
    candidate."""
    answers = {
        "is_available": True, "is_initialized": True, "current_device": 0, "device_count": 1,
        "get_device_name": PROPERTIES.name, "get_device_capability": (9, 0),
        "get_device_properties": PROPERTIES, "is_bf16_supported": True, "memory_allocated": 0,
        "max_memory_allocated": 0, "memory_reserved": 0, "mem_get_info": (80 << 30, 80 << 30),
        "synchronize": None, "empty_cache": None, "set_device": None, "init": None,
        "_lazy_init": None, "reset_peak_memory_stats": None, "set_stream": None,
        "manual_seed": None, "manual_seed_all": None, "seed": None, "seed_all": None,
        "_exchange_device": 0, "_maybe_exchange_device": 0,
    }  # fmt: skip
    cuda: Any = torch.cuda
    for name, value in answers.items():
        setattr(cuda, name, _says(value))
    cuda.Stream, cuda.Event = _Stream, _Event
    cuda.device = cuda.device_of = cuda.stream = cuda._DeviceGuard = _Guard
    cuda.current_stream = cuda.default_stream = lambda *_, **__: _Stream()
    cuda.nvtx = SimpleNamespace(range_push=_says(0), range_pop=_says(0), range=_Guard)
    torch._C._cuda_getCurrentRawStream = _says(0)
    torch.set_default_device = _says(None)
