# SPDX-License-Identifier: Apache-2.0
"""What the judge makes of the lines of an emulator: its own words, never the child's."""

from __future__ import annotations

import pytest

from kernelcoder.records import Status
from kernelcoder.verify import defects, wants
from kernelcoder.verify.child import EXIT_WANTS, Exit
from kernelcoder.verify.deaths import explain

SOURCE = "__shared__ float s[32];\nvoid rows(float *x);\n"


@pytest.mark.parametrize("kind", defects.KINDS)
def test_each_kind_has_a_status_and_a_sentence(kind: str) -> None:
    (found,) = defects.read(f"simt: {kind} line=1 var=s thread=3,0,0\n", SOURCE)
    assert found.status in ("runtime_error", "incorrect")
    assert found.text.endswith("(line 1, variable s, thread 3,0,0)")


@pytest.mark.parametrize(
    "line",
    [
        "simt: secret line=1",
        "simt: race line=one\u0430",
        "simt:race",
        " simt: race",
        "simt: race " + " ".join(f"k{i}=1" for i in range(40)),
        "simt: race text=" + "a" * 81,
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    assert defects.read(line + "\n", SOURCE) == ()


def test_no_word_or_number_of_the_child_gets_through() -> None:
    said = "simt: race var=hidden kernel=rows line=99 offset=123456789 block=1,2,3,4 what=5\n"
    (found,) = defects.read(said, SOURCE)
    assert found.text == defects.KINDS["race"][1] + " (kernel rows)"


def test_notes_come_last_and_nothing_comes_twice() -> None:
    text = "simt: note kind=misaligned line=2\nsimt: race line=1\nsimt: race line=1\n"
    first, second = defects.read(text, SOURCE)
    assert (first.note, second.note) == (False, True)


def ended(code: int, text: str) -> Exit:
    return Exit("exited", code, 0, 100, text, False)


@pytest.mark.parametrize(("code", "status"), [(92, "incorrect"), (91, "runtime_error")])
def test_only_the_exit_code_makes_it_a_defect(code: int, status: Status) -> None:
    cause = explain(ended(code, "simt: race line=1\n"), None, True, SOURCE)  # type: ignore[arg-type]
    assert cause.status == status


def framed(kind: str, name: str, text: str, size: int | None = None) -> str:
    return f"wants: {kind} {name} {len(text) if size is None else size}\n{text}\n"


def test_wants_are_read_as_they_were_framed() -> None:
    inner = framed("cpp", "fake", "int x;")  # a text may hold what looks like a frame
    text = "census: end\n" + framed("ttir", "k_1", inner) + framed("cpp", "k_2", "float y;\n")
    found = wants.read(ended(EXIT_WANTS, text))
    assert [(one.kind, one.name, one.text) for one in found] == [
        ("ttir", "k_1", inner),
        ("cpp", "k_2", "float y;\n"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        framed("cpp", "k", "int x;", size=5000),
        framed("cpp", "k", "x" * (wants.LARGEST + 1)),
        framed("CPP", "k", "int x;"),
        framed("cpp", "k-1", "int x;"),
        "",
    ],
)
def test_what_is_not_framed_rightly_is_not_wanted(text: str) -> None:
    assert wants.read(ended(EXIT_WANTS, text)) == ()


def test_only_so_many_are_taken_and_only_at_that_exit() -> None:
    text = "".join(framed("cpp", f"k{i}", "int x;") for i in range(wants.MOST + 9))
    assert len(wants.read(ended(EXIT_WANTS, text))) == wants.MOST
    assert wants.read(ended(0, text)) == ()
