# SPDX-License-Identifier: Apache-2.0
"""A kernel of ``mx.fast.metal_kernel`` as one C++ translation unit over include/metal/.

Address spaces go away (a pointer without one is accepted here and refused by Metal), threadgroup
variables become static ones of the thread that runs the block, and unsuffixed floating literals
become float, which they are in Metal. Lines stay where they are, so that a message names the line
of the candidate's file. Everything a kernel brings lies in a namespace of its own: several kernels
are linked into one library, where the runtime finds threadgroup variables by their symbols.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from dataclasses import dataclass

from kernelcoder.backends.simt.metal_signature import (
    TYPES,
    Input,
    Kernel,
    Value,
    asked,
    attributes,
    template_arguments,
    template_head,
)
from kernelcoder.backends.simt.rewrite_tokens import REACH, Script

THREADGROUP_BYTES = 32 << 10  # what a threadgroup may have on every Apple GPU
_HEADERS = """
metal_stdlib metal_atomic metal_array metal_common metal_compute metal_geometric
metal_graphics metal_integer metal_limits metal_math metal_matrix metal_numeric metal_pack
metal_quadgroup metal_relational metal_simdgroup metal_simdgroup_matrix metal_texture
metal_type_traits metal_types metal_uniform metal_utility metal_config
"""
_SPACES = ("device", "thread", "kernel")  # ``kernel`` is a keyword that marks a function
# What C++ has and Metal refuses, if no error comes by itself.
_POISON = "asm goto new try catch throw virtual dynamic_cast typeid thread_local"
_SWIZZLE = re.compile(r"[xyzw]{1,4}|[rgba]{1,4}")
_NAME = re.compile(r"[A-Za-z_]\w{0,80}")
_INITIALIZED = "a_threadgroup_variable_has_no_initializer"
_MOST = 32  # inputs, outputs, template arguments
_LONGEST = 60  # characters of a header's name that are told


class BadRequest(ValueError):
    """A child asked for something that no call of ``metal_kernel`` can have asked for."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a text of the kernel stands in the candidate's file: ``line`` of its first line in
    ``file``."""

    file: str = "source"
    line: int = 1


def symbol(request: str) -> str:
    """The name of the compiled entry. The child computes the same."""
    return "metal_" + hashlib.sha256(request.encode()).hexdigest()[:32]


def parse_request(request: str) -> Kernel:
    """The kernel a child asks for (metal_guest.py writes it). Everything in it is the candidate's,
    so every name that would stand in C++ outside of its own text is checked; raises BadRequest."""
    try:
        found = json.loads(request)
        inputs = tuple(_input(item) for item in found["inputs"])
        outputs = tuple((_name(n), _dtype(d)) for n, d in found["outputs"])
        template = tuple((_name(n), _value(v)) for n, v in found["template"])
        texts = [str(found[key]) for key in ("name", "source", "header")]
        atomic = bool(found["atomic"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadRequest(f"{type(error).__name__}: {error}") from error
    if max(len(inputs), len(outputs), len(template)) > _MOST or not outputs:
        raise BadRequest("too many arguments, or no output")
    if not re.fullmatch(r"\w{1,200}", texts[0], re.ASCII):  # MLX makes an identifier of it
        raise BadRequest("the name of a kernel is made of letters, digits and _")
    return Kernel(texts[0], texts[1], inputs, outputs, template, texts[2], atomic)


def _input(item: object) -> Input:
    if not isinstance(item, list) or len(item) != 3:
        raise ValueError("an input is [name, dtype, is scalar]")
    return Input(_name(item[0]), _dtype(item[1]), () if item[2] else (_MOST,))


def _name(text: object) -> str:
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise ValueError("a name in a signature is a C++ identifier")
    return text


def _dtype(text: object) -> str:
    if not isinstance(text, str) or text not in TYPES or text == "float64":
        raise ValueError("a dtype that Metal does not have")
    return text


def _value(value: object) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 1 << 31:
        return value
    return _dtype(value)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Metal's text as C++, and the names of its threadgroup variables."""

    text: str
    shared: tuple[str, ...]


