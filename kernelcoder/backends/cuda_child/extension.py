# SPDX-License-Identifier: Apache-2.0
"""What stands in for ``torch.utils.cpp_extension``: sources become a request to the judge.

``load_inline`` never fails to build here: a child whose machine code is missing ends and asks for
it, and what does not compile is the verdict. So no candidate can catch that and go on without.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kernelcoder.backends.cuda_child import values
from kernelcoder.backends.cuda_child.exchange import Exchange
from kernelcoder.backends.cuda_child.values import Request

Texts = str | Sequence[str] | None


class Machine:
    """Where extensions come from: the harness of this child, and how its tensors are exchanged."""

    def __init__(self, harness: Any, exchange: Exchange) -> None:
        self.harness, self.exchange = harness, exchange

    def module(self, name: str, request: str) -> types.ModuleType:
        """The module of a request, if the bundle has its machine code; else this child ends."""
        symbol = "torch_" + hashlib.sha256(request.encode()).hexdigest()[:32]
        entry: Any = getattr(self.harness.library, symbol, None)
        if entry is None:
            self.harness.want("torch", symbol, request)
            self.harness.settle()
            entry = getattr(self.harness.library, symbol)
        made = types.ModuleType(name)
        asked = Request(command=values.NAME)
        while entry(ctypes.byref(asked)) != values.NO_MORE:
            bound = asked.text.decode()
            setattr(made, bound, self._bound(entry, bound))
            asked.index += 1
        return made

    def _bound(self, entry: Callable[[Any], int], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            return self.exchange.call(entry, name, arguments, named)

        call.__name__ = call.__qualname__ = name
        return call


_here: list[Machine] = []


def use(machine: Machine) -> None:
    """Extensions of this process come from there."""
    _here[:] = [machine]


def _texts(sources: Texts) -> list[str]:
    return [sources] if isinstance(sources, str) else [str(one) for one in sources or ()]


def _flags(flags: Texts) -> list[str]:
    """Macros that are defined for the compiler; what else it is told does not matter here."""
    return [one for one in _texts(flags) if one.startswith("-D")]


def load_inline(
    name: str,
    cpp_sources: Texts = None,
    cuda_sources: Texts = None,
    sycl_sources: Texts = None,
    functions: Texts | Mapping[str, str] = None,
    extra_cflags: Texts = None,
    extra_cuda_cflags: Texts = None,
    *_: Any,
    **__: Any,
) -> types.ModuleType:
    """As PyTorch's: C++ and CUDA sources are two translation units, and what ``functions`` binds
    has to be declared in the first."""
    if sycl_sources:
        raise RuntimeError("there is no SYCL compiler")
    names = [functions] if isinstance(functions, str) else list(functions or ())
    request = {
        "cpp": _texts(cpp_sources),
        "cuda": _texts(cuda_sources),
        "functions": [str(one) for one in names],
        "flags": [_flags(extra_cflags), _flags(extra_cuda_cflags)],
    }
    return _here[0].module(str(name), json.dumps(request, sort_keys=True))


def load(*_: Any, **__: Any) -> types.ModuleType:
    """A candidate is one file, so there are no others to build."""
    raise RuntimeError("cpp_extension.load: a candidate has no files; use load_inline")


def install() -> None:
    """Put these in the place of PyTorch's."""
    import torch.utils.cpp_extension as room

    room.load_inline, room.load = load_inline, load
    room.is_ninja_available = lambda: True
    room.verify_ninja_availability = lambda: None
    room.CUDA_HOME = "/usr/local/cuda"
