"""Pictures as values: what is drawn, apart from how. `draw.py` makes PNG, `svg.py` a part of a page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A curve: one y for each x; a control is drawn thin and dashed."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    control: bool = False


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Curves on common axes.

    Args:
        title: what is seen, in a few words.
        x, y: what the axes are, with units.
        lines: the curves.
        level: a constant to compare with, such as a noise floor, and its name.
        log: whether y is logarithmic.
    """

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    level: tuple[str, float] | None = None
    log: bool = False


@dataclass(frozen=True)
class Group:
    """Points of one kind.

    Args:
        name: of the kind.
        x, y: where they are.
        names: of each; none where they have none.
        joined: by a line from left to right.
        faint: many, in the background.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    names: tuple[str, ...] = ()
    joined: bool = False
    faint: bool = False


@dataclass(frozen=True, kw_only=True)
class Points:
    """Single points on common axes.

    Args:
        title: what is seen, in a few words.
        x, y: what the axes are, with units.
        groups: of points; those drawn later lie above.
        limit: an x that is not to be passed, and its name.
    """

    title: str
    x: str
    y: str
    groups: tuple[Group, ...]
    limit: tuple[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Values by row and column, from `low` to `high`; the rows' and columns' names."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    low: float
    high: float
    x: str = ""
    y: str = ""


@dataclass(frozen=True, kw_only=True)
class Images:
    """Pictures with a line each: rows of pixels of red, green and blue, 0 to 255."""

    title: str
    pictures: tuple[tuple[str, tuple[tuple[tuple[int, int, int], ...], ...]], ...]
    columns: int = 6


Chart = Lines | Points | Matrix | Images


def in_words(chart: Chart) -> str:
    """What a chart shows, for those who cannot see it: ends and range of each curve, extremes of a matrix."""
    match chart:
        case Lines():
            told = [
                f"{each.name}: from {each.y[0]:.3g} at {each.x[0]:g} to {each.y[-1]:.3g} at {each.x[-1]:g}, "
                f"lowest {min(each.y):.3g}, highest {max(each.y):.3g}"
                for each in chart.lines
                if each.y
            ]
            if chart.level:
                told.append(f"{chart.level[0]}: {chart.level[1]:.3g}")
            return f"{chart.title}. {chart.y} by {chart.x}. " + ". ".join(told)
        case Points():
            told = [_group_in_words(each) for each in chart.groups if each.x]
            if chart.limit:
                told.append(f"{chart.limit[0]}: {chart.limit[1]:.4g}")
            return f"{chart.title}. {chart.y} by {chart.x}. " + ". ".join(told)
        case Matrix():
            apart = [
                value
                for row, values in enumerate(chart.values)
                for column, value in enumerate(values)
                if row != column or chart.rows != chart.columns
            ]
            if not apart:
                return f"{chart.title}."
            return (
                f"{chart.title}. {len(chart.rows)} by {len(chart.columns)} values from {min(apart):.3g} to "
                + (f"{max(apart):.3g}, mean {sum(apart) / len(apart):.3g}")
            )
        case Images():
            return f"{chart.title}: {len(chart.pictures)} pictures."


def _group_in_words(group: Group) -> str:
    if len(group.x) <= 6:
        named = group.names or ("",) * len(group.x)
        listed = [
            f"{name} {y:.4g} at {x:.4g}".strip() for name, x, y in zip(named, group.x, group.y, strict=True)
        ]
        return f"{group.name}: {'; '.join(listed)}"
    best = max(range(len(group.y)), key=lambda each: group.y[each])
    return (
        f"{group.name}: {len(group.x):,} points, {_span(group.y)} at {_span(group.x)}, "
        f"the highest at {group.x[best]:.4g}"
    )


def _span(values: tuple[float, ...]) -> str:
    return f"{min(values):.4g} to {max(values):.4g}"
