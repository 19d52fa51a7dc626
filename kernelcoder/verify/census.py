# SPDX-License-Identifier: Apache-2.0
"""Is it a kernel? Whether a Python candidate or a library it calls does the work.

Two witnesses. The operator census comes from inside the child (``zygote_process.py``), so a hostile
candidate can forge it: it convicts, it never clears. The samples come from outside
(``sampling.py``) and cannot be forged short of really computing elsewhere.

Thresholds. An honest kernel's samples on a contiguous float32 case are in its own code or the
interpreter, a library call's in the library: between nothing and nearly all, half is the middle,
and a true share of a fifth reaches half of ``_ENOUGH`` samples three times in a thousand.
A census entry counts if its operator touched a tenth as many elements as were asked for: below
that it may have been a constant or a scalar.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kernelcoder.records import Status
from kernelcoder.verify.sampling import ANONYMOUS, COMPUTING, LIBRARY, Profile

_ENOUGH, _HALF, _WORK = 20, 0.5, 0.1
_LINE = re.compile(r"^census: (\d{1,12}) (\d{1,15}) ([a-z_]\w{0,30}::\w{1,60})$", re.MULTILINE)
# Code in no file is the library's for all we know: its pages can be replaced by copies.
_FOREIGN = (LIBRARY, ANONYMOUS)
_LONGEST = 40
_COMPARED = 20_000  # characters: comparing all expressions takes time quadratic in their depth
# Operators that allocate, describe, move or convert, and compute nothing.
_PLUMBING = """
empty empty_strided empty_like new_empty new_empty_strided zeros zeros_like new_zeros zero zero_
ones ones_like new_ones full full_like new_full fill fill_ scalar_tensor arange lift_fresh
lift_fresh_copy copy copy_ _to_copy to clone contiguous view view_as _unsafe_view reshape
_reshape_alias _reshape_copy as_strided as_strided_ alias detach detach_ expand expand_as permute
transpose transpose_ t t_ numpy_T movedim narrow slice select squeeze squeeze_ unsqueeze
unsqueeze_ unbind split split_with_sizes tensor_split chunk unflatten flatten unfold diagonal cat
stack constant_pad_nd set_ resize_ item _local_scalar_dense is_pinned size stride numel
view_as_real view_as_complex resolve_conj resolve_neg result_type
"""
PLUMBING = frozenset(_PLUMBING.split())


@dataclass(frozen=True, slots=True)
class Operators:
    """What the child says it called: operator -> (calls, elements); ``complete`` if it said so to
    the end."""

    seen: Mapping[str, tuple[int, int]]
    complete: bool

    def computing(self) -> dict[str, int]:
        """Elements of the operators that are no plumbing, most first."""
        found = {
            name: elements
            for name, (_, elements) in self.seen.items()
            if name.partition("::")[2] not in PLUMBING
        }
        return dict(sorted(found.items(), key=lambda item: -item[1]))


@dataclass(frozen=True, slots=True)
class Finding:
    """``refusal`` is the reason not to verify it or "", ``status`` then the verdict's; ``evidence``
    and ``checked`` go to the verdict."""

    refusal: str = ""
    evidence: tuple[str, ...] = ()
    checked: Mapping[str, int] = field(default_factory=dict)
    status: Status = "refused"


def read(text: str) -> Operators:
    """The census in a child's stderr, which anything may have written to."""
    seen: dict[str, tuple[int, int]] = {}
    for count, elements, name in _LINE.findall(text)[:_LONGEST]:
        calls, size = seen.get(name, (0, 0))
        seen[name] = (calls + int(count), size + int(elements))
    return Operators(seen, "census: end" in text)


def decide(
    policy: str, operators: Operators, profile: Profile, elements: int, remark: str = ""
) -> Finding:
    """Judge by VERIFY_LIBRARY. ``elements`` is how many outputs the counted pass had to write;
    ``remark`` what the source resembles."""
    work = {name: n for name, n in operators.computing().items() if n > 0 and n >= _WORK * elements}
    sampled = profile.computing >= _ENOUGH
    mostly = sampled and sum(profile.share(kind) for kind in _FOREIGN) >= _HALF
    checked = {"operators": len(operators.seen), "samples": profile.count}
    evidence = [_samples(profile)]
    if not operators.complete:
        evidence.append("the operator census, which the candidate may forge, is missing")
    names = ", ".join(list(work)[:3])
    if names:
        evidence.append(f"computing operators of the library: {names}")
    if policy != "none" or not (work or mostly):
        return Finding("", tuple(evidence), checked)
    where = ""
    if mostly:
        files = [(n, file) for (kind, file), n in profile.files.items() if kind in _FOREIGN]
        count, file = max(files)
        where = f"{100 * count / profile.count:.0f} % of {profile.count} samples in {file}"
    parts = [part for part in (remark, names, where) if part]
    copied = mostly and not work and profile.share(ANONYMOUS) > profile.share(LIBRARY)
    who = "code that belongs to no file" if copied else "the library"
    return Finding(f"{who} does the work: {'; '.join(parts)}", tuple(evidence), checked)


def _samples(profile: Profile) -> str:
    if profile.problem:
        return f"no samples from outside: {profile.problem}"
    if not profile.count:
        return "no samples from outside: it was never seen computing"
    few = "" if profile.computing >= _ENOUGH else f"; too few in {' or '.join(COMPUTING)} to tell"
    return profile.summary() + few


def resemblance(source: str, reference: str) -> str:
    """What a source looks like: a wrapper of ``torch.compile``, or the reference's own expression
    under other names; "". A tripwire: it only words a refusal that has other reasons."""
    if re.search(r"\btorch\s*\.\s*compile\b|\bfrom\s+torch\s+import\b.*\bcompile\b", source):
        return "torch.compile"
    if len(source) > _COMPARED:
        return ""
    try:
        wanted = _returned(reference)
        return "the reference's own expression" if wanted & set(_expressions(source)) else ""
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""


def _returned(source: str) -> set[str]:
    """The calls and operations whose value a reference returns, without names."""
    values = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Return)]
    return {_nameless(value) for value in values if isinstance(value, (ast.Call, ast.BinOp))}


def _expressions(source: str) -> list[str]:
    nodes = ast.walk(ast.parse(source))
    return [_nameless(node) for node in nodes if isinstance(node, (ast.Call, ast.BinOp))]


def _nameless(node: ast.expr) -> str:
    """The expression with its variables numbered in order of appearance; functions keep theirs."""
    text = ast.dump(node)
    order: dict[str, str] = {}
    return re.sub(
        r"Name\(id='(\w+)', ctx=Load\(\)\)",
        lambda match: _numbered(match[1], order),
        text,
    )


def _numbered(name: str, order: dict[str, str]) -> str:
    if name in ("torch", "F", "functional"):
        return name
    return order.setdefault(name, f"#{len(order)}")
