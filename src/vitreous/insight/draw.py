"""Charts as PNG, on matplotlib's own canvas, without a window; nothing is told by colour alone."""

from pathlib import Path

import numpy as np

from vitreous.insight.chart import Chart, Images, Lines, Matrix, Points

# Okabe and Ito's colours without yellow, which is too light on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
MOST_NAMED = 12
LETTERS = 110  # of a legend, marks counted as six letters, that a picture is wide


def draw(chart: Chart, path: Path) -> None:
    """Write a chart as a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (6.4, 4.0)
    if isinstance(chart, Images):
        rows = -(-len(chart.pictures) // chart.columns)
        size = (1.5 * min(chart.columns, len(chart.pictures)) + 0.6, 1.8 * rows + 0.6)
    elif isinstance(chart, Matrix):
        size = (5.4, 4.6)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    match chart:
        case Lines():
            _lines(figure, chart)
        case Points():
            _points(figure, chart)
        case Matrix():
            _matrix(figure, chart)
        case Images():
            _images(figure, chart)
    figure.savefig(path, dpi=110)


def _plain(text: str) -> str:
    """A name as it is: matplotlib would read a dollar sign as mathematics."""
    return text.replace("$", r"\$")


def _lines(figure, chart: Lines) -> None:  # type: ignore[no-untyped-def]
    axes = figure.add_subplot()
    colours: dict[str, int] = {}
    for each in chart.lines:
        of = each.name.removesuffix(", untrained")
        place = colours.setdefault(of, len(colours))
        axes.plot(
            each.x,
            each.y,
            label=_plain(each.name),
            color=COLOURS[place % len(COLOURS)],
            lw=0.9 if each.control else 1.8,
            ls="--" if each.control else "-",
            marker=None if each.control else MARKS[place % len(MARKS)],
            ms=3.5,
        )
    if chart.level:
        axes.axhline(chart.level[1], color="#666666", lw=0.9, ls=":", label=_plain(chart.level[0]))
    if chart.log:
        axes.set_yscale("log")
    if all(float(x).is_integer() for each in chart.lines for x in each.x):  # layers, turns, epochs
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(_plain(chart.title), fontsize=11)
    axes.set_xlabel(_plain(chart.x))
    axes.set_ylabel(_plain(chart.y))
    axes.grid(alpha=0.25)
    if len(chart.lines) + bool(chart.level) > 1:
        _legend(figure, axes)


def _points(figure, chart: Points) -> None:  # type: ignore[no-untyped-def]
    axes = figure.add_subplot()
    for place, each in enumerate(chart.groups):
        axes.plot(
            each.x,
            each.y,
            label=_plain(each.name),
            color="#888888" if each.faint else COLOURS[place % len(COLOURS)],
            ls="-" if each.joined else "",
            marker=MARKS[place % len(MARKS)],
            ms=3 if each.faint else 6,
        )
    if chart.limit:
        axes.axvline(chart.limit[1], color="#666666", lw=0.9, ls=":", label=_plain(chart.limit[0]))
    axes.set_title(_plain(chart.title), fontsize=11)
    axes.set_xlabel(_plain(chart.x))
    axes.set_ylabel(_plain(chart.y))
    axes.grid(alpha=0.25)
    _legend(figure, axes)


def _legend(figure, axes) -> None:  # type: ignore[no-untyped-def]
    """Outside, where it hides no curve, in as many columns as the longest name lets stand side by side."""
    handles, names = axes.get_legend_handles_labels()
    columns = max(1, min(3, LETTERS // (max(map(len, names)) + 6)))
    figure.legend(handles, names, fontsize=8, loc="outside lower center", ncols=columns)


def _matrix(figure, chart: Matrix) -> None:  # type: ignore[no-untyped-def]
    axes = figure.add_subplot()
    shown = axes.imshow(
        chart.values, vmin=chart.low, vmax=chart.high, cmap="viridis", interpolation="nearest"
    )
    figure.colorbar(shown, ax=axes, fraction=0.045)
    axes.set_title(_plain(chart.title), fontsize=11)
    axes.set_xlabel(_plain(chart.x))
    axes.set_ylabel(_plain(chart.y))
    for names, ticks in ((chart.columns, axes.set_xticks), (chart.rows, axes.set_yticks)):
        step = max(1, -(-len(names) // MOST_NAMED))
        ticks(range(0, len(names), step), [_plain(name) for name in names[::step]], fontsize=8)


def _images(figure, chart: Images) -> None:  # type: ignore[no-untyped-def]
    """All pictures as one: axes of their own would take ten times as long."""
    axes = figure.add_subplot()
    axes.imshow(mosaic(chart), interpolation="nearest")
    axes.set_title(_plain(chart.title), fontsize=11)
    axes.set_axis_off()


def mosaic(chart: Images) -> np.ndarray:
    """The pictures in rows, a white line of one pixel between them; all are as large as the first."""
    pictures = [np.asarray(pixels, dtype=np.uint8) for _, pixels in chart.pictures]
    columns = min(chart.columns, len(pictures))
    rows = -(-len(pictures) // columns)
    height, width = pictures[0].shape[:2]
    whole = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, 3), 255, dtype=np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        whole[top : top + height, left : left + width] = picture
    return whole
