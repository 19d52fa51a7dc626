# SPDX-License-Identifier: Apache-2.0
"""Marked constants: found, replaced, sampled; and halving among variants."""

from __future__ import annotations

import random

import pytest
from doubles import verdict
from hypothesis import given
from hypothesis import strategies as st

from kernelcoder.records import Verdict
from kernelcoder.steps.tuning import halving, tunables
from kernelcoder.steps.tuning.tunables import find, put, variants

SOURCE = """// outcome: verified 1.0
// tune: TILE = 64 {16, 32, 64}
// tune: UNROLL = 2 {1, 2, 4}
constexpr int TILE = 64, UNROLL = 2;  // TILE = 640 is not it
# tune: BLOCK = 128 {128, 256}
BLOCK: tl.constexpr = 128
// tune: WIDTH = 4 {4, 8}
#define WIDTH 4
int TILES = TILE == 64 ? 1 : 2;
"""


def test_marked_constants_are_found_with_their_values() -> None:
    found = {one.name: one.choices for one in find(SOURCE)}
    assert found == {
        "TILE": ("64", "16", "32"),
        "UNROLL": ("2", "1", "4"),
        "BLOCK": ("128", "256"),
        "WIDTH": ("4", "8"),
    }


def test_values_are_put_into_the_constant_and_its_mark_and_nowhere_else() -> None:
    marked = find(SOURCE)
    new = put(SOURCE, marked, {"TILE": "16", "UNROLL": "4", "BLOCK": "256", "WIDTH": "8"})
    changed = [
        (old, now)
        for old, now in zip(SOURCE.splitlines(), new.splitlines(), strict=True)
        if old != now
    ]
    assert [now for _, now in changed] == [
        "// tune: TILE = 16 {16, 32, 64}",
        "// tune: UNROLL = 4 {1, 2, 4}",
        "constexpr int TILE = 16, UNROLL = 4;  // TILE = 640 is not it",
        "# tune: BLOCK = 256 {128, 256}",
        "BLOCK: tl.constexpr = 256",
        "// tune: WIDTH = 8 {4, 8}",
        "#define WIDTH 8",
    ]
    assert put(new, find(new), {one.name: one.choices[1] for one in find(new)}) != new
    back = put(new, find(new), {"TILE": "64", "UNROLL": "2", "BLOCK": "128", "WIDTH": "4"})
    assert back == SOURCE


@pytest.mark.parametrize(
    "source",
    [
        "// tune: N = 4 {4, 8}\nint m = 4;\n",  # no such constant
        "// tune: N = 4 {4, 8}\nint N = 5;\n",  # another value
        "// tune: N = 4 {4}\nint N = 4;\n",  # no choice
        "// tune: N = 4 {4, 8; system()}\nint N = 4;\n",  # no plain value
        "// tune: N = 4\nint N = 4;\n",
        "int N = 4;  // tune: N = 4 {4, 8}\n",
        "// tune: N = 4 {4, 8}\n" + "\n" * 20 + "int N = 4;\n",  # too far away
    ],
)
def test_what_fits_no_constant_is_passed_over(source: str) -> None:
    assert find(source) == ()


@given(st.text(alphabet="// tune: N=4{},8\n#define", max_size=200))
def test_any_text_is_safe(source: str) -> None:
    found = find(source)
    assert put(source, found, {one.name: one.value for one in found}) == source
    for setting in variants(found, 4, random.Random(0)):
        assert len(find(put(source, found, setting))) <= len(source)


def test_variants_begin_with_the_present_one_and_do_not_repeat() -> None:
    marked = find(SOURCE)
    found = list(variants(marked, 10, random.Random(1)))
    assert found[0] == {one.name: one.value for one in marked}
    assert len({tuple(one.items()) for one in found}) == len(found) == 10
    every = list(variants(marked, 1000, random.Random(1)))
    assert len({tuple(one.items()) for one in every}) == len(every) == 3 * 3 * 2 * 2
    assert list(variants(marked, 10, random.Random(2))) != found


def test_spaces_too_large_to_list_are_sampled() -> None:
    choices = ", ".join(str(one) for one in range(1, 17))
    source = "".join(f"// tune: A{i} = 1 {{{choices}}}\nint A{i} = 1;\n" for i in range(20))
    marked = find(source)
    assert len(marked) == tunables.MOST
    assert len(list(variants(marked, 5, random.Random(0)))) == 5


class Bench:
    """Judges sources by their place; noise is the same for everyone who looks as often."""

    def __init__(self, speeds: list[float], wrong: tuple[int, ...] = ()) -> None:
        self.speeds, self.wrong = speeds, wrong
        self.looks: list[int] = []

    def __call__(self, source: str) -> Verdict:
        at = int(source)
        self.looks.append(at)
        if at in self.wrong:
            return verdict("incorrect")
        return verdict("verified", self.speeds[at])


def names(count: int) -> list[str]:
    return [str(one) for one in range(count)]


def test_halving_finds_the_best_and_looks_as_often_as_it_says() -> None:
    for arms in range(1, 20):
        for planted in {0, arms // 2, arms - 1}:
            bench = Bench([2.0 if at == planted else 1.0 + at / 100 for at in range(arms)])
            assert halving.best(names(arms), bench, "eager") == planted
            assert len(bench.looks) == halving.looks(arms)


def test_a_budget_is_never_passed() -> None:
    for budget in range(1, 40):
        arms = halving.affordable(budget)
        assert arms == 1 or halving.looks(arms) <= budget < halving.looks(arms + 1)
    assert (halving.affordable(2), halving.affordable(6), halving.affordable(8)) == (2, 4, 4)


def test_the_better_half_is_looked_at_again() -> None:
    bench = Bench([1.0, 3.0, 2.0, 1.5])
    halving.best(names(4), bench, "eager")
    assert bench.looks == [0, 1, 2, 3, 1, 2]


def test_one_lucky_look_does_not_win() -> None:
    class Lucky(Bench):
        def __call__(self, source: str) -> Verdict:
            lucky = source == "0" and "0" not in map(str, self.looks)
            found = super().__call__(source)
            return verdict("verified", 3.0) if lucky else found

    assert halving.best(names(4), Lucky([1.0, 2.0, 1.2, 1.1]), "eager") == 1


def test_wrong_variants_are_out_and_all_wrong_is_none() -> None:
    assert halving.best(names(3), Bench([1.0, 9.0, 2.0], wrong=(1,)), "eager") == 2
    assert halving.best(names(3), Bench([1.0] * 3, wrong=(0, 1, 2)), "eager") is None
    assert halving.best(names(2), Bench([1.0, 1.0], wrong=(0,)), "eager") == 1


def test_a_first_that_does_not_compile_ends_it() -> None:
    looks: list[str] = []

    def judge(source: str) -> Verdict:
        looks.append(source)
        return verdict("compile_error")

    assert halving.best(names(4), judge, "eager") is None
    assert looks == ["0"]


def test_without_timing_the_first_that_is_right_is_taken() -> None:
    looks: list[str] = []

    def judge(source: str) -> Verdict:
        looks.append(source)
        return verdict("verified" if source == "1" else "incorrect")

    assert halving.best(names(4), judge, "eager") == 1
    assert looks == ["0", "1"]
