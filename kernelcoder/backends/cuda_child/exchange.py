# SPDX-License-Identifier: Apache-2.0
"""One call of compiled host code: tensors into guarded memory, results back, PyTorch's operations
for what the host code asks of it.

Tensors of the harness lie between guard pages already and are used where they are; every other
storage is copied to the emulator's memory for the call and back after it. Views of one storage stay
views of one storage.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from kernelcoder.backends.cuda_child import values
from kernelcoder.backends.cuda_child.values import Operator, Request, Value, View, described, seen

_RENAMED = {"sub": {2: "alpha"}, "add": {2: "alpha"}, "gelu": {1: "approximate"}}
# What an operation may raise, to be raised again when the host code has come to its end.
_RAISED = (
    RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError, OverflowError,
    NotImplementedError, MemoryError,
)  # fmt: skip


def load() -> Any:
    """The emulator's library, for all that is loaded after it."""
    library = ctypes.CDLL(os.environ["KC_LIBRARY"], mode=os.RTLD_NOW | os.RTLD_GLOBAL)
    library.simt_allocate.restype = ctypes.c_void_p
    library.simt_allocate.argtypes = [ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p]
    library.simt_release.argtypes = [ctypes.c_void_p]
    library.simt_copy.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
    ]  # fmt: skip
    library.simt_register.argtypes = [
        ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
    ]  # fmt: skip
    library.simt_launches.restype = ctypes.c_long
    return library


class Plainly:
    """PyTorch without the modes that a candidate's own calls go through."""

    def __enter__(self) -> None:
        self._held = [torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch()]
        for one in self._held:
            one.__enter__()

    def __exit__(self, *_: object) -> None:
        for one in reversed(self._held):
            one.__exit__(None, None, None)


