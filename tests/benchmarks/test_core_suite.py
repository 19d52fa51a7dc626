# SPDX-License-Identifier: Apache-2.0
"""Every task of the core suite keeps the promises of its contract. New ops are tested for free."""

from __future__ import annotations

import math
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import core, cpp, generate
from kernelcoder.errors import Error
from kernelcoder.task import ITEMSIZE, Case, Task
from kernelcoder.verify import timing

ARGUMENTS = {
    **dict.fromkeys(
        ("relu", "silu", "gelu", "tanh", "sigmoid", "exp", "log", "sqrt", "abs"), (("x", "y"), ())
    ),
    **dict.fromkeys(("elementwise_add", "elementwise_mul"), (("a", "b", "y"), ())),
    "swiglu": (("gate", "up", "y"), ()),
    **dict.fromkeys(("softmax", "sum_last", "max_last", "mean_last"), (("x", "y"), ())),
    "rmsnorm": (("x", "weight", "y"), ("eps",)),
    "layernorm": (("x", "weight", "bias", "y"), ("eps",)),
    "rope": (("x", "y"), ("base",)),
    "matmul": (("a", "b", "y"), ()),
}
BYTES_PER_HOLDOUT_SET = 5 << 20
POSITIVE = ("log", "sqrt")
NO_SPECIALS = ("rope", "matmul")

tasks = pytest.mark.parametrize(
    "task", [core.load(name) for name in core.names()], ids=lambda t: t.name
)


def holdout(task: Task, seed: int) -> tuple[Case, ...]:
    return task.holdout(random.Random(seed))


def answer(task: Task, case: Case, seed: int) -> torch.Tensor:
    inputs = [tensor.double() for tensor in task.make_inputs(case, seed)]
    return task.reference(*inputs, *(case.scalars[name] for name in task.scalars))


def test_the_suite_is_the_twenty_operators() -> None:
    assert set(core.names()) == set(ARGUMENTS)
    assert len(core.names()) == 20


@tasks
def test_arguments(task: Task) -> None:
    tensors, scalars = ARGUMENTS[task.name]
    assert tuple(arg.name for arg in (*task.inputs, *task.outputs)) == tensors
    assert task.scalars == scalars
    assert task.suite == "core"
    assert task.description
    assert task.title
    assert "def reference" in task.reference_source
    assert task.recipe["family"] in ("pointwise", "reduce", "rownorm", "rope", "matmul")


@tasks
def test_the_reference_runs_on_every_case_in_float64(task: Task) -> None:
    for case in (*task.visible, *holdout(task, 1)):
        y = answer(task, case, 2)
        assert y.dtype == torch.float64
        assert tuple(y.shape) == case.shapes["y"]
        assert set(case.scalars) == set(task.scalars)
        if task.magnitude is not None:
            inputs = [tensor.double() for tensor in task.make_inputs(case, 2)]
            size = task.magnitude(*inputs, *(case.scalars[name] for name in task.scalars))
            assert size.shape == y.shape
            assert not (size < 0).any()


@tasks
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_axis_is_covered_in_every_holdout_set(task: Task, seed: int) -> None:
    cases = holdout(task, seed)
    main = task.inputs[0].name
    assert {case.dtype for case in cases} == {"f32", "f16", "bf16"}
    assert {case.layout for case in cases} == {"contiguous", "strided", "transposed", "offset"}
    sizes = [math.prod(case.shapes["y"]) for case in cases]
    assert 0 in sizes
    assert min(size for size in sizes if size) <= 2, "one element, or one pair"
    elements = [math.prod(case.shapes[main]) for case in cases]
    assert max(elements) > 70_000
    rows = [math.prod(case.shapes[main][:-1]) for case in cases]
    assert max(rows) > 4096
    ragged = [case for case in cases if case.shapes[main][-1] % 4]
    assert len(ragged) >= 8, "sizes that are no multiple of a block"
    wanted = set(generate.FAMILIES) - {"shifted"}
    wanted -= {"negative"} if task.name in POSITIVE else set()
    wanted -= {"special"} if task.name in NO_SPECIALS else set()
    assert {case.values for case in cases} >= wanted
    assert all(case.hidden for case in cases)
    assert len({case.name for case in (*cases, *task.visible)}) == len(cases) + len(task.visible)