@functools.lru_cache(maxsize=64)
def rewrite(source: str) -> Rewritten:
    """What only Metal understands goes; every line keeps its number."""
    script = Script(source)
    _includes(script)
    for index in script.names(*_SPACES):
        script.drop(index, index)
    for index in script.names("constant"):
        around = (script.text(script.before(index)), script.text(script.next(index)))
        known = "const" in around or "constexpr" in around or around[0] == "constant"
        if known:
            script.drop(index, index)
        else:
            script.replace(index, "const")
    for index in script.solid:
        if script.text(index) == "." and _is_chain(script, index):
            script.insert_after(script.next(index), ".kc_whole()")
    shared = [name for index in script.names("threadgroup") for name in _threadgroup(script, index)]
    for index in script.solid:
        if script.kind(index) == "number" and _is_plain_float(script.text(index)):
            script.insert_after(index, "f")
    return Rewritten(script.render(), tuple(dict.fromkeys(shared)))


def _is_chain(script: Script, dot: int) -> bool:
    """A swizzle of a swizzle, ``v.rgb.g``: the first is a view, which has no members."""
    first, second = script.next(dot), script.next(dot, 3) if dot != script.solid[-1] else -1
    names = (script.text(first), script.text(second))
    return (
        len(names[0]) > 1
        and script.text(script.next(dot, 2)) == "."
        and all(_SWIZZLE.fullmatch(name) for name in names)
    )


def _is_plain_float(text: str) -> bool:
    """A floating literal without a suffix."""
    low = text.lower()
    if low.startswith("0x"):
        return "p" in low and low[-1].isdigit()
    return (("." in low) or ("e" in low)) and (low[-1].isdigit() or low[-1] == ".")


def _includes(script: Script) -> None:
    """Metal's own headers are there already, and there are no others."""
    done = 0  # the line of the last directive: there is one on a line
    for index in script.names("include", "import"):
        mark, line = script.before(index), script.line(index)
        if script.text(mark) != "#" or line == done:
            continue
        done, last, named = line, index, ""
        for following in script.between(script.next(index), len(script.tokens)):
            if script.line(following) != line:
                break
            last = following
            named += script.text(following) if len(named) < _LONGEST else ""
        script.drop(mark, last)
        if named.strip('<>"') not in _HEADERS.split():
            script.insert_before(mark, f"#error a kernel cannot include {_plain(named)}")


def _plain(text: str) -> str:
    return re.sub(r"[^\w<>./]", "", text)[:_LONGEST]


def _threadgroup(script: Script, index: int) -> list[str]:
    """``threadgroup`` before a declaration in a statement's place is storage; everywhere else it
    qualifies a pointer or a reference. Returns the names declared."""
    start = script.before(index)
    while True:
        text = script.text(start)
        if text in ("const", "volatile", "static", "constexpr"):
            start = script.before(start)
        elif text == ")" and _is_alignas(script, start):
            start = script.before(script.partner[start], 2)
        else:
            break
    names = _declared(script, index) if script.text(start) in ("", ";", "{", "}") else []
    if names and names[0][0] == _INITIALIZED:
        script.replace(index, _INITIALIZED)  # which is an error that says it
        return []
    if not names:
        script.drop(index, index)
        return []
    for other in script.between(script.next(start) if start >= 0 else script.solid[0], index):
        if script.text(other) == "static":
            script.drop(other, other)
    script.replace(index, "KC_THREADGROUP")
    for _, behind in names:
        script.insert_before(behind, " = {}")  # else g++ guards classes, even trivial ones
    return [name for name, _ in names]


def _is_alignas(script: Script, closing: int) -> bool:
    opening = script.partner.get(closing, -1)
    return opening >= 0 and script.text(script.before(opening)) == "alignas"


