# SPDX-License-Identifier: Apache-2.0
"""Charts as inline SVG: no library, no script, colors from the page's CSS variables.

Every line has its own dash pattern and is named at its end, so color never carries meaning alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kernelcoder.report.quote import esc

Point = tuple[float, float]
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4")
LEFT, RIGHT, TOP, BOTTOM = 46, 156, 12, 40


@dataclass(frozen=True, slots=True)
class Series:
    """One named line; ``index`` picks its color and dash. ``steps`` draws a staircase; ``band``
    has the lower and upper y of every point. ``off`` lines are thin, gray and without a name until
    the reader asks for them."""

    name: str
    points: Sequence[Point]
    index: int
    steps: bool = False
    band: Sequence[Point] = ()
    off: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What a chart is called, its axes, and the least y range it shows. ``baseline`` draws a rule
    at that y; ``legend`` lists the names at the top right, for lines that all end in one place;
    ``whole`` marks whole x only."""

    title: str
    x_label: str
    y_low: float
    y_high: float
    y_text: Callable[[float], str]
    x_low: float | None = None
    baseline: float | None = None
    legend: bool = False
    whole: bool = False
    width: int = 580
    height: int = 300


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round positions in [low, high], steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def compact(value: float) -> str:
    """Axis numbers: 0.5, 12, 3k."""
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def line_chart(frame: Frame, series: Sequence[Series], key: str) -> str:
    """A chart with labeled line ends; ``key`` makes its element ids unique on the page."""
    drawn = [s for s in series if s.points]
    xs = [x for s in drawn for x, _ in s.points] or [0.0]
    ys = [y for s in drawn for _, y in s.points] + [y for s in drawn for b in s.band for y in b]
    x0 = frame.x_low if frame.x_low is not None else min(xs)
    x1 = max([*xs, x0 + 1e-9])
    if x1 - x0 < 1e-6:
        x1 = x0 + 1.0
    y0, y1 = min([frame.y_low, *ys]), max([frame.y_high, *ys])
    wide, tall = frame.width - LEFT - RIGHT, frame.height - TOP - BOTTOM

    def px(x: float) -> float:
        return LEFT + (x - x0) / (x1 - x0) * wide

    def py(y: float) -> float:
        return TOP + (y1 - y) / (y1 - y0) * tall

    parts = [_axes(frame, (x0, x1), (y0, y1), px, py)]
    labels = (
        _legend(drawn, frame.width - RIGHT + 12)
        if frame.legend
        else _end_labels(drawn, px, py, frame.height - BOTTOM)
    )
    for s in sorted(drawn, key=lambda one: not one.off):
        drawing = (_band(s, px, py) if s.band else "") + _line(s, px, py) + labels[s.index]
        parts.append(
            f'<g class="serie{" off" if s.off else ""}" data-serie="{s.index}">{drawing}</g>'
        )
    return (
        f'<svg class="chart" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-labelledby="{key}-t"><title id="{key}-t">{esc(frame.title)}</title>'
        + "".join(parts)
        + "</svg>"
    )


def _axes(
    frame: Frame, xr: Point, yr: Point, px: Callable[[float], float], py: Callable[[float], float]
) -> str:
    right, bottom = frame.width - RIGHT, frame.height - BOTTOM
    out = []
    for y in ticks(*yr):
        out.append(f'<path class="grid" d="M{LEFT} {py(y):.1f}H{right}"/>')
        out.append(
            f'<text class="tick" x="{LEFT - 6}" y="{py(y) + 4:.1f}" text-anchor="end">'
            f"{esc(frame.y_text(y))}</text>"
        )
    for x in ticks(*xr, about=6):
        if frame.whole and x != int(x):
            continue
        out.append(f'<path class="mark" d="M{px(x):.1f} {bottom}v4"/>')
        out.append(
            f'<text class="tick" x="{px(x):.1f}" y="{bottom + 17}" text-anchor="middle">'
            f"{compact(x)}</text>"
        )
    if frame.baseline is not None and yr[0] <= frame.baseline <= yr[1]:
        out.append(f'<path class="rule" d="M{LEFT} {py(frame.baseline):.1f}H{right}"/>')
    out.append(f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>')
    middle = (LEFT + right) / 2
    out.append(
        f'<text class="label" x="{middle:.0f}" y="{frame.height - 6}" text-anchor="middle">'
        f"{esc(frame.x_label)}</text>"
    )
    return "".join(out)


def _band(series: Series, px: Callable[[float], float], py: Callable[[float], float]) -> str:
    """A translucent area between the lower and upper y, stepped as its line is."""
    xs = [px(x) for x, _ in series.points]
    edges = []
    for side in (0, 1):
        corners: list[tuple[float, float]] = []
        for x, limits in zip(xs, series.band, strict=True):
            if series.steps and corners:
                corners.append((x, corners[-1][1]))
            corners.append((x, py(limits[side])))
        edges.append(corners)
    outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*edges[0], *reversed(edges[1])])
    return f'<polygon class="band f{_color(series)}" points="{outline}"/>'


