# SPDX-License-Identifier: Apache-2.0
"""The chart sections of the page: score against budget and fast_p, each with its table."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report import claims, profile_views
from kernelcoder.report.curves import AXES, Curve, fast_curve, group_curve
from kernelcoder.report.lines import MANY, Line, chooser
from kernelcoder.report.quote import esc
from kernelcoder.report.rows import FAST_P, Row, speedup
from kernelcoder.report.svg import Frame, Series, compact, line_chart
from kernelcoder.report.tables import table

MOST_TABLE_ROWS = 16
__all__ = ["budget_section", "fast_section", "table"]
MOST_BANDS = 3  # more of them overlap into mud


def budget_section(lines: Sequence[Line]) -> str:
    """Curves over each budget axis behind radio buttons, which work without a script."""
    switches, panels = [], []
    for number, (axis, meaning) in enumerate(AXES.items()):
        checked = " checked" if number == 0 else ""
        switches.append(
            f'<input type="radio" name="axis" id="axis-{axis}"{checked}>'
            f'<label for="axis-{axis}">{axis}</label>'
        )
        panels.append(f'<div class="panel" id="panel-{axis}">{_panel(lines, axis, meaning)}</div>')
    return (
        "<p>Values are <strong>search timings</strong>: what the search knew at that point. Final "
        "numbers above are re-timed. Until a task has a kernel that is verified and faster, it "
        "counts as the baseline itself (1.0). The denominator is always all tasks, in all seeds. "
        "95% bands resample tasks; they are drawn for up to three lines and always tabled.</p>"
        f"{chooser(lines)}"
        f'<fieldset class="switch"><legend>Budget axis</legend>{"".join(switches)}'
        f"{''.join(panels)}</fieldset>"
    )


def _panel(lines: Sequence[Line], axis: str, meaning: str) -> str:
    curves = [group_curve(line.group.runs, axis) for line in lines]
    labels = [line.group.label for line in lines]
    frames = (
        ("Share of tasks verified", 1, Frame(
            f"Share of tasks verified against {meaning}", meaning, 0.0, 1.0,
            lambda y: f"{100 * y:.0f}%", whole=axis == "attempts",
        )),
        ("Speedup so far, geometric mean over all tasks", 2, Frame(
            f"Best speedup so far against {meaning}", meaning, 1.0, 1.2,
            lambda y: f"{y:g}x", baseline=1.0, whole=axis == "attempts",
        )),
    )  # fmt: skip
    figures, few = [], len(curves) <= MOST_BANDS
    for title, column, frame in frames:
        series = [
            Series(
                line.group.label,
                [(p[0], p[column]) for p in c.points],
                line.index,
                steps=not c.expected,
                band=[(b[2 * column - 2], b[2 * column - 1]) for b in c.bands] if few else (),
                off=line.off,
            )
            for c, line in zip(curves, lines, strict=True)
            if column == 1 or c.timed
        ]
        drawn = any(one.points for one in series)
        chart = line_chart(frame, series, f"c-{axis}-{column}") if drawn else ""
        if not series:
            chart = "<p>Speed was not measured.</p>"
        figures.append(f"<figure><figcaption>{title}</figcaption>{chart}</figure>")
    unknown: dict[str, list[str]] = {}
    for c, label in zip(curves, labels, strict=True):
        if c.unknown:
            unknown.setdefault(c.unknown, []).append(label)
    notes = [f"<li>{some(who)}: no curve, {esc(why)}.</li>" for why, who in unknown.items()]
    expected = [label for c, label in zip(curves, labels, strict=True) if c.expected]
    if expected:
        notes.append(
            f"<li>{some(expected)}: independent drafts, so the curve is the unbiased "
            "expectation over their orders (pass@k, best-of-k). Other curves are the one order "
            "that happened.</li>"
        )
    return (
        f'<div class="pair">{"".join(figures)}</div>'
        + (f'<ul class="notes">{"".join(notes)}</ul>' if notes else "")
        + f"<details><summary>Area under the curve, and budget to target</summary>"
        f"{profile_views.budget_table(lines, curves, axis)}</details>"
        f"<details><summary>The same as a table</summary>{_curve_table(curves, labels)}</details>"
    )


def some(names: Sequence[str], most: int = 6) -> str:
    """Names as HTML, the first few and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(esc, names[:most])) + more


def _curve_table(curves: Sequence[Curve], labels: Sequence[str]) -> str:
    body = []
    for c, label in zip(curves, labels, strict=True):
        stride = max(1, -(-len(c.points) // MOST_TABLE_ROWS))
        picked = list(c.points[::stride])
        if c.points and picked[-1] != c.points[-1]:
            picked.append(c.points[-1])
        for x, share, speed in picked:
            low, high, slow, fast = c.bands[c.points.index((x, share, speed))]
            body.append(
                [
                    esc(label),
                    compact(float(f"{x:.4g}")),
                    f"{100 * share:.1f}% <small>[{100 * low:.0f}, {100 * high:.0f}]</small>",
                    f"{claims.times(speed)} <small>[{claims.times(slow)}, {claims.times(fast)}]"
                    "</small>"
                    if c.timed
                    else "-",
                ]
            )
    return table(["cell", "budget per task", "tasks verified", "speedup so far (search)"], body)


def fast_section(lines: Sequence[Line], rows: Sequence[Row], labels: Sequence[str]) -> str:
    """fast_p and the performance profile from final timings, charts and tables."""
    if all(row["fast_1"] is None for row in rows):
        return "<p>Speed was not measured.</p>"
    frame = Frame(
        "fast_p: share of all tasks verified and more than p times as fast as the baseline",
        "p (times the baseline)", 0.0, 1.0, lambda y: f"{100 * y:.0f}%", x_low=0.0, legend=True,
    )  # fmt: skip
    timed = [
        all(rows[place]["fast_1"] is not None for place in line.group.places) for line in lines
    ]
    series = [
        Series(line.group.label, fast_curve(line.group.runs, speedup) if known else [], line.index,
               steps=True, off=line.off)
        for line, known in zip(lines, timed, strict=True)
    ]  # fmt: skip
    head = ["cell", *(f"p = {p:g}" for p in FAST_P)]
    body = [
        [esc(label), *(_percent(row["fast_p"][f"{p:g}"]) for p in FAST_P)]
        for row, label in zip(rows, labels, strict=True)
    ]
    found = table(head, body)
    if len(rows) > MANY:
        found = f"<details><summary>The same as a table</summary>{found}</details>"
    return (
        "<p>Share of <em>all</em> tasks whose chosen kernel is verified and, re-timed, more than p "
        "times as fast as the baseline. p = 0 is correctness.</p>"
        f'<div class="pair"><figure><figcaption>fast_p</figcaption>'
        f"{line_chart(frame, series, 'c-fast')}</figure>{profile_views.figure(lines)}</div>{found}"
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f}%"
