"""Charts as SVG inside a page: no script, the reader's light or dark colours, a text beside each.

Colours are CSS variables of the page, a curve has a mark and a dash beside its colour, and every text goes
through the same escaping as the page's.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

from vitreous.insight.chart import Chart, Images, Lines, Matrix, in_words

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 40
RULE = (
    '<line class="KIND" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>'
    '<text x="{}" y="{:.1f}" class="end">{}</text>'
)
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 2", "12 4")


def svg(chart: Chart) -> Markup:
    """The drawing; `in_words` is its label."""
    match chart:
        case Lines():
            return _lines(chart)
        case Matrix():
            return _matrix(chart)
        case Images():
            return _images(chart)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between two values."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """A tick as text."""
    if value == 0:
        return "0"
    return f"{value:.0e}" if abs(value) < 1e-3 or abs(value) >= 1e6 else f"{value:g}"


def _head(chart: Chart, width: int, height: int) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        width, height, in_words(chart)
    )


def _lines(chart: Lines) -> Markup:
    points = [
        (x, y)
        for each in chart.lines
        for x, y in zip(each.x, each.y, strict=True)
        if math.isfinite(y) and (y > 0 or not chart.log)
    ]
    if not points:
        return Markup("<p>Nothing to draw.</p>")
    level = [chart.level[1]] if chart.level and (chart.level[1] > 0 or not chart.log) else []
    xs, ys = [x for x, _ in points], [y for _, y in points] + level
    low_x, high_x = min(xs), max(xs)
    low_y, high_y = min(ys), max(ys)
    if chart.log:
        low_y, high_y = math.log10(low_y), math.log10(high_y)
    pad = (high_y - low_y) * 0.06 or abs(high_y) * 0.1 or 1.0
    low_y, high_y = low_y - pad, high_y + pad
    if high_x == low_x:
        low_x, high_x = low_x - 1, high_x + 1

    def across(x: float) -> float:
        return LEFT + (x - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)

    def down(y: float) -> float:
        y = math.log10(y) if chart.log else y
        return HEIGHT - BOTTOM - (y - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)

    parts = [_head(chart, WIDTH, HEIGHT)]
    decades = [10.0**power for power in range(math.ceil(low_y), math.floor(high_y) + 1)] if chart.log else []
    linear = ticks(10**low_y, 10**high_y) if chart.log else ticks(low_y, high_y)
    for y in decades if len(decades) > 1 else linear:
        parts.append(
            Markup(RULE.replace("KIND", "grid")).format(
                LEFT, WIDTH - RIGHT, LEFT - 6, down(y) + 4, number(y), y=down(y)
            )
        )
    whole = all(float(x).is_integer() for x in xs)
    for x in [x for x in ticks(low_x, high_x, 6) if not whole or float(x).is_integer()]:
        parts.append(
            Markup('<text x="{:.1f}" y="{}" class="mid">{}</text>').format(
                across(x), HEIGHT - BOTTOM + 16, number(x)
            )
        )
    parts.append(
        Markup('<text x="{}" y="{}" class="mid name">{}</text>').format(
            (LEFT + WIDTH) // 2, HEIGHT - 6, chart.x
        )
    )
    parts.append(
        Markup('<text transform="translate(13 {}) rotate(-90)" class="mid name">{}</text>').format(
            (HEIGHT - BOTTOM) // 2, chart.y
        )
    )
    if level and chart.level:
        y = down(level[0])
        parts.append(
            Markup(RULE.replace("KIND", "level")).format(
                LEFT, WIDTH - RIGHT, WIDTH - RIGHT, y - 4, chart.level[0], y=y
            )
        )
    for line, colour in colours(chart):
        shown = [
            (across(x), down(y))
            for x, y in zip(line.x, line.y, strict=True)
            if math.isfinite(y) and (y > 0 or not chart.log)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in shown)
        dash = "3 3" if line.control else DASHES[colour % len(DASHES)]
        parts.append(
            Markup('<g class="c{}{}" data-series="{}"><polyline points="{}" stroke-dasharray="{}"/>').format(
                colour % 7,
                " control" if line.control else "",
                line.name.removesuffix(", untrained"),
                path,
                dash,
            )
        )
        if not line.control and len(shown) <= 40:
            parts += [Markup('<circle cx="{:.1f}" cy="{:.1f}" r="2.6"/>').format(x, y) for x, y in shown]
        parts.append(Markup("</g>"))
    parts.append(Markup("</svg>"))
    if len(chart.lines) > 1:
        parts.append(_legend(chart))
    return Markup("").join(parts)


def colours(chart: Lines) -> list[tuple]:  # type: ignore[type-arg]
    """Each curve with the number of its colour; a control has its model's."""
    known: dict[str, int] = {}
    return [
        (each, known.setdefault(each.name.removesuffix(", untrained"), len(known))) for each in chart.lines
    ]


