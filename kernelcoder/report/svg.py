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
    has the lower and upper y of every point."""

    name: str
    points: Sequence[Point]
    index: int
    steps: bool = False
    band: Sequence[Point] = ()


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
    parts += [_band(s, px, py) for s in drawn if s.band]
    parts += [_line(s, px, py) for s in drawn]
    if frame.legend:
        parts += _legend(drawn, frame.width - RIGHT + 12)
    else:
        parts += _end_labels(drawn, px, py, frame.height - BOTTOM)
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
) -> list[str]:
    """Names beside the line ends, pushed apart so that none covers another."""
    ends = sorted(
        ((py(s.points[-1][1]), px(s.points[-1][0]), s) for s in series), key=lambda e: e[:2]
    )
    spots: list[float] = []
    for y, _, _ in ends:
        spots.append(max(y, spots[-1] + 14) if spots else max(y, 10.0))
    if spots and spots[-1] > floor:
        spots = [y - (spots[-1] - floor) for y in spots]
    out = []
    for spot, (y, x, s) in zip(spots, ends, strict=True):
        start = max((px(p[0]) for one in series for p in one.points), default=x)
        if abs(spot - y) > 3 or start - x > 6:
            out.append(f'<path class="lead" d="M{x + 4:.1f} {y:.1f}L{start + 7:.1f} {spot:.1f}"/>')
        out.append(_name(s, start + 10, spot + 4))
    return out


def _legend(series: Sequence[Series], x: float) -> list[str]:
    out = []
    for row, s in enumerate(series):
        y = TOP + 8 + 18 * row
        out.append(f'<path class="line s{_color(s)}" d="M{x} {y - 4}h24"{_dash(s)}/>')
        out.append(_name(s, x + 29, y, 12))
    return out


def _name(series: Series, x: float, y: float, most: int = 18) -> str:
    name, half = series.name, most // 2 - 1
    text = name if len(name) <= most else f"{name[:half]}..{name[-half:]}"
    return f'<text class="name f{_color(series)}" x="{x:.1f}" y="{y:.1f}">{esc(text)}</text>'


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
