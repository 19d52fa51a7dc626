# SPDX-License-Identifier: Apache-2.0
"""Right kernels run right: in every order of threads and blocks, plain and checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from simt import runtime_objects as objects

from kernelcoder.backends.simt import build

CASES = (
    "block_sum", "barrier_predicates", "barrier_after_return", "three_dimensions", "all_shuffles",
    "votes_and_masks", "divergent_masks", "warp_memory", "atomic_histogram", "last_block_reduces",
    "benign_writes", "dynamic_shared", "empty_grid", "metal_edges", "metal_divergence",
)  # fmt: skip
STYLES = (
    "sorting", "scanning", "transposing", "two_buffers", "reducing", "warps_apart",
    "compare_and_swap", "aggregated_atomics", "narrow_elements", "launches_in_a_row", "locks",
)  # fmt: skip
# Documented as fine by CUDA, as undefined by Metal: worth a remark, no more.
REMARKS = {"barrier_after_return": {"note:barrier-after-exit"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("good")


@pytest.fixture(scope="module")
def program(folder: Path) -> Path:
    return objects.driver(folder)


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return objects.compiled(folder, "good")


@pytest.fixture(scope="module")
def checked(folder: Path) -> Path:
    return objects.compiled(folder, "good", checked=True)


@pytest.mark.parametrize("case", CASES)
def test_plain_in_every_order(program: Path, plain: Path, case: str) -> None:
    for order in objects.ORDERS:
        done = objects.run(program, plain, case, order=order)
        assert done.returncode == 0, (order, done.stderr)
        assert objects.kinds(objects.said(done)) == REMARKS.get(case, set()), order


@pytest.mark.parametrize("case", CASES)
def test_checked_without_a_false_alarm(program: Path, checked: Path, case: str) -> None:
    for order in ("forward", "reshuffled"):
        done = objects.run(program, checked, case, order=order)
        assert done.returncode == 0, (order, done.stderr)
        assert objects.kinds(objects.said(done)) == REMARKS.get(case, set()), order


@pytest.mark.parametrize("checked_too", [False, True], ids=["plain", "checked"])
def test_synchronization_as_people_write_it(program: Path, folder: Path, checked_too: bool) -> None:
    target = objects.compiled(folder, "styles", checked=checked_too)
    for case in STYLES:
        for order in objects.ORDERS:
            done = objects.run(program, target, case, order=order)
            assert (done.returncode, objects.said(done)) == (0, []), (case, order, done.stderr)


@pytest.mark.parametrize("checked_too", [False, True], ids=["plain", "checked"])
def test_random_programs_do_what_a_model_of_them_does(
    program: Path, folder: Path, checked_too: bool
) -> None:
    target = objects.compiled(folder, "programs", checked=checked_too)
    for number, order in enumerate(objects.ORDERS):
        done = objects.run(program, target, "programs", order=order, programs=number + 1)
        assert done.returncode == 0, (order, done.stderr)
        assert objects.kinds(objects.said(done)) <= {"note:barrier-after-exit"}, order


@pytest.mark.parametrize("case", ["block_sum", "atomic_histogram", "last_block_reduces"])
def test_blocks_on_several_threads(program: Path, plain: Path, case: str) -> None:
    for seed in range(4):
        done = objects.run(program, plain, case, threads=3, seed=seed)
        assert done.returncode == 0, done.stderr


def order_of(program: Path, plain: Path, **settings: object) -> list[str]:
    """One line per launch: which ticket each thread drew before and after a barrier."""
    done = objects.run(program, plain, "print_order", **settings)
    assert done.returncode == 0
    return done.stdout.splitlines()


def tickets(line: str) -> tuple[list[int], list[int]]:
    """Who came when: before the barrier, after it."""
    drawn = [int(word) for word in line.partition(" poison")[0].split()]
    return [n % 1000 for n in drawn], [n // 1000 for n in drawn]


def test_the_seed_decides_the_order(program: Path, plain: Path) -> None:
    first = order_of(program, plain, seed=5)
    assert first == order_of(program, plain, seed=5)
    assert first != order_of(program, plain, seed=6)
    assert len(set(first)) > 3, "launches of one process are not all in the same order"
    assert len({line.rpartition(" ")[2] for line in first}) > 1, "nor is what they find in memory"


def test_orders_are_what_they_are_called(program: Path, plain: Path) -> None:
    forward = tickets(order_of(program, plain, order="forward")[0])
    assert forward[0] == [*range(64), *range(128, 192), *range(256, 320)]
    reverse = tickets(order_of(program, plain, order="reverse")[0])
    assert reverse[0] == [n for block in (319, 191, 63) for n in range(block, block - 64, -1)]
    shuffled = tickets(order_of(program, plain, order="shuffled")[0])
    assert sorted(shuffled[0]) == sorted(forward[0]) and shuffled[0] not in (forward[0], reverse[0])
    assert [b - a for a, b in zip(*shuffled, strict=True)] == [64] * 192, "kept at the barrier"
    again = tickets(order_of(program, plain, order="reshuffled")[0])
    assert [b - a for a, b in zip(*again, strict=True)] != [64] * 192, "drawn anew at the barrier"


def test_poison_is_what_a_test_asks_for(program: Path, plain: Path) -> None:
    assert {line.rpartition(" ")[2] for line in order_of(program, plain, poison=0x7F)} == {"127"}


def test_kernels_may_use_the_runtime_and_nothing_else_of_it() -> None:
    names = build.exports()
    assert {
        "simt_tls",
        "simt_launch",
        "simt_warp",
        "__tsan_write4",
        "__ubsan_handle_out_of_bounds",
    } <= names
    assert not any(name.startswith("_Z") for name in names)


@pytest.mark.slow
def test_the_portable_switch_of_stacks(program: Path, plain: Path, folder: Path) -> None:
    library = folder / "libsimt-ucontext.so"
    flags = (
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-shared",
        "-pthread",
        "-DSIMT_UCONTEXT",
        "-DSIMT_RUNTIME",
    )
    sources = sorted(build.RUNTIME.glob("*.cpp"))
    objects.run_command("g++", *flags, f"-I{build.INCLUDE}", *sources, "-o", library)
    for case in CASES:
        done = objects.run(program, plain, case, library=library, seed=3)
        assert done.returncode == 0, (case, done.stderr)