def _declared(script: Script, index: int) -> list[tuple[str, int]]:
    """What is declared from ``threadgroup`` up to the semicolon, as (name, index of the token
    behind it); [] if a pointer or a reference is among it, which then is what the qualifier
    belongs to."""
    names: list[tuple[str, int]] = []
    last, depth, at = "", 0, script.next(index)
    for _ in range(REACH):
        text = script.text(at)
        if text in ("", "{", "}") or (depth == 0 and text in ("*", "&", "(")):
            return []
        if text == "alignas" or (text == "[" and depth == 0):
            opening = script.next(at) if text == "alignas" else at
            if opening not in script.partner:
                return []
            at = script.partner[opening]
        elif text == "<":
            depth += 1
        elif text == ">":
            depth -= 1
        elif depth == 0 and text == "=":
            return [(_INITIALIZED, at)]
        elif depth == 0 and text in (",", ";"):
            names += [(last, at)] if last else []
            last = ""
            if text == ";":
                return names
        elif depth == 0 and script.kind(at) == "name":
            last = text
        at = script.next(at)
    return []


@dataclass(frozen=True, slots=True)
class Unit:
    """A translation unit: its text, the entry's symbol, its threadgroup variables."""

    text: str
    symbol: str
    shared: tuple[str, ...]


def unit(kernel: Kernel, entry: str, header: Source, source: Source) -> Unit:
    """The C++ of one kernel, for after ``metal/metal.h``. Its entry is

    ``int ENTRY(void *const *in, void *const *out, const unsigned *grid, const unsigned *group)``

    with four pointers per input (data, int32 shape, int64 strides, int32 ndim), one per output,
    three sizes each in threads; it returns what ``simt_launch`` does."""
    top, body = rewrite(kernel.header), rewrite(kernel.source)
    parameters, passed = _arguments(kernel)
    head = f"template <{template_head(kernel)}>\n" if kernel.template else ""
    name = "custom_kernel_" + re.sub(r"\W", "_", kernel.name)[:60]
    text = f"""#pragma GCC poison {_POISON}
#define double ::simt::metal_has_no_double
#define std metal_has_no_std
namespace {entry}_ {{
#line {header.line} "{header.file}"
{top.text}
#line 1 "signature"
{head}inline void {name}({", ".join(parameters)}) {{
#line {source.line} "{source.file}"
{body.text}
#line 1 "end"
}}
}}
extern "C" int {entry}(void *const *in, void *const *out, const unsigned *grid,
                       const unsigned *group) {{
  simt::LaunchCfg launch{{}};
  launch.block = {{group[0], group[1], group[2]}};
  launch.threads = {{grid[0], grid[1], grid[2]}};
  launch.metal = 1;
  launch.name = "{name}";
  return simt::launch_fn(launch, [&] {{
    {entry}_::{name}{template_arguments(kernel)}({", ".join(passed)});
  }});
}}
"""
    return Unit(text, entry, tuple(dict.fromkeys((*top.shared, *body.shared))))


def _arguments(kernel: Kernel) -> tuple[list[str], list[str]]:
    """Parameters of the kernel function, and what its entry passes for them."""
    parameters: list[str] = []
    passed: list[str] = []
    for place, item in enumerate(kernel.inputs):
        kind, wants = TYPES[item.dtype], asked(kernel.source, item.name)
        data = f"static_cast<const {kind} *>(in[{4 * place}])"
        if not item.shape:
            parameters.append(f"const {kind} &{item.name}")
            passed.append(f"*{data}")
            continue
        parameters.append(f"const {kind} *{item.name}")
        passed.append(data)
        if wants.shape:
            parameters.append(f"const int *{item.name}_shape")
            passed.append(f"static_cast<const int *>(in[{4 * place + 1}])")
        if wants.strides:
            parameters.append(f"const int64_t *{item.name}_strides")
            passed.append(f"static_cast<const int64_t *>(in[{4 * place + 2}])")
        if wants.ndim:
            parameters.append(f"const int &{item.name}_ndim")
            passed.append(f"*static_cast<const int *>(in[{4 * place + 3}])")
    for place, (name, dtype) in enumerate(kernel.outputs):
        kind = f"atomic<{TYPES[dtype]}>" if kernel.atomic_outputs else TYPES[dtype]
        parameters.append(f"{kind} *{name}")
        passed.append(f"static_cast<{kind} *>(out[{place}])")
    for name, kind in attributes(kernel.source):
        parameters.append(f"{kind} {name}")
        passed.append(f"simt::attribute::{name}()")
    return parameters, passed
