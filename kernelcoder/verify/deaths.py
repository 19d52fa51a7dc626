# SPDX-License-Identifier: Apache-2.0
"""What it means that a candidate's process ended: from its exit to a status and a sentence.

The wait status comes from the kernel of the system and is believed. The text the process left on
stderr is not: it never decides between failure and pass, and as the process has seen hidden inputs
none of it is quoted; only what matches a fixed list of phrases is said, in our words.
"""

from __future__ import annotations

import builtins
import re
import signal

from kernelcoder.task import Task
from kernelcoder.verify import defects, device_errors
from kernelcoder.verify.child import (
    EXIT_DEFECT,
    EXIT_DEVICE,
    EXIT_NO_LOAD,
    EXIT_NO_SYMBOL,
    EXIT_WANTS,
    Exit,
)
from kernelcoder.verify.device_errors import Cause

__all__ = ["Cause", "HarnessFailed", "explain", "from_outside"]

_MODE = 94  # the harness found the floating-point unit in another mode after a call
# A Python candidate that raised (zygote_process.py).
_RAISED = 95
_HINT = re.compile(
    r"hint: (read|write|access) \d+ bytes (inside|past the end of|before the start of)"
    r" (input|output) (\d)"
)
_PYTHON = re.compile(r"hint: python (\w{1,40}) line (\d{1,6})$", re.MULTILINE)
_THROWN = re.compile(r"after throwing an instance of '(std::[a-z_]{1,24})'")
_SIGNALS = {
    "SIGSEGV": "it read or wrote memory that is not its own (SIGSEGV)",
    "SIGBUS": "it used a bad address (SIGBUS)",
    "SIGFPE": "it divided an integer by zero (SIGFPE)",
    "SIGILL": "it ran an instruction this processor lacks (SIGILL)",
    "SIGABRT": "it aborted (SIGABRT)",
    "SIGSYS": "it made a system call the sandbox forbids (SIGSYS)",
    "SIGKILL": "it was killed by the system (SIGKILL)",
}


class HarnessFailed(Exception):
    """The child failed before it touched the candidate: our fault or the machine's."""


def from_outside(ended: Exit) -> None:
    """Raises HarnessFailed if somebody killed the slot or its child: nothing the candidate did."""
    if ended.max_rss_kb == 0 and ended.stderr.endswith("(the slot ended)"):
        raise HarnessFailed("the slot process was killed from outside")
    if ended.killed:  # the filter lets no candidate send itself this signal
        raise HarnessFailed("the candidate's process was killed from outside")


def explain(ended: Exit, task: Task, loaded: bool, source: str = "") -> Cause:
    """Why a child is gone; ``source`` is the candidate's. Raises HarnessFailed if the candidate had
    no part in it."""
    from_outside(ended)
    if ended.kind == "exited":
        if not loaded and ended.code == EXIT_NO_SYMBOL:
            text = 'no function extern "C" void kernel(...) in the library'
            return Cause("compile_error", text)
        if not loaded and ended.code == EXIT_NO_LOAD:
            return Cause("compile_error", "the library cannot be loaded (an undefined symbol?)")
        if loaded and ended.code == _MODE:
            return Cause(
                "incorrect",
                "it leaves the processor in another rounding or flush-to-zero mode",
            )
        if ended.harness:
            raise HarnessFailed(
                f"the child could not start: {' '.join(ended.stderr.split())[:300]}"
            )
        if ended.code == _RAISED and (cause := _raised(ended.stderr)):
            return cause
        if ended.code == EXIT_DEFECT and (seen := defects.read(ended.stderr, source)):
            return Cause(seen[0].status, seen[0].text)
        if loaded and ended.code == EXIT_DEVICE:
            return device_errors.cause(ended.stderr)
        if ended.code == EXIT_WANTS:
            return Cause("runtime_error", "it asks for ever more kernels")
        return Cause("runtime_error", f"the kernel ended its process (exit code {ended.code})")
    if ended.oom:
        return Cause("oom", "it needed more memory than allowed")
    name = _signal(ended.code)
    if name == "SIGABRT" and "terminate called" in ended.stderr:
        thrown = _THROWN.search(ended.stderr)
        return Cause(
            "runtime_error",
            f"an exception left the kernel ({thrown[1] if thrown else 'not a std one'})",
        )
    if name == "SIGXCPU":
        return Cause("timeout", "it used up its processor time")
    if name == "SIGXFSZ":
        return Cause("runtime_error", "it wrote more text than allowed")
    hint = _hint(ended.stderr, task)
    return Cause(
        "crashed", f"{hint} ({name})" if hint else _SIGNALS.get(name, f"it died of {name}")
    )


def _raised(stderr: str) -> Cause | None:
    """What the Python harness says of an exception: its type, if it is one of Python's own, and
    the line of the candidate's file. Nothing of its text."""
    if "hint: python cannot allocate memory" in stderr:
        return Cause("oom", "it needed more memory than allowed")
    if "hint: python no kernel" in stderr:
        return Cause("compile_error", "the file defines no function `kernel`")
    found = _PYTHON.search(stderr)
    if not found:
        return None
    kind = getattr(builtins, found[1], None)
    known = isinstance(kind, type) and issubclass(kind, BaseException)
    place = f" in line {found[2]} of its file" if found[2] != "0" else ""
    return Cause(
        "runtime_error", f"it raised {found[1] if known else 'an exception of its own'}{place}"
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _hint(stderr: str, task: Task) -> str:
    """The harness's remark on a faulting address, in the task's own names."""
    found = _HINT.search(stderr)
    if not found:
        if "at a misaligned address" in stderr:
            return "it makes an aligned vector access at a misaligned address"
        return "it uses a null pointer" if "through a null pointer" in stderr else ""
    verb, place, side, index = found.groups()
    args = task.inputs if side == "input" else task.outputs
    name = args[int(index)].name if int(index) < len(args) else f"{side} {index}"
    verb = {"read": "reads", "write": "writes", "access": "touches"}[verb]
    if side == "input" and place == "inside" and verb == "writes":
        return f"it writes to its read-only input {name}"
    if place == "inside":
        return f"it {verb} {name} at a misaligned or forbidden address"
    return f"it {verb} {place} {name}"
