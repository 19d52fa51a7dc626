# SPDX-License-Identifier: Apache-2.0
"""The defenses of the verifier, and for each a candidate that would be verified without it.

tests/redteam/test_redteam_defenses.py takes each away and sees the candidate escape. Where several
defenses stand behind each other (``without``), all of them must be away, and any one is enough.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Defense:
    """``needs`` are candidates that escape without it, ``without`` the further defenses that have
    to be away too; ``why`` says why one cannot be taken away in a test. ``slow`` tests take long.
    """

    name: str
    what: str
    needs: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    why: str = ""
    slow: bool = False


def _d(name: str, what: str, needs: str, without: str = "", slow: bool = False) -> Defense:
    return Defense(name, what, tuple(needs.split()), tuple(without.split()), slow=slow)


DEFENSES: tuple[Defense, ...] = (
    _d("poison", "outputs are poisoned before each pass", "leftovers"),
    _d("poison-ordinary", "one poison is an ordinary number", "computes-where-it-finds-nan"),
    _d("poison-nan", "one poison is NaN", "adds-nothing-of-the-output"),
    _d("canaries", "canary bytes around every output", "writes-into-the-slack"),
    _d("guard-after", "inputs that end at an inaccessible page", "reads-a-vector-at-the-tail"),
    _d("guard-before", "inputs that start at an inaccessible page", "reads-a-vector-at-the-head"),
    _d("fault-handlers", "no handler for bad accesses", "hides-its-over-read", "audit"),
    _d("seal", "inputs sealed against writing", "reopens-its-input-by-number"),
    _d("hidden-cases", "hidden cases", "visible-shapes-only"),
    _d("two-edges", "hidden cases run a second time, elsewhere", "wrong-the-second-time"),
    _d("properties", "relations between results", "rounds-through-a-constant"),
    _d("float-mode", "the processor's float mode is compared", "leaves-rounding-changed"),
    _d("scrub", "output memory is given back between candidates", "answers-in-the-guards", "audit"),
    _d(
        "fresh-inputs",
        "timed inputs are new for every call",
        "cache-by-pointer",
        "wild-rounds",
        slow=True,
    ),
    _d(
        "mixture",
        "timed inputs are mixtures of two windows of two pools",
        "learns-maxima-of-the-pool",
        "wild-rounds",
        slow=True,
    ),
    _d("spot-checks", "timed outputs are checked", "idle-in-the-long-run", "roofline"),
    _d("roofline", "no time below the roofline", "idle-in-the-long-run", "spot-checks", slow=True),
    _d("wild-rounds", "timed rounds on other values", "careless-in-the-long-run"),
    _d(
        "freeze",
        "a process is stopped as soon as it says it is done, before its output is read",
        "threads-finish-later",
        "audit",
    ),
    _d("guard", "the static guard", "constructor"),
    _d("audit", "the audit of a library's symbols", "calls-the-system"),
    _d("compile-sandbox", "the compiler runs in a sandbox", "probes-for-files"),
    _d("seccomp", "the filter of system calls", "sixty-system-calls"),
    _d("landlock", "no files", "opens-files-by-number"),
    _d("uid", "a user of its own", "signals-init", "seccomp landlock"),
    _d("address-space", "a limit on address space", "reserves-eight-gigabytes"),
    _d("output-limit", "a limit on written bytes", "writes-a-megabyte"),
    _d("no-threads", "no threads where one is allowed", "starts-a-thread", "audit"),
    _d("no-processes", "no processes", "forks-by-number"),
    _d("census", "the census of who does the work", "py-torch-relu py-only-when-unobserved"),
    _d("watcher", "samples while a Python candidate is timed", "py-library-in-short-runs"),
    _d("library-policy", "VERIFY_LIBRARY is none", "py-torch-softmax"),
    Defense(
        "expected-outside",
        "expected values are in the judge alone",
        why="there is no switch: a child has nothing to find (`scans-for-the-answer`,"
        " `py-scans-for-the-answer`)",
    ),
    Defense(
        "judge-outside",
        "comparator, tolerances, statistics and verdict are in another process",
        why="there is no switch (`py-patches-the-comparator`, `py-edits-tolerances`)",
    ),
    Defense(
        "one-process",
        "one process per candidate",
        why="there is no switch: a slot forks for each (`py-messages-in-modules`)",
    ),
    Defense(
        "hidden-values",
        "hidden values are drawn from a secret key; verdicts are shared within a key only",
        ("a kernel made of the answers to one key",),
    ),
    Defense(
        "clock-to-the-freeze",
        "the clock runs until the process stands, not until it says it is done",
        why="belt and braces: who says so too early is stopped before the work is done, and wrong"
        " (`early-done`); who says so later gains nothing",
    ),
    Defense(
        "nonce",
        "answers repeat a number drawn for the run, and nothing else may be in the pipe",
        why="belt and braces: a forged answer only makes the judge freeze and look earlier"
        " (`token-to-6`, `early-done`)",
    ),
    Defense(
        "null-kernel",
        "what the harness costs is measured in a process of ours",
        why="there is no switch: no candidate is in that process (`inflates-the-overhead`)",
    ),
    Defense(
        "untrusted-text",
        "what a candidate prints is never quoted",
        ("a kernel that prints its hidden inputs",),
    ),
    Defense(
        "time-limits",
        "wall time in the judge, processor time in the kernel of the system",
        why="either alone ends a loop (`endless-loop`); `sleeps` needs the wall's",
    ),
)
