# SPDX-License-Identifier: Apache-2.0
"""The chart sections of the page: score against budget and fast_p, each with its table."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report import claims
from kernelcoder.report.curves import AXES, Curve, curve, fast_curve
from kernelcoder.report.quote import esc
from kernelcoder.report.rows import FAST_P, Row, speedup
from kernelcoder.report.source import CellRun
from kernelcoder.report.svg import Frame, Series, compact, line_chart

MOST_TABLE_ROWS = 16
MOST_BANDS = 3  # more of them overlap into mud


def table(head: Sequence[str], body: Sequence[Sequence[str]], kind: str = "") -> str:
    """An HTML table of safe cell contents: first column heads its row, the others are numbers."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = [
        f'<tr><th scope="row">{line[0]}</th>' + "".join(f"<td>{c}</td>" for c in line[1:]) + "</tr>"
        for line in body
    ]
    style = f' class="{kind}"' if kind else ""
    return (
        f'<div class="scroll"><table{style}><thead><tr>{top}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def budget_section(runs: Sequence[CellRun], labels: Sequence[str]) -> str:
    """Curves over each budget axis behind radio buttons, which work without a script."""
    switches, panels = [], []
    for number, (axis, meaning) in enumerate(AXES.items()):
        checked = " checked" if number == 0 else ""
        switches.append(
            f'<input type="radio" name="axis" id="axis-{axis}"{checked}>'
            f'<label for="axis-{axis}">{axis}</label>'
        )
        curves = [curve(run, axis) for run in runs]
        panels.append(
            f'<div class="panel" id="panel-{axis}">{_panel(curves, labels, meaning)}</div>'
        )
    return (
        "<p>Values are <strong>search timings</strong>: what the search knew at that point. Final "
        "numbers above are re-timed. Until a task has a kernel that is verified and faster, it "
        "counts as the baseline itself (1.0). The denominator is always all tasks of the cell. "
        "95% bands resample tasks; they are drawn for up to three cells and always tabled.</p>"
        f'<fieldset class="switch"><legend>Budget axis</legend>{"".join(switches)}'
        f"{''.join(panels)}</fieldset>"
    )


def _panel(curves: Sequence[Curve], labels: Sequence[str], meaning: str) -> str:
    axis = curves[0].axis if curves else ""
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
                label,
                [(p[0], p[column]) for p in c.points],
                i,
                steps=not c.expected,
                band=[(b[2 * column - 2], b[2 * column - 1]) for b in c.bands] if few else (),
            )
            for i, (c, label) in enumerate(zip(curves, labels, strict=True))
            if column == 1 or c.timed
        ]
        drawn = any(one.points for one in series)
        chart = line_chart(frame, series, f"c-{axis}-{column}") if drawn else ""
        if not series:
            chart = "<p>Speed was not measured.</p>"
        figures.append(f"<figure><figcaption>{title}</figcaption>{chart}</figure>")
    notes = [
        f"<li>{esc(label)}: no curve, {esc(c.unknown)}.</li>"
        for c, label in zip(curves, labels, strict=True)
        if c.unknown
    ]
    expected = [esc(label) for c, label in zip(curves, labels, strict=True) if c.expected]
    if expected:
        notes.append(
            f"<li>{', '.join(expected)}: independent drafts, so the curve is the unbiased "
            "expectation over their orders (pass@k, best-of-k). Other curves are the one order "
            "that happened.</li>"
        )
    return (
        f'<div class="pair">{"".join(figures)}</div>'
        + (f'<ul class="notes">{"".join(notes)}</ul>' if notes else "")
        + f"<details><summary>The same as a table</summary>{_curve_table(curves, labels)}</details>"
    )


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


def fast_section(runs: Sequence[CellRun], rows: Sequence[Row], labels: Sequence[str]) -> str:
    """fast_p from final timings, chart and table."""
    if all(row["fast_1"] is None for row in rows):
        return "<p>Speed was not measured.</p>"
    frame = Frame(
        "fast_p: share of all tasks verified and more than p times as fast as the baseline",
        "p (times the baseline)", 0.0, 1.0, lambda y: f"{100 * y:.0f}%", x_low=0.0, legend=True,
    )  # fmt: skip
    series = [
        Series(label, fast_curve(run, speedup) if row["fast_1"] is not None else [], i, steps=True)
        for i, (run, row, label) in enumerate(zip(runs, rows, labels, strict=True))
    ]
    head = ["cell", *(f"p = {p:g}" for p in FAST_P)]
    body = [
        [esc(label), *(_percent(row["fast_p"][f"{p:g}"]) for p in FAST_P)]
        for row, label in zip(rows, labels, strict=True)
    ]
    return (
        "<p>Share of <em>all</em> tasks whose chosen kernel is verified and, re-timed, more than p "
        "times as fast as the baseline. p = 0 is correctness.</p>"
        f'<div class="pair"><figure><figcaption>fast_p</figcaption>'
        f"{line_chart(frame, series, 'c-fast')}</figure></div>{table(head, body)}"
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f}%"
