"""Points as SVG: each with its name where the pointer rests, few of them with their name beside them, but for
those on a line.

A group has a shape beside its colour. Names that would lie on each other are moved down.
"""

import math
from itertools import pairwise

from markupsafe import Markup

from vitreous.insight.chart import Group, Points
from vitreous.insight.svg_plane import BOTTOM, HEIGHT, LEFT, TOP, WIDTH, Plane

SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "M-3.6 -3.6h7.2v7.2h-7.2z",
    "M0 -4.8L4.6 3.4h-9.2z",
    "M0 -5L5 0L0 5L-5 0z",
    "M0 4.8L4.6 -3.4h-9.2z",
    "M-1.5 -4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
)
MOST_NAMED = 14
LETTER, LINE = 6.4, 13  # width and height of a letter and a line of text


def drawn_points(chart: Points) -> Markup:
    """What stands inside the `svg` element, its end, and the legend."""
    shown = [(x, y) for each in chart.groups for x, y in zip(each.x, each.y, strict=True) if math.isfinite(y)]
    if not shown:
        return Markup("</svg><p>Nothing to draw.</p>")
    xs = [x for x, _ in shown]
    # a limit far from all points would press them into a corner: it is told in words alone
    near = chart.limit is not None and abs(chart.limit[1] - max(xs)) <= 2 * max(
        max(xs) - min(xs), 0.2 * max(xs)
    )
    limit = [chart.limit[1]] if chart.limit and near else []
    plane = Plane(xs + limit, [y for _, y in shown], margin=0.06)
    parts = [plane.frame(chart.x, chart.y)]
    if chart.limit and near:
        parts.append(plane.limit(*chart.limit))
    named: list[tuple[float, float, str, int]] = []
    for number, group in enumerate(chart.groups):
        parts.append(_group(plane, group, number))
        if not group.faint and not group.joined:
            named += [
                (plane.across(x), plane.down(y), name, number)
                for name, x, y in zip(group.names, group.x, group.y, strict=False)
            ]
    if len(named) <= MOST_NAMED:
        parts += _names(named, chart)
    parts.append(Markup("</svg>"))
    if len(chart.groups) > 1:
        parts.append(_legend(chart))
    return Markup("").join(parts)


def _group(plane: Plane, group: Group, number: int) -> Markup:
    parts = [
        Markup('<g class="c{}{}" data-series="{}">').format(number % 7, " faint" * group.faint, group.name)
    ]
    at = [(plane.across(x), plane.down(y)) for x, y in zip(group.x, group.y, strict=True) if math.isfinite(y)]
    if group.joined:
        for (x1, y1), (x2, y2) in pairwise(sorted(at)):
            parts.append(Markup('<polyline points="{:.1f},{:.1f} {:.1f},{:.1f}"/>').format(x1, y1, x2, y2))
    names = group.names or (group.name,) * len(at)
    for (x, y), name in zip(at, names, strict=False):
        parts.append(
            Markup('<path d="{}" transform="translate({:.1f} {:.1f})"><title>{}</title></path>').format(
                SHAPES[number % len(SHAPES)], x, y, name
            )
        )
    parts.append(Markup("</g>"))
    return Markup("").join(parts)


def _names(named: list[tuple[float, float, str, int]], chart: Points) -> list[Markup]:
    """Names beside their points, from the top down, each below those that it would lie on."""
    parts: list[Markup] = []
    taken: list[tuple[float, float, float]] = []
    for x, y, name, number in sorted(named, key=lambda each: each[1]):
        wide = len(name) * LETTER
        right = x + 8 + wide < WIDTH
        left = x + 8 if right else max(LEFT, x - 8 - wide)
        height = max(y + 4, TOP + 10)
        while any(
            abs(height - other) < LINE and left < end and begin < left + wide for other, begin, end in taken
        ):
            height += LINE
        if height > HEIGHT - BOTTOM + 2:
            continue
        taken.append((height, left, left + wide))
        parts.append(
            Markup('<text x="{:.1f}" y="{:.1f}" class="{}" data-series="{}">{}</text>').format(
                x + 8 if right else x - 8,
                height,
                "begin" if right else "end",
                chart.groups[number].name,
                name,
            )
        )
    return parts


def _legend(chart: Points) -> Markup:
    parts = [Markup('<ul class="legend">')]
    for number, group in enumerate(chart.groups):
        parts.append(
            Markup(
                '<li class="c{}{}" data-series="{}"><svg width="14" height="14" viewBox="-7 -7 14 14" '
                'aria-hidden="true"><path d="{}"/></svg>{}</li>'
            ).format(number % 7, " faint" * group.faint, group.name, SHAPES[number % len(SHAPES)], group.name)
        )
    parts.append(Markup("</ul>"))
    return Markup("").join(parts)