def _line(series: Series, px: Callable[[float], float], py: Callable[[float], float]) -> str:
    points = [(px(x), py(y)) for x, y in series.points]
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for x, y in points[1:]:
        path += f"H{x:.1f}V{y:.1f}" if series.steps else f"L{x:.1f} {y:.1f}"
    style = _dash(series)
    end = points[-1]
    few = points if len(points) <= 24 and not series.steps else [end]
    dots = "".join(
        f'<circle class="f{_color(series)}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in few
    )
    return f'<path class="line s{_color(series)}" d="{path}"{style}/>{dots}'


def _dash(series: Series) -> str:
    """A pattern that shifts with every round of colors: 36 lines before two look alike."""
    dash = DASHES[(series.index + series.index // 6) % len(DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _color(series: Series) -> int:
    return series.index % 6


def _end_labels(
    series: Sequence[Series], px: Callable[[float], float], py: Callable[[float], float], floor: int
) -> dict[int, str]:
    """Names beside the line ends, pushed apart so that none that is shown covers another."""
    right = max((px(p[0]) for one in series for p in one.points), default=0.0)
    ends = sorted(
        ((py(s.points[-1][1]), px(s.points[-1][0]), s) for s in series), key=lambda e: e[:2]
    )
    shown = [end for end in ends if not end[2].off]
    spots: list[float] = []
    for y, _, _ in shown:
        spots.append(max(y, spots[-1] + 14) if spots else max(y, 10.0))
    if spots and spots[-1] > floor:
        spots = [y - (spots[-1] - floor) for y in spots]
    placed = {end[2].index: spot for end, spot in zip(shown, spots, strict=True)}
    out = {}
    for y, x, s in ends:
        spot = placed.get(s.index, y)
        lead = f'<path class="lead" d="M{x + 4:.1f} {y:.1f}L{right + 7:.1f} {spot:.1f}"/>'
        out[s.index] = lead + _name(s, right + 10, spot + 4, y=y)
    return out


def _legend(series: Sequence[Series], x: float) -> dict[int, str]:
    out, row = {}, 0
    for s in series:
        y = TOP + 8 + 18 * row
        row += not s.off
        key = f'<path class="line key-line s{_color(s)}" d="M{x} {y - 4}h24"{_dash(s)}/>'
        out[s.index] = key + _name(s, x + 29, y, 16)
    return out


def _name(series: Series, x: float, at: float, most: int = 18, y: float | None = None) -> str:
    """A line's name; ``y`` is where the line ends, for a script that places the names anew."""
    name, half = series.name, most // 2 - 1
    text = name if len(name) <= most else f"{name[:half]}..{name[-half:]}"
    end = "" if y is None else f' data-end="{y:.1f}"'
    return (
        f'<text class="name f{_color(series)}" x="{x:.1f}" y="{at:.1f}"{end}>'
        f"<title>{esc(name)}</title>{esc(text)}</text>"
    )


def interval_plot(lo: float, median: float, hi: float, low: float, high: float) -> str:
    """A speedup with its interval on a logarithmic scale from ``low`` to ``high``, rule at 1."""
    width, height = 120, 16
    span = math.log(high / low)

    def px(value: float) -> float:
        clipped = min(max(value, low), high)
        return 4 + math.log(clipped / low) / span * (width - 8)

    side = "up" if lo > 1 else "down" if hi < 1 else "even"
    return (
        f'<svg class="interval" viewBox="0 0 {width} {height}" aria-hidden="true">'
        f'<path class="rule" d="M{px(1):.1f} 1V{height - 1}"/>'
        f'<path class="span {side}" d="M{px(lo):.1f} 8H{px(hi):.1f}"/>'
        f'<circle class="{side}" cx="{px(median):.1f}" cy="8" r="3.2"/></svg>'
    )


def bar(share: float, kind: str) -> str:
    """A horizontal bar of ``share`` in [0, 1]; its number stands beside it as text."""
    return (
        '<svg class="bar" viewBox="0 0 200 12" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="back" width="200" height="12"/>'
        f'<rect class="{kind}" width="{200 * share:.1f}" height="12"/></svg>'
    )
