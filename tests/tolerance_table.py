# SPDX-License-Identifier: Apache-2.0
"""Writes docs/results/tolerances.md: what the tolerance grants, for each task and dtype, what
trusted arithmetic needs, and what all honest kernels we have use of it.

Run from the repository's root: ``PYTHONPATH=.:tests python tests/tolerance_table.py KEYS [FILE]``.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import candidate_runner as runner
import torch
from torch import Tensor

from benchmarks import core
from kernelcoder.models import recipes
from kernelcoder.redteam.corpus import HONEST
from kernelcoder.task import Task
from kernelcoder.verify import numerics, oracle

HEAD = """# Tolerances: granted, needed, used

Made by `PYTHONPATH=.:tests python tests/tolerance_table.py {keys} docs/results/tolerances.md`.

Over all hidden cases of {keys} keys, in ulps of the output's dtype at the size that rounding errors
scale with (`Task.magnitude`). *granted*: the tolerance, median over the cases of its largest value
in a case, and the largest of all. *trusted*: the largest error of PyTorch in float32 and of a plain
sequential float32 loop, before rounding to the dtype. *honest*: the largest error of any honest
kernel ({kernels} in all: the known solutions, recipe templates, the red team's honest kernels).
*used*: the largest share of its tolerance that any of them used on any element; above 1 would be a
false alarm. Results near the subnormal numbers are left out of the ulps, not of *used*. Exact
cases, in which only the correctly rounded value is right, are counted apart and left out of the
other columns.

| task | dtype | cases | exact | granted median | granted max | trusted | honest | used | by |
|---|---|--:|--:|--:|--:|--:|--:|--:|---|
"""


# Not honest in float32: 9.5 ulps, where PyTorch needs half of one.
COARSE = (("tanh", "mid"),)


@dataclass
class Line:
    """One row of the table; sizes in ulps."""

    cases: int = 0
    exact: int = 0
    granted: list[float] = field(default_factory=list)
    trusted: float = 0.0
    honest: float = 0.0
    used: float = 0.0
    by: str = ""


def say(line: str) -> None:
    """A line to the terminal, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def kernels(task: Task) -> Iterator[tuple[str, str]]:
    """(name, source) of every honest kernel of a task."""
    yield "solution", task.solutions["cpu"]
    for one in HONEST["cpu"]:
        if one.task == task.name and one.threads == 1:
            yield one.name, one.source
    slots = recipes.slots_of(task.recipe)
    safe = {slot.name: slot.safe for slot in slots}
    yield "recipe", recipes.render(task.recipe, safe)
    for slot in slots:
        if slot.name == "approx":
            for order in ("mid", "libm"):
                if (task.name, order) in COARSE:
                    continue
                yield f"recipe, {order}", recipes.render(task.recipe, {**safe, "approx": order})


def share(got: Tensor, bounds: numerics.Bounds) -> tuple[float, float]:
    """(largest error in ulps, largest share of the tolerance) where both are finite."""
    error = (got.double() - bounds.expected).abs()
    slack = torch.maximum(
        bounds.high.double() - bounds.expected, bounds.expected - bounds.low.double()
    )
    known = torch.isfinite(error) & torch.isfinite(slack) & (slack > 0)
    ordinary = known & _ordinary(bounds)
    return (
        float(torch.where(ordinary, error / bounds.spacing, 0.0).max()),
        float(torch.where(known, error / slack, 0.0).max()),
    )


def _ordinary(bounds: numerics.Bounds) -> Tensor:
    """Where neither subnormal spacing nor the slack for flushing is what counts."""
    least = torch.finfo(numerics.TORCH[bounds.dtype]).smallest_normal
    return bounds.expected.abs() >= least * (1.0 if bounds.dtype == "f16" else 2.0**26)


def measure(task: Task, keys: int, folder: Path) -> tuple[dict[str, Line], int]:
    """The lines of a task by dtype, and how many kernels were run."""
    lines: dict[str, Line] = defaultdict(Line)
    sheets = [oracle.make_sheet(task, f"table-{key}") for key in range(keys)]
    for sheet in sheets:
        for case, inputs, (bounds,) in zip(sheet.cases, sheet.inputs, sheet.answers, strict=True):
            line = lines[case.dtype]
            line.cases += 1
            if bounds.exact:
                line.exact += 1
                continue
            half = (bounds.high.double() - bounds.low.double()) / 2 / bounds.spacing
            half = half[torch.isfinite(half) & _ordinary(bounds)]
            if half.numel():
                line.granted.append(float(half.max()))
            single = tuple(oracle.exact(x).float() for x in inputs)
            for compute in (task.reference, task.plain):
                if compute is not None:
                    got = compute(*single, *oracle.scalars(task, case))
                    line.trusted = max(line.trusted, share(got, bounds)[0])
    count = 0
    for name, source in kernels(task):
        count += 1
        library = runner.build(source, folder)
        for sheet in sheets:
            outputs = runner.outputs(task, library, sheet.cases, sheet.inputs)
            if isinstance(outputs, int):
                raise SystemExit(f"{task.name}, {name}: ended with {outputs}")
            for case, got, (bounds,) in zip(sheet.cases, outputs, sheet.answers, strict=True):
                if bool(bounds.wrong(got).any()):
                    say(f"FALSE ALARM {task.name}, {name}: {case.name} {case.shapes}")
                if bounds.exact:
                    continue
                line, (ulps, used) = lines[case.dtype], share(got, bounds)
                line.honest = max(line.honest, ulps)
                if used > line.used:
                    line.used, line.by = used, f"{name}: {case.name.removeprefix('hidden-')}"
    return lines, count


def main() -> None:
    """Print the table, or write it to a file."""
    keys = int(sys.argv[1])
    rows, total = [], 0
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        runner.precompile(Path(folder))
        for name in core.names():
            lines, count = measure(core.load(name), keys, Path(folder))
            total += count
            for dtype, line in lines.items():
                granted = sorted(line.granted)
                middle = f"{granted[len(granted) // 2]:.2f}" if granted else ""
                most = f"{granted[-1]:.1f}" if granted else ""
                figures = f"{line.trusted:.2f} | {line.honest:.2f} | {line.used:.2f}"
                rows.append(
                    f"| {name} | {dtype} | {line.cases} | {line.exact} | {middle} | {most}"
                    f" | {figures} | {line.by} |"
                )
                say(rows[-1])
    if len(sys.argv) > 2:
        text = HEAD.format(keys=keys, kernels=total) + "\n".join(rows) + "\n"
        Path(sys.argv[2]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
