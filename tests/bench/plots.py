# SPDX-License-Identifier: MIT
"""Plots as SVG: medians with their intervals beside a goal, and lines over logarithmic axes
on which a law of growth is a slope."""

import html
import math

COLOURS = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a", "#bf3989"]
WIDTH, LABELS, ROW = 900, 360, 20


def _svg(title, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">'
            f'<text x="4" y="16" font-weight="bold">{html.escape(title)}</text>'
            f'{"".join(parts)}</svg>')


def _text(x, y, words, anchor="middle"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def _line(x1, y1, x2, y2, colour="#d0d7de", more=""):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" {more}/>')


def _step(width, count):
    """The distance of about so many round ticks."""
    power = 10 ** math.floor(math.log10(width / count))
    return next(power * n for n in (1, 2, 5, 10) if power * n * count >= width)


def intervals(title, rows, goal):
    """A dot with its interval for each (label, low, middle, high); a dashed line at the goal.
    What is far off the others is cut, so that the rest can be told apart."""
    ends = sorted([goal, 1.0] + [value for row in rows for value in row[1:]])
    middle = ends[len(ends) // 2]
    first, last = max(ends[0], middle * 0.5), min(ends[-1], middle * 1.5)
    margin = 0.05 * (last - first) or 0.01
    first, last = first - margin, last + margin
    bottom = 30 + ROW * len(rows)

    def x(value):
        share = (min(max(value, first), last) - first) / (last - first)
        return LABELS + (WIDTH - LABELS - 60) * share

    parts = []
    step = _step(last - first, 8)
    for number in range(math.ceil(first / step), math.floor(last / step) + 1):
        parts += [_line(x(number * step), 26, x(number * step), bottom),
                  _text(x(number * step), bottom + 16, f"{number * step:g}")]
    parts.append(_line(x(goal), 26, x(goal), bottom, COLOURS[1], 'stroke-dasharray="4 3"'))
    for number, (label, low, value, high) in enumerate(rows):
        y = 36 + ROW * number
        colour = COLOURS[0 if "looplag" in label else 5]
        parts += [_text(LABELS - 8, y + 4, label, "end"),
                  _line(x(low), y, x(high), y, colour, 'stroke-width="2"'),
                  f'<circle cx="{x(value):.1f}" cy="{y}" r="4" fill="{colour}"/>',
                  _text(WIDTH - 56, y + 4, f"{value:.3f}", "start")]
    return _svg(title, bottom + 24, parts)


def lines(title, across, up, series):
    """Lines through {name: [(x, y)]}, both axes logarithmic, labelled by `across` and `up`.
    What is not above 0 is left out."""
    series = {name: [point for point in points if min(point) > 0]
              for name, points in series.items()}
    points = [point for line in series.values() for point in line]
    left, top, right, bottom = 80, 40, WIDTH - 240, 360

    def decades(values):
        low, high = (math.log10(edge(values)) for edge in (min, max))
        return math.floor(low), max(math.ceil(high), math.floor(low) + 1)

    (x_low, x_high), (y_low, y_high) = (decades([p[axis] for p in points]) for axis in (0, 1))

    def place(point):
        return (left + (right - left) * (math.log10(point[0]) - x_low) / (x_high - x_low),
                bottom - (bottom - top) * (math.log10(point[1]) - y_low) / (y_high - y_low))

    parts = [_text(left, top - 8, up, "start"),
             _text((left + right) / 2, bottom + 34, across)]
    for power in range(x_low, x_high + 1):
        x, _ = place((10.0 ** power, 10.0 ** y_low))
        parts += [_line(x, top, x, bottom), _text(x, bottom + 16, f"{10.0 ** power:g}")]
    for power in range(y_low, y_high + 1):
        _, y = place((10.0 ** x_low, 10.0 ** power))
        parts += [_line(left, y, right, y), _text(left - 6, y + 4, f"{10.0 ** power:g}", "end")]
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, line))
        parts += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
                  *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
                    for x, y in map(place, line)),
                  _line(right + 14, top + 20 * number, right + 34, top + 20 * number, colour,
                        'stroke-width="2"'),
                  _text(right + 40, top + 20 * number + 4, name, "start")]
    return _svg(title, bottom + 44, parts)
