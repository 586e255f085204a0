"""Draws pushes per second against stored series as SVG, both axes logarithmic."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 50, 60
COLOURS = ("#1b6ca8", "#d1495b", "#e09f3e", "#4f772d")
TITLE = "Pushes per second against stored series"


def svg(curves):
    """`curves`: name -> list of (stored series, pushes per second)."""
    points = [point for curve in curves.values() for point in curve]
    across = _Axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = _Axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(WIDTH / 2, 20, TITLE, size=16),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "stored series"),
        f'<g transform="rotate(-90 18 {(TOP + HEIGHT - BOTTOM) / 2})">'
        + _text(18, (TOP + HEIGHT - BOTTOM) / 2, "pushes per second") + "</g>",
    ]
    parts += _grid(across, up)
    for number, (name, curve) in enumerate(curves.items()):
        parts += _curve(curve, across, up, COLOURS[number % len(COLOURS)])
    parts += _legend(list(curves))
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Axis:
    """Powers of ten from the one below the smallest value to the one above the largest."""

    def __init__(self, values, start, end):
        self.low = math.floor(math.log10(min(values)))
        self.high = max(self.low + 1, math.ceil(math.log10(max(values))))
        self._start, self._end = start, end

    def at(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self._start + share * (self._end - self._start)

    def ticks(self):
        return [10.0**power for power in range(self.low, self.high + 1)]


def _grid(across, up):
    for value in across.ticks():
        x = across.at(value)
        yield _line(x, TOP, x, HEIGHT - BOTTOM)
        yield _text(x, HEIGHT - BOTTOM + 18, _short(value))
    for value in up.ticks():
        y = up.at(value)
        yield _line(LEFT, y, WIDTH - RIGHT, y)
        yield _text(LEFT - 8, y + 4, _short(value), anchor="end")


def _curve(curve, across, up, colour):
    places = [(across.at(x), up.at(y)) for x, y in curve]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'


def _legend(names):
    x = LEFT
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        yield f'<circle cx="{x + 6}" cy="36" r="5" fill="{colour}"/>'
        yield _text(x + 16, 40, name, anchor="start")
        x += 40 + 7.2 * len(name)


def _line(x1, y1, x2, y2):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x, y, text, anchor="middle", size=13):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _short(value):
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"
