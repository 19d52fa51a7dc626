# SPDX-License-Identifier: Apache-2.0
"""Every diagnostic fires on the fault it is for, names it, and the judge has words for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from simt import runtime_objects as objects

from kernelcoder.verify import defects

WRONG = "wrong"  # no diagnostic, but the result shows it
QUIET = "right"  # neither
# case -> what is seen in the orders forward, reverse and shuffled of a plain build, and in a
# checked one. Which orders a missing barrier needs to show is chance; that none shows it is not.
FAULTS: dict[str, tuple[set[str], set[str]]] = {
    "after_store": ({WRONG, QUIET}, {"race"}),
    "in_loop": ({WRONG, QUIET}, {"race"}),
    "before_reuse": ({WRONG, QUIET}, {"race"}),
    "first_barrier": ({WRONG}, {"race"}),
    "second_barrier": ({WRONG}, {"race"}),
    "no_barrier": ({WRONG, QUIET}, {"race"}),
    "volatile_warp": ({WRONG}, {"race"}),
    "accumulate": ({QUIET}, {"race"}),
    "last_write": ({QUIET}, {"race"}),
    "neighbor_block": ({WRONG, QUIET}, {"race"}),
    "tail": ({WRONG}, {WRONG}),
    "exited": ({WRONG}, {WRONG}),
    "one_warp": ({WRONG}, {WRONG}),
    "unwritten": ({WRONG}, {WRONG}),
    "unwritten_counter": ({WRONG}, {"uninitialized"}),
    "plain_and_atomic": ({WRONG, QUIET}, {"race", "uninitialized"}),
    "beyond": ({"out-of-bounds-read"}, {"race"}),
    "no_check": ({"out-of-bounds-read"}, {"out-of-bounds-read"}),
    "one_past": ({"out-of-bounds-read"}, {"out-of-bounds-read"}),
    "before_start": ({"out-of-bounds-read"}, {"out-of-bounds-read"}),
    "slack_read": ({QUIET}, {"out-of-bounds-read"}),
    "write_slack": ({"canary"}, {"out-of-bounds-write"}),
    "write_input": ({"write-to-input"}, {"write-to-input"}),
    "null_pointer": ({"bad-address"}, {"bad-address"}),
    "big_locals": ({"stack-overflow"}, {"stack-overflow"}),
    "divide": ({"divide-by-zero"}, {"divide-by-zero"}),
    "misaligned": ({QUIET}, {"misaligned"}),
    "overrun": ({QUIET}, {"index"}),
    "trapping": ({"trap"}, {"trap"}),
    "host_reads": ({QUIET}, {"host-access"}),
    "divergent": ({"divergent-barrier"}, {"divergent-barrier"}),
    "many_threads": ({"launch-error"}, {"launch-error"}),
    "deep_block": ({"launch-error"}, {"launch-error"}),
    "tall_grid": ({"launch-error"}, {"launch-error"}),
    "nested": ({"launch-error"}, {"launch-error"}),
    "metal_threads": ({"launch-error"}, {"launch-error"}),
    "much_shared": ({"shared-memory"}, {"shared-memory"}),
    "no_opt_in": ({"shared-memory"}, {"shared-memory"}),
    "small_dynamic": ({"out-of-bounds-write"}, {"out-of-bounds-write"}),
    "bad_copy": ({"out-of-bounds-read"}, {"out-of-bounds-read"}),
}
RIGHT = ("softmax", "matmul", "row_sum")
SOURCE = (objects.SOURCES / "bugs.cpp").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bugs")


@pytest.fixture(scope="module")
def program(folder: Path) -> Path:
    return objects.driver(folder)


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return objects.compiled(folder, "bugs")


@pytest.fixture(scope="module")
def checked(folder: Path) -> Path:
    return objects.compiled(folder, "bugs", checked=True)


def outcome(program: Path, target: Path, case: str, order: str) -> tuple[str, str]:
    """What a case came to, and what the runtime said."""
    done = objects.run(program, target, case, order=order, poison=0x7F)
    lines = objects.said(done)
    if done.returncode == 92:
        defect = lines[-1]
        assert defects.read(done.stderr, SOURCE), f"the judge has no words for {defect}"
        return defect.split()[1], defect
    assert done.returncode in (0, 1), done.stderr
    assert all(kind.startswith("note:") for kind in objects.kinds(lines)), lines
    return (WRONG if done.returncode else QUIET), "\n".join(lines)


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_in_a_plain_build(program: Path, plain: Path, case: str) -> None:
    orders = objects.ORDERS[:3]
    found = [outcome(program, plain, case, order)[0] for order in orders]
    assert set(found) == FAULTS[case][0], found


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_in_a_checked_build(program: Path, checked: Path, case: str) -> None:
    found, text = outcome(program, checked, case, "shuffled")
    assert found in FAULTS[case][1], text


@pytest.mark.parametrize("case", RIGHT)
def test_the_same_kernels_without_the_fault(
    program: Path, plain: Path, checked: Path, case: str
) -> None:
    for target in (plain, checked):
        for order in objects.ORDERS:
            assert outcome(program, target, case, order) == (QUIET, "")


def numbered(text: str) -> int:
    """The line of bugs.cpp that contains a text, once."""
    found = [n for n, line in enumerate(SOURCE.splitlines(), 1) if text in line]
    assert len(found) == 1
    return found[0]


# What a message says besides its kind.
TOLD = {
    "no_check": ({"arg": "x", "size": "4000", "kernel": "each"}, "int no_check()"),
    "before_start": ({"arg": "x", "offset": "-4", "block": "0,0,0", "thread": "0,0,0"}, "x[i - 1]"),
    "overrun": ({"offset": "32", "thread": "0,0,0"}, "s[n - 968] = 1"),
    "in_loop": ({"var": "s", "kernel": "softmax"}, "s[t] = std::fmax(s[t], s[t + k])"),
    "accumulate": ({"arg": "y", "offset": "0"}, "*y += x[i]"),
    "last_write": ({"arg": "y", "thread": "1,0,0", "kernel": "last"}, "y[0] = static_cast<float>"),
    "host_reads": ({"arg": "x", "offset": "4"}, "return x[1] == input.x[1]"),
    "misaligned": ({"kernel": "each"}, "reinterpret_cast<const Four *>"),
}


@pytest.mark.parametrize("case", TOLD)
def test_a_message_says_whose_memory_and_where(program: Path, checked: Path, case: str) -> None:
    told, line = TOLD[case]
    _, text = outcome(program, checked, case, "forward")
    pairs = dict(re.findall(r" (\w+)=(\S+)", text))
    assert {key: pairs.get(key) for key in told} == told
    assert int(pairs["line"]) == numbered(line)


def test_a_race_names_both_lines(program: Path, checked: Path) -> None:
    _, text = outcome(program, checked, "second_barrier", "forward")
    lines = {int(n) for n in re.findall(r"line=(\d+)", text)}
    assert lines == {numbered("p[ty][tx] = a["), numbered("s += p[ty][i] * q[i][tx]")} or lines == {
        numbered("q[ty][tx] = b["),
        numbered("s += p[ty][i] * q[i][tx]"),
    }
    (said,) = (one for one in defects.read(text, SOURCE) if not one.note)
    assert "other access in line" in said.text


def test_the_plain_build_knows_lines_too(program: Path, plain: Path) -> None:
    _, text = outcome(program, plain, "one_past", "forward")
    assert f" line={numbered('if (i <= WIDE) y[i] = 2 * x[i];')}" in text
    assert "block=3,0,0 thread=232,0,0" in text