@tasks
def test_holdouts_are_fresh_and_repeatable(task: Task) -> None:
    assert holdout(task, 3) == holdout(task, 3)
    first, second = holdout(task, 3), holdout(task, 4)
    changed = sum(a.shapes != b.shapes for a, b in zip(first, second, strict=True))
    assert changed >= len(first) // 2
    for name in task.scalars:
        used = [case.scalars[name] for case in first]
        assert len(set(used)) == len(used), f"{name} varies"
        assert max(used) > 10 * min(used)


@tasks
@pytest.mark.parametrize("seed", [5, 6, 7])
def test_a_holdout_set_is_small(task: Task, seed: int) -> None:
    total = sum(
        tensor.untyped_storage().nbytes()
        for case in holdout(task, seed)
        for tensor in task.make_inputs(case, 1)
    )
    assert total < BYTES_PER_HOLDOUT_SET


@tasks
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fast_paths_and_middling_sizes_are_in_every_holdout_set(task: Task, seed: int) -> None:
    """What a fixed buffer, a vector loop without a tail or a branch on the type may get wrong."""
    cases, main = holdout(task, seed), task.inputs[0].name
    shapes = [case.shapes[main] for case in cases]
    full = [case for case in cases if 0 not in case.shapes["y"]]
    even = [case for case in full if case.shapes[main][-1] % 64 == 0]
    assert {case.dtype for case in even} == {"f32", "f16", "bf16"}
    rows = [(math.prod(shape[:-1]), shape[-1]) for shape in shapes]
    assert any(16 < count < 41 and 1000 <= length <= 4100 for count, length in rows)
    assert any(count > 13 and length > 4096 for count, length in rows)
    if task.name not in NO_SPECIALS:
        special = {(case.dtype, case.layout) for case in cases if case.values == "special"}
        assert {dtype for dtype, _ in special} == {"f32", "f16", "bf16"}
        assert ("f32", "strided") in special
        assert any(len(shape) == 1 and shape[0] > 100 for shape in shapes), "a vector"
        assert any(len(shape) == 4 for shape in shapes)


@pytest.mark.parametrize("name", ["rmsnorm", "layernorm"])
def test_weights_and_biases_are_not_trivial(name: str) -> None:
    task = core.load(name)
    vectors = [i for i, arg in enumerate(task.inputs) if arg.name in ("weight", "bias")]
    assert vectors
    for case in holdout(task, 6):
        inputs = task.make_inputs(case, 7)
        for place in vectors:
            assert float((inputs[place] - 1).abs().max()) > 0.01
            assert float(inputs[place].abs().max()) > 1e-3 or inputs[place].numel() < 2


@tasks
def test_visible_and_timing_cases(task: Task) -> None:
    assert 2 <= len(task.visible) <= 4
    assert not any(case.hidden for case in (*task.visible, *task.timing))
    assert [case.name.split("-")[0] for case in task.timing] == ["hot", "cold"]
    for case in task.timing:
        assert (case.dtype, case.layout, case.values) == ("f32", "contiguous", "normal")
        tensors = sum(math.prod(shape) for shape in case.shapes.values()) * ITEMSIZE["f32"]
        assert task.bytes(case) == tensors
        assert task.flops(case) >= math.prod(case.shapes["y"])
        working_set = timing.CALLS[timing.regime(case)] * tensors  # every call has its own buffers
        if case.name.startswith("cold"):
            assert working_set > 48 << 20, "half as much again as a large last-level cache"
        else:
            assert 4 << 20 <= working_set <= 16 << 20, "past the second level, within the last"


@pytest.mark.parametrize("seed", range(3))
def test_a_matmul_without_terms_is_in_every_holdout_set(seed: int) -> None:
    """K = 0: y has elements, and all of them are 0."""
    task = core.load("matmul")
    found = [c for c in holdout(task, seed) if c.shapes["a"][1] == 0 and math.prod(c.shapes["y"])]
    assert found
    for case in found:
        assert torch.equal(answer(task, case, 1), torch.zeros(case.shapes["y"]).double())