class Exchange:
    """Of one process: ``lent`` are the harness's storages, address -> (bytes, writable)."""

    def __init__(self, library: Any, lent: Mapping[int, tuple[int, bool]]) -> None:
        self._library, self._lent = library, lent
        self._names = [str(number).encode() for number in range(64)]
        self._places: dict[int, tuple[int, Any]] = {}  # a storage's address -> in the emulator, it
        self._kept: list[Any] = []
        self._result: list[Any] = []
        self._raised: BaseException | None = None

    def call(
        self, entry: Callable[[Any], int], name: str, arguments: Sequence[Any], named: Any
    ) -> Any:
        """Call a bound function; raises what it or an operation of PyTorch raises."""
        outer = self._places, self._kept, self._raised
        self._places, self._kept, self._raised = {}, [], None
        request = Request(command=values.CALL, name=name.encode(), operation=OPERATOR)
        _current.append(self)
        try:
            with Plainly():
                self._library.simt_call()
                given = [*arguments, *named.values()]
                keywords = [b""] * len(arguments) + [key.encode() for key in named]
                request.count = len(given)
                request.arguments = (Value * max(1, len(given)))(*map(self._value, given))
                request.keywords = (ctypes.c_char_p * max(1, len(given)))(*keywords)
            code = entry(ctypes.byref(request))
            with Plainly():
                found = self._found(request.result, {}) if code == 0 else None
            said = request.text or b""
        finally:
            _current.pop()
            with Plainly():
                self._return()
            raised = self._raised
            self._places, self._kept, self._raised = outer
        if code:
            fault = values.FAULTS[code](said.decode(errors="replace"))
            raise raised or fault from None
        return found

    def _value(self, item: Any) -> Value:
        """One argument as the host code gets it."""
        if isinstance(item, torch.Tensor):
            return Value(values.TENSOR, 0, 0, 0, ctypes.addressof(self._view(item)))
        if item is None:
            return Value(values.NONE)
        if isinstance(item, bool):
            return Value(values.TRUTH, 0, int(item), float(item))
        if isinstance(item, int):
            return Value(values.WHOLE, 0, item, float(item))
        if isinstance(item, float):
            return Value(values.REAL, 0, 0, item)
        if isinstance(item, torch.dtype) and item in values.NUMBERS:
            return Value(values.TYPE, 0, values.NUMBERS[item])
        if isinstance(item, str):
            text = item.encode()
            held = ctypes.create_string_buffer(text)
            self._kept.append(held)
            return Value(values.TEXT, len(text), 0, 0, ctypes.addressof(held))
        if isinstance(item, (list, tuple)):
            return self._list(item)
        raise TypeError(f"incompatible function arguments: {type(item).__name__}")

    def _list(self, items: Sequence[Any]) -> Value:
        held: Any
        if items and all(type(one) is int for one in items):
            tag, held = values.WHOLES, (ctypes.c_int64 * len(items))(*items)
        elif items and all(type(one) is float for one in items):
            tag, held = values.REALS, (ctypes.c_double * len(items))(*items)
        else:
            tag, held = values.LIST, (Value * max(1, len(items)))(*map(self._value, items))
        self._kept.append(held)
        return Value(tag, len(items), 0, 0, ctypes.addressof(held))

    def _view(self, tensor: Any) -> View:
        """Where the host code finds a tensor."""
        if tensor.dtype not in values.NUMBERS or tensor.layout is not torch.strided:
            raise TypeError(f"a tensor of {tensor.dtype} cannot be passed")
        tensor = tensor.detach()
        storage = tensor.untyped_storage()
        base, nbytes = storage.data_ptr(), storage.nbytes()
        if base not in self._places:
            self._places[base] = (self._place(base, nbytes), tensor)
        at = self._places[base][0]
        return described(at, nbytes, at + tensor.data_ptr() - base, tensor, self._kept)

    def _place(self, base: int, nbytes: int) -> int:
        name = self._names[min(len(self._places), 63)]
        if base in self._lent:
            self._library.simt_register(name, base, nbytes, int(self._lent[base][1]))
            return base
        at = self._library.simt_allocate(nbytes, 0, name)
        if not at:
            raise MemoryError("the emulator cannot allocate memory")
        if nbytes:
            self._library.simt_copy(at, base, nbytes, 0)
        return int(at)

    def _return(self) -> None:
        """Copy back what was copied there."""
        for base, (at, tensor) in self._places.items():
            if base in self._lent:
                continue
            ctypes.memmove(base, at, tensor.untyped_storage().nbytes())
            self._library.simt_release(at)

    def _found(self, value: Value, copies: dict[int, Any]) -> Any:
        """What a function returned, as Python's; tensors that share memory still do."""
        if value.tag == values.TENSOR:
            return self._tensor(View.from_address(value.at), copies)
        if value.tag == values.LIST:
            items = (Value * value.count).from_address(value.at) if value.count else ()
            found = [self._found(one, copies) for one in items]
            return tuple(found) if value.whole else found
        if value.tag == values.WHOLES:
            return list((ctypes.c_int64 * value.count).from_address(value.at))
        if value.tag == values.TEXT:
            return ctypes.string_at(value.at, value.count).decode(errors="replace")
        plain = {
            values.WHOLE: value.whole, values.REAL: value.real, values.TRUTH: bool(value.whole),
        }  # fmt: skip
        return values.TYPES.get(value.whole) if value.tag == values.TYPE else plain.get(value.tag)

    def _tensor(self, view: View, copies: dict[int, Any]) -> Any:
        there = seen(view)
        for at, tensor in self._places.values():
            if at == view.base and at not in copies:
                copies[at] = tensor
        if view.base not in copies:
            memory = ctypes.string_at(view.base, view.bytes) if view.bytes else b""
            fresh = torch.empty(view.bytes, dtype=torch.uint8)
            ctypes.memmove(fresh.data_ptr(), memory, view.bytes)
            copies[view.base] = fresh
        offset = (view.data - view.base) // there.element_size()
        storage = copies[view.base].untyped_storage()
        empty = torch.empty(0, dtype=there.dtype)
        return empty.set_(storage, offset, there.shape, view.strides[: view.dims])

    def operate(self, name: str, arguments: Sequence[Value], result: Any) -> int:
        """An operation that the host code asks of PyTorch; counted like a candidate's own."""
        try:
            with Plainly():
                given = [self._given(one) for one in arguments]
            by_place, by_name = _placed(name, given)
            found = _operation(name)(*by_place, **by_name)
            with Plainly():
                if name.endswith("_"):
                    self._written(given[0])
                else:
                    self._result = []
                    result[0] = self._described(found)
        except _RAISED as error:
            self._raised = error
            return 1
        return 0

    def _given(self, value: Value) -> Any:
        if value.tag == values.TENSOR:
            return seen(View.from_address(value.at))
        if value.tag == values.LIST:
            items = (Value * value.count).from_address(value.at) if value.count else ()
            return [self._given(one) for one in items]
        return self._found(value, {})

    def _written(self, tensor: Any) -> None:
        """Tell the emulator that PyTorch wrote there."""
        storage = tensor.untyped_storage()
        held = ctypes.create_string_buffer(
            ctypes.string_at(storage.data_ptr(), storage.nbytes()), max(1, storage.nbytes())
        )
        if storage.nbytes():
            self._library.simt_copy(storage.data_ptr(), held, storage.nbytes(), 0)

    def _described(self, found: Any) -> Value:
        """Tensors for the host code, which copies them at once."""
        if isinstance(found, (tuple, list)):
            parts = (Value * len(found))(*map(self._described, found))
            self._result.append(parts)
            return Value(values.LIST, len(found), 0, 0, ctypes.addressof(parts))
        tensor = found.contiguous()
        self._result.append(tensor)
        at, nbytes = tensor.data_ptr(), tensor.numel() * tensor.element_size()
        view = described(at, nbytes, at, tensor, self._result)
        return Value(values.TENSOR, 0, 0, 0, ctypes.addressof(view))


def _operation(name: str) -> Callable[..., Any]:
    """By the name it has in C++: the functions of ``torch`` take arguments in the order of ATen."""
    rooms = (torch.Tensor,) if name.endswith("_") else (torch, torch.nn.functional, torch.Tensor)
    found: Callable[..., Any] | None = None
    for room in rooms:
        found = found or getattr(room, name, None)
    if found is None:
        raise AttributeError(f"torch has no operation {name}")
    return found


def _placed(name: str, given: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments by place and by name."""
    names = _RENAMED.get(name.rstrip("_"), {})
    dtypes = {place for place, one in enumerate(given) if isinstance(one, torch.dtype)}
    if name == "to":
        dtypes = set()
    by_place = [
        one for place, one in enumerate(given) if place not in names and place not in dtypes
    ]
    by_name = {names[place]: given[place] for place in names if place < len(given)}
    if dtypes:
        by_name["dtype"] = given[min(dtypes)]
    return by_place, by_name


_current: list[Exchange] = []


def _operate(name: bytes, count: int, arguments: Any, result: Any) -> int:
    return _current[-1].operate(name.decode(), arguments[:count], result)


# What compiled host code calls; made in the zygote, as a child may not make code.
OPERATOR = Operator(_operate)
