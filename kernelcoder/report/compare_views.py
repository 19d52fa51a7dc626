# SPDX-License-Identifier: Apache-2.0
"""A comparison as text within 100 columns and as a self-contained HTML page."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TextIO

from kernelcoder.report import claims, reporting_block
from kernelcoder.report.compare import Comparison, Contrast, PairedTask
from kernelcoder.report.html import document
from kernelcoder.report.quote import esc
from kernelcoder.report.rows import cell_row
from kernelcoder.report.svg import interval_plot
from kernelcoder.report.table import WIDTH, grid
from kernelcoder.report.tables import table
from kernelcoder.wording import tally

FOOTNOTES = (
    "Ratios are B/A: above 1, B's kernels are the faster ones. Failures count 1.0, slower "
    "kernels count their true value.",
    "Intervals: 95%, bootstrap over tasks, over seeds within them where there are several, and "
    "over families of tasks where there are ten or more. p: two-sided sign-flip test over tasks, "
    "exact up to 20 tasks.",
    "No contrast was declared beforehand: read this as exploratory.",
)


def print_comparison(found: Comparison, out: TextIO) -> None:
    """The configuration difference, then every contrast with its tasks."""
    for side in found.sides:
        print(f"{side.letter}: {side.name} ({tally(len(side.runs), 'cell')})", file=out)
    print(file=out)
    if found.settings:
        head = ["settings that differ", *(side.letter for side in found.sides)]
        for line in grid(head, [[_symbol(n), *values] for n, values in found.settings]):
            print(line, file=out)
    else:
        print("settings that differ: none", file=out)
    for contrast in found.contrasts:
        print(file=out)
        for line in _text(contrast):
            print(line[: WIDTH + 20], file=out)
    print(file=out)
    for line in (*(f"note: {note}" for note in found.notes), *FOOTNOTES):
        print("\n".join(textwrap.wrap(line, WIDTH - 2, subsequent_indent="  ")), file=out)


def _symbol(name: str) -> str:
    return name if name.islower() else f"CONFIG_{name}"


def sentences(c: Contrast) -> list[str]:
    """What the contrast says, from its numbers alone."""
    a, b = c.letters[0], c.letters[1]
    n, only = len(c.tasks), "only" if len(c.seeds) == 1 else "more often"
    out = [
        f"Verified of {tally(n, 'task')}: {a} {_verified(c, 'a')}, {b} {_verified(c, 'b')}; "
        f"both on {c.both}, {only} {a} on {c.only_a}, {only} {b} on {c.only_b}, "
        f"neither on {c.none}; p = {_p(c.p_verified)} ({c.verified_test})."
    ]
    if c.ratio is None:
        return [*out, "Speed: not measured on both sides."]
    interval = c.ratio_interval
    span = f" [{claims.times(interval[0])}, {claims.times(interval[1])}]" if interval else ""
    adjusted = "" if c.p_holm in (None, c.p_speed) else f", Holm {_p(c.p_holm)}"
    out.append(
        f"Speed over {c.baseline}, all {tally(n, 'task')}: {a} {claims.times(c.a_geomean)}, "
        f"{b} {claims.times(c.b_geomean)}; {b}/{a} = {claims.times(c.ratio)}{span}, "
        f"p = {_p(c.p_speed)}{adjusted}. {_conclusion(c, a, b)}"
    )
    if c.improvement is not None and c.detectable is not None:
        out.append(
            f"Chance that {b} beats {a} on a task: {c.improvement:.2f}. A true ratio of "
            f"{claims.times(c.detectable)} or more would be found with 80% power by this design."
        )
    return out


def _conclusion(c: Contrast, a: str, b: str) -> str:
    """A direction only where the interval excludes 1 and the adjusted test agrees."""
    p = c.p_holm if c.p_holm is not None else c.p_speed
    if c.ratio_interval is None or p is None or p > 0.05:
        return "No clear difference."
    lo, hi = c.ratio_interval
    if lo > 1:
        return f"{b}'s kernels are faster."
    return f"{a}'s kernels are faster." if hi < 1 else "No clear difference."


def _verified(c: Contrast, side: str) -> str:
    total = math.fsum(t.a_verified if side == "a" else t.b_verified for t in c.tasks)
    return f"{total:g}" if total == int(total) else f"{total:.1f}"


def _p(p: float | None) -> str:
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _text(c: Contrast) -> list[str]:
    seeds = "" if len(c.seeds) == 1 else f", seeds {', '.join(c.seeds)}"
    lines = [f"{c.letters[0]} {c.a}  against  {c.letters[1]} {c.b}{seeds}"]
    for sentence in sentences(c):
        lines += textwrap.wrap(sentence, WIDTH - 2, initial_indent="  ", subsequent_indent="    ")
    if c.left_out:
        lines.append(f"  left out, not ended on both sides: {', '.join(c.left_out)}")
    body = [
        [
            f"  {t.task}",
            _side(t.a_speed, t.a_verified),
            _side(t.b_speed, t.b_verified),
            _ratio(c, t),
        ]
        for t in c.tasks
    ]
    ratio = f"{c.letters[1]}/{c.letters[0]}"
    return [*lines, *grid(["  task", c.letters[0], c.letters[1], ratio], body)]


def _side(speed: float | None, share: float) -> str:
    if share == 0:
        return "no right kernel"
    many = "" if share == 1 else f" ({100 * share:.0f}% of seeds)"
    return ("verified, not timed" if speed is None else f"{claims.times(speed)}x") + many


def _ratio(c: Contrast, t: PairedTask) -> str:
    return claims.times(math.exp(t.difference)) if c.timed else "-"


def comparison_page(found: Comparison) -> str:
    """The same as one HTML file."""
    names = "; ".join(f"{side.letter}: {side.name}" for side in found.sides)
    letters = [side.letter for side in found.sides]
    rows = [[f"<code>{esc(_symbol(n))}</code>", *map(esc, values)] for n, values in found.settings]
    notes = "".join(f"<li>{esc(line)}</li>" for line in (*found.notes, *FOOTNOTES))
    settings = table(["setting", *letters], rows) if rows else "<p>No setting differs.</p>"
    parts = [("settings", "What differs", settings)]
    for number, c in enumerate(found.contrasts):
        title = f"{c.letters[0]} {c.a} against {c.letters[1]} {c.b}"
        parts.append((f"contrast-{number}", title, _contrast_html(c)))
    parts.append(("notes", "How to read this", f'<ul class="notes">{notes}</ul>'))
    runs = list({run.folder: run for side in found.sides for run in side.runs}.values())
    block = reporting_block.minimum_block(runs, [cell_row(run) for run in runs])
    lines = [[esc(name), esc(value)] for name, value in block]
    parts.append(("block", "Minimum reporting block", table(["what", ""], lines, kind="words")))
    return document("KernelCoder comparison", esc(names), parts)


def _contrast_html(c: Contrast) -> str:
    first, *rest = sentences(c)
    said = f"<p><strong>{esc(first)}</strong></p>" + "".join(f"<p>{esc(line)}</p>" for line in rest)
    plot = ""
    if c.ratio is not None and c.ratio_interval is not None:
        lo, hi = c.ratio_interval
        plot = f"<p>{interval_plot(lo, c.ratio, hi, 0.25, 4.0)} {c.letters[1]}/{c.letters[0]}</p>"
    body = [
        [esc(t.task), esc(_side(t.a_speed, t.a_verified)), esc(_side(t.b_speed, t.b_verified)),
         _dot(c, t)]
        for t in sorted(c.tasks, key=lambda t: -t.difference)
    ]  # fmt: skip
    left = f"<p>Left out, not ended on both sides: {esc(', '.join(c.left_out))}.</p>"
    head = ["task", c.letters[0], c.letters[1], f"{c.letters[1]}/{c.letters[0]}, 0.25 to 4"]
    return said + plot + table(head, body) + (left if c.left_out else "")


def _dot(c: Contrast, t: PairedTask) -> str:
    if not c.timed:
        return "-"
    ratio = math.exp(t.difference)
    return interval_plot(ratio, ratio, ratio, 0.25, 4.0) + claims.times(ratio)


def lines_of(contrasts: Sequence[Contrast]) -> list[dict[str, object]]:
    """Contrasts as JSON data, tasks included."""
    from kernelcoder.records import to_json

    return [to_json(contrast) for contrast in contrasts]
