"""Charts as SVG inside a page: no script, the reader's light or dark colours, a text beside each.

Colours are CSS variables of the page, a curve has a mark and a dash beside its colour, and every text goes
through the same escaping as the page's.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

from vitreous.insight.chart import Chart, Images, Lines, Matrix, Points, in_words
from vitreous.insight.svg_plane import HEIGHT, WIDTH, Plane, number
from vitreous.insight.svg_points import drawn_points

LARGEST = 1.2  # pixels for a unit of a drawing: text stays as large as the page's
LETTER, MOST_LETTERS = 6.6, 12  # width of one in units, and of a name's
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 2", "12 4")


def svg(chart: Chart) -> Markup:
    """The drawing; `in_words` is its label."""
    match chart:
        case Lines():
            return _lines(chart)
        case Points():
            return _head(chart, WIDTH, HEIGHT) + drawn_points(chart)
        case Matrix():
            return _matrix(chart)
        case Images():
            return _images(chart)


def _head(chart: Chart, width: int, height: int) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" style="max-width:{}px" role="img" aria-label="{}">').format(
        width, height, round(LARGEST * width), in_words(chart)
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
    plane = Plane([x for x, _ in points], [y for _, y in points] + level, log=chart.log)
    parts = [_head(chart, WIDTH, HEIGHT), plane.frame(chart.x, chart.y)]
    if level and chart.level:
        parts.append(plane.level(*chart.level))
    for line, colour in colours(chart):
        shown = [
            (plane.across(x), plane.down(y))
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
    step = max(1, math.ceil(16 / cell))
    longest = min(MOST_LETTERS, max(map(len, chart.columns)))
    upright = longest * LETTER > cell * step  # names that would lie on each other are turned
    left, top = 12 + LETTER * min(MOST_LETTERS, max(map(len, chart.rows))), 8
    below = top + rows * cell + (LETTER * longest + 8 if upright else 18)
    width, height = max(left + cell * columns + 10, 250), below + 22
    parts = [_head(chart, math.ceil(width), math.ceil(height))]
    span = (chart.high - chart.low) or 1.0
    for row, values in enumerate(chart.values):
        for column, value in enumerate(values):
            share = min(max((value - chart.low) / span, 0.0), 1.0) if math.isfinite(value) else 0.0
            parts.append(
                Markup(
                    '<rect x="{:.1f}" y="{:.1f}" width="{c:.2f}" height="{c:.2f}" fill="{}">'
                    "<title>{}, {}: {}</title></rect>"
                ).format(
                    left + column * cell,
                    top + row * cell,
                    shade(share),
                    chart.rows[row],
                    chart.columns[column],
                    f"{value:.3g}",
                    c=cell + 0.3,
                )
            )
    for place in range(0, rows, step):
        y = top + (place + 0.5) * cell + 4
        parts.append(
            Markup('<text x="{:.1f}" y="{:.1f}" class="end">{}</text>').format(
                left - 5, y, _short(chart.rows[place])
            )
        )
    for place in range(0, columns, step):
        x, y = left + (place + 0.5) * cell, top + rows * cell
        turned = Markup('<text transform="translate({:.1f} {:.1f}) rotate(-90)" class="end">{}</text>')
        flat = Markup('<text x="{:.1f}" y="{:.1f}" class="mid">{}</text>')
        name = _short(chart.columns[place])
        parts.append(turned.format(x + 4, y + 5, name) if upright else flat.format(x, y + 14, name))
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


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"


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
        case Points() if sum(len(each.x) for each in chart.groups) <= 100:
            rows = [
                [name or each.name, number(x), number(y)]
                for each in chart.groups
                for name, x, y in zip(each.names or ("",) * len(each.x), each.x, each.y, strict=True)
            ]
            return [["point", chart.x, chart.y], *rows]
        case Matrix() if len(chart.rows) * len(chart.columns) <= 400:
            rows = [
                [name, *(f"{value:.3g}" for value in values)]
                for name, values in zip(chart.rows, chart.values, strict=True)
            ]
            return [[chart.y or "row", *chart.columns], *rows]
        case _:
            return ()
