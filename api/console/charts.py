"""Plots as SVG made here: nothing but shapes and classes, since the pages allow no style of their own.

Each stands beside a table that says the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup

from api.console.rendering import KST
from vns.storage.traffic import HourCount

WIDTH: Final = 640
HEIGHT: Final = 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 8, 10, 28
_INNER_WIDTH: Final = WIDTH - _LEFT - _RIGHT
_INNER_HEIGHT: Final = HEIGHT - _TOP - _BOTTOM
_MARKS: Final = 4  # lines of the grid


@dataclass(frozen=True, slots=True)
class Series:
    """What one colour stands for. `colour`: a class of console.css, `a` to `d`."""

    title: str
    colour: str
    values: tuple[float, ...]


def by_hour(
    counts: Sequence[HourCount], groups: Mapping[str, frozenset[str]], since: datetime, hours: int
) -> tuple[list[datetime], dict[str, tuple[int, ...]]]:
    """The hours from `since` on, in Korean time, and for each group of outcomes how many fell into each of them."""
    begin = since.replace(minute=0, second=0, microsecond=0)
    moments = [begin + timedelta(hours=hour) for hour in range(hours)]
    place = {moment: number for number, moment in enumerate(moments)}
    sums = {group: [0] * hours for group in groups}
    for count in counts:
        where = place.get(count.hour)
        group = next((name for name, outcomes in groups.items() if count.outcome in outcomes), None)
        if where is not None and group is not None:
            sums[group][where] += count.count
    return [moment.astimezone(KST) for moment in moments], {group: tuple(values) for group, values in sums.items()}


def stacked_bars(title: str, labels: Sequence[str], series: Sequence[Series]) -> Markup:
    """Bars on top of one another, one column for each label."""
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)] or [0]
    top = _round_up(max(totals))
    step = _INNER_WIDTH / max(1, len(labels))
    shapes = [_grid(top)]
    for number, label in enumerate(labels):
        base = 0.0
        for one in series:
            value = one.values[number]
            if value:
                high = value / top * _INNER_HEIGHT
                y = _TOP + _INNER_HEIGHT - base - high
                x = _LEFT + step * number
                tip = Markup("<title>{} {}: {:g}</title>").format(label, one.title, value)
                shapes.append(
                    Markup(
                        '<rect class="fill-{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">{}</rect>'
                    ).format(one.colour, x + step * 0.1, y, step * 0.8, high, tip)
                )
                base += high
    shapes.append(_labels(labels, step))
    return _drawing(title, shapes)


def lines(title: str, labels: Sequence[str], series: Sequence[Series], top: float) -> Markup:
    """One line for each series over evenly spaced labels; `top`: the upper end of the scale."""
    top = _round_up(top)
    step = _INNER_WIDTH / max(1, len(labels) - 1)
    shapes = [_grid(top)]
    for one in series:
        points = " ".join(
            f"{_LEFT + step * number:.1f},{_TOP + _INNER_HEIGHT * (1 - value / top):.1f}"
            for number, value in enumerate(one.values)
        )
        shapes.append(Markup('<polyline class="line-{}" points="{}"/>').format(one.colour, points))
    shapes.append(_labels(labels, step, centred=False))
    return _drawing(title, shapes)


def share_bar(title: str, series: Sequence[Series]) -> Markup:
    """One bar that is divided among the series: how a whole is made up."""
    whole = sum(one.values[0] for one in series) or 1
    shapes, x = [], 0.0
    for one in series:
        wide = one.values[0] / whole * WIDTH
        shapes.append(
            Markup('<rect class="fill-{}" x="{:.1f}" y="0" width="{:.1f}" height="18"/>').format(one.colour, x, wide)
        )
        x += wide
    return _drawing(title, shapes, height=18)


def _drawing(title: str, shapes: Sequence[Markup], *, height: int = HEIGHT) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, height, title, Markup("").join(shapes)
    )


def _grid(top: float) -> Markup:
    parts = []
    for mark in range(_MARKS + 1):
        y = _TOP + _INNER_HEIGHT * (1 - mark / _MARKS)
        kind = "axis" if mark == 0 else "grid-line"
        parts.append(
            Markup('<line class="{}" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>').format(
                kind, _LEFT, y, WIDTH - _RIGHT, y
            )
        )
        parts.append(
            Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                _LEFT - 6, y + 4, _short(top * mark / _MARKS)
            )
        )
    return Markup("").join(parts)


def _labels(labels: Sequence[str], step: float, *, centred: bool = True) -> Markup:
    """Not more of them than have room."""
    every = max(1, -(-len(labels) // 8))
    offset = step / 2 if centred else 0
    return Markup("").join(
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle"{}>{}</text>').format(
            min(WIDTH - 20.0, _LEFT + step * number + offset),
            HEIGHT - 8,
            Markup(' class="spare"') if (number // every) % 2 else "",  # left out on a small screen
            label,
        )
        for number, label in enumerate(labels)
        if number % every == 0
    )


def _round_up(value: float) -> float:
    """The next 1, 2, 4, 5 or 8 times a power of ten: a scale whose quarters people can read."""
    size = 1.0
    while size * 8 < value:
        size *= 10
    return next((size * step for step in (4, 8) if size * step >= value), size * 8) if value > 0 else 4.0


def _short(value: float) -> str:
    """12,500 → 1.25만."""
    if value >= 10_000:
        return f"{value / 10_000:g}만"
    return f"{value:g}"