def _legend(chart: Lines) -> Markup:
    parts = [Markup('<ul class="legend">')]
    for line, colour in colours(chart):
        dash = "3 3" if line.control else DASHES[colour % len(DASHES)]
        parts.append(
            Markup(
                '<li class="c{}{}" data-series="{}"><svg width="30" height="10" aria-hidden="true">'
                '<polyline points="1,5 29,5" '
                'stroke-dasharray="{}"/></svg>{}</li>'
            ).format(
                colour % 7,
                " control" if line.control else "",
                line.name.removesuffix(", untrained"),
                dash,
                line.name,
            )
        )
    parts.append(Markup("</ul>"))
    return Markup("").join(parts)


def _matrix(chart: Matrix) -> Markup:
    rows, columns = len(chart.values), len(chart.values[0])
    cell = min(320 / max(rows, columns), 28)
    left, top = 46, 8
    width, height = max(left + cell * columns + 10, 250), top + cell * rows + 40
    parts = [_head(chart, math.ceil(width), math.ceil(height))]
    span = (chart.high - chart.low) or 1.0
    for row, values in enumerate(chart.values):
        for column, value in enumerate(values):
            share = min(max((value - chart.low) / span, 0.0), 1.0) if math.isfinite(value) else 0.0
            parts.append(
                Markup('<rect x="{:.1f}" y="{:.1f}" width="{c:.2f}" height="{c:.2f}" fill="{}"/>').format(
                    left + column * cell, top + row * cell, shade(share), c=cell + 0.3
                )
            )
    for names, along in ((chart.rows, False), (chart.columns, True)):
        step = max(1, math.ceil(len(names) * 16 / (cell * len(names))))
        for place in range(0, len(names), step):
            name = names[place] if len(names[place]) <= 6 else names[place][:5] + "…"
            middle = (place + 0.5) * cell
            x, y, kind = (
                (left + middle, top + rows * cell + 14, "mid")
                if along
                else (left - 5, top + middle + 4, "end")
            )
            parts.append(Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>').format(x, y, kind, name))
    parts.append(
        Markup('<text x="{:.1f}" y="{:.1f}" class="mid name">{} · dark {} … light {}</text></svg>').format(
            max(left + columns * cell / 2, 120),
            height - 6,
            chart.x or "columns",
            f"{chart.low:.2g}",
            f"{chart.high:.2g}",
        )
    )
    return Markup("").join(parts)


VIRIDIS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


def shade(share: float) -> str:
    """A colour of rising lightness (viridis, in five steps) for 0 to 1."""
    at = share * (len(VIRIDIS) - 1)
    low = min(int(at), len(VIRIDIS) - 2)
    mixed = [round(a + (b - a) * (at - low)) for a, b in zip(VIRIDIS[low], VIRIDIS[low + 1], strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def _images(chart: Images) -> Markup:
    import base64
    import io

    from PIL import Image

    from vitreous.insight.draw import mosaic

    file = io.BytesIO()
    pixels = mosaic(chart)
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    text = base64.b64encode(file.getvalue()).decode()
    wide = min(560, pixels.shape[1] * max(1, 560 // pixels.shape[1]))
    return Markup('<img class="pixels" src="data:image/png;base64,{}" width="{}" alt="{}">').format(
        text, wide, in_words(chart)
    )


def table(chart: Chart) -> Sequence[Sequence[str]]:
    """The numbers behind a chart, header first; empty for pictures and large matrices."""
    match chart:
        case Lines():
            xs = sorted({x for each in chart.lines for x in each.x})
            if len(xs) > 200:
                return ()
            columns = [dict(zip(each.x, each.y, strict=True)) for each in chart.lines]
            rows = [[number(x), *(f"{each[x]:.4g}" if x in each else "" for each in columns)] for x in xs]
            return [[chart.x, *(each.name for each in chart.lines)], *rows]
        case Matrix() if len(chart.rows) * len(chart.columns) <= 400:
            rows = [
                [name, *(f"{value:.3g}" for value in values)]
                for name, values in zip(chart.rows, chart.values, strict=True)
            ]
            return [["", *chart.columns], *rows]
        case _:
            return ()