@tasks
def test_known_kernels_are_there(task: Task) -> None:
    assert task.solutions["cpu"].startswith("#include <kernelcoder.h>")
    assert len(task.wrong["cpu"]) >= 3
    sources = {task.solutions["cpu"], *task.wrong["cpu"].values()}
    assert len(sources) == len(task.wrong["cpu"]) + 1


def test_unknown_names_list_the_nearest() -> None:
    with pytest.raises(Error, match="core/softmax"):
        core.load("sotfmax")
    with pytest.raises(Error, match="core/abs"):
        core.load("???")


def test_names_and_digest_do_not_import_torch() -> None:
    code = (
        "import sys; from benchmarks import core; core.names(); core.digest('relu');"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(core.__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_one_more_operator_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (Path(core.__file__).parent / "abs.py").read_text()
    (tmp_path / "absolute.py").write_text(source.replace('name="abs"', 'name="absolute"'))
    (tmp_path / "relu.py").write_text("raise SystemExit('a core op must not be replaced')\n")
    monkeypatch.setenv(core.PATH_VARIABLE, str(tmp_path))
    assert "absolute" in core.names()
    task = core.load("absolute")
    assert task.id == "core/absolute"
    assert task.digest == core.digest("absolute") != core.digest("abs")
    assert core.load("relu").name == "relu"
    before = task.digest
    (tmp_path / "absolute.py").write_text(
        source.replace('name="abs"', 'name="absolute"') + "# more\n"
    )
    assert core.digest("absolute") != before


@pytest.mark.parametrize("part", ["cpp.py", "core/_cpp/rows.h"])
def test_the_digest_covers_what_known_kernels_are_built_from(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the `reference` baseline: another one is another task."""
    suite = shutil.copytree(core.HERE.parent, tmp_path / "benchmarks")
    monkeypatch.setattr(core, "HERE", suite / "core")
    before = core.digest("softmax")
    (suite / part).write_text((suite / part).read_text() + "\n")
    assert core.digest("softmax") != before


def test_a_file_without_its_task_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nothing.py").write_text("TASK = 3\n")
    monkeypatch.setenv(core.PATH_VARIABLE, str(tmp_path))
    with pytest.raises(Error, match="must define TASK"):
        core.load("nothing")


def test_an_edit_that_changes_nothing_is_refused() -> None:
    assert cpp.edit("a b", ("a", "c")) == "c b"
    for change in (("x", "y"), ("a", "a")):
        with pytest.raises(ValueError, match="changes nothing"):
            cpp.edit("a b", change)


@tasks
def test_a_solution_holds_no_definition_it_does_not_use(task: Task) -> None:
    """Solutions are examples in prompts, where every line costs tokens."""
    source = re.sub(r"//.*", "", task.solutions["cpu"])
    defined = re.findall(
        r"^(?:static [^\n(]*?|typedef .*? )\b(\w+)(?:\(| __attribute__)", source, re.M
    )
    assert len(defined) >= 1
    for name in defined:
        assert len(re.findall(rf"\b{name}\b", source)) > 1, name


def test_a_definition_of_a_fragment_that_does_not_end_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = {"vec": "static int f() { return 1; }\n", "rows": "static int g() {\n"}
    monkeypatch.setattr(cpp, "_fragment", texts.__getitem__)
    assert cpp.paste(["vec"], "int h() { return f(); }").count("f()") == 2
    assert "f()" not in cpp.paste(["vec"], "int h() { return 2; }")
    with pytest.raises(ValueError, match="does not end"):
        cpp.paste(["rows"], "")


@tasks
def test_writes_past_the_caches_are_ended(task: Task) -> None:
    """Non-temporal stores are weakly ordered: without a fence a reader may see what was there."""
    source = task.solutions["cpu"]
    calls = {name: len(re.findall(rf"\b{name}\(", source)) for name in ("stream", "stream_end")}
    assert (calls["stream"] > 1) == (calls["stream_end"] > 1)
    assert ("_mm512_stream_ps" in source) == ("_mm_sfence" in source)
