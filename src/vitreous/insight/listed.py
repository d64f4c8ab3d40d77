"""All analyses by name, in the order of the report, and how a fresh meter of each is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from torch import nn

from vitreous.errors import ConfigError, did_you_mean
from vitreous.insight.chart import Line, Lines
from vitreous.insight.meters import (
    cam,
    colours,
    curvature,
    cutoff,
    head_diversity,
    hfd,
    landscape,
    layers_alike,
    looks,
    pools,
    positions,
    recursion,
    similar_maps,
    timing,
    tokens,
)
from vitreous.insight.meters.meter import Meter


@dataclass(frozen=True)
class Analysis:
    """One analysis.

    Args:
        name: as `--only` takes it.
        title, how: heading, and how it is read.
        make: a meter for a model whose images have this height and width.
        together: (key of the values, what the y axis is) of the curve that models are compared by.
        dear: whether it runs only when it is asked for by name.
        needs: a library that an extra brings, and that extra.
    """

    name: str
    title: str
    how: str
    make: Callable[[nn.Module, int, int], Meter]
    together: tuple[str, str] | None = None
    dear: bool = False
    needs: tuple[str, str] | None = None


ANALYSES: dict[str, Analysis] = {
    each.name: each
    for each in (
        Analysis(
            hfd.NAME,
            hfd.TITLE,
            hfd.HOW,
            lambda m, h, w: hfd.HighFrequencies(),
            ("share", "share above ¼ cycle a token"),
        ),
        Analysis(cutoff.NAME, cutoff.TITLE, cutoff.HOW, lambda m, h, w: cutoff.CutOff()),
        Analysis(
            head_diversity.NAME,
            head_diversity.TITLE,
            head_diversity.HOW,
            lambda m, h, w: head_diversity.HeadDiversity(h, w),
            ("diversity_px", "diversity, px"),
        ),
        Analysis(
            similar_maps.NAME,
            similar_maps.TITLE,
            similar_maps.HOW,
            lambda m, h, w: similar_maps.SimilarMaps(),
        ),
        Analysis(
            tokens.NAME,
            tokens.TITLE,
            tokens.HOW,
            lambda m, h, w: tokens.Tokens(),
            ("centred", "mean cosine, centred"),
        ),
        Analysis(
            layers_alike.NAME,
            layers_alike.TITLE,
            layers_alike.HOW,
            lambda m, h, w: layers_alike.LayersAlike(),
        ),
        Analysis(
            positions.NAME,
            positions.TITLE,
            positions.HOW,
            lambda m, h, w: positions.Positions(),
            ("mean", "mean cosine of positions"),
        ),
        Analysis(recursion.NAME, recursion.TITLE, recursion.HOW, lambda m, h, w: recursion.Recursion()),
        Analysis(pools.NAME, pools.TITLE, pools.HOW, lambda m, h, w: pools.Pools()),
        Analysis(looks.NAME, looks.TITLE, looks.HOW, lambda m, h, w: looks.Looks()),
        Analysis(cam.NAME, cam.TITLE, cam.HOW, lambda m, h, w: cam.Cam(), needs=("captum", "explain")),
        Analysis(colours.NAME, colours.TITLE, colours.HOW, lambda m, h, w: colours.Colours()),
        Analysis(
            timing.NAME, timing.TITLE, timing.HOW, lambda m, h, w: timing.Timing(), ("ms", "ms a batch")
        ),
        Analysis(
            landscape.NAME,
            landscape.TITLE,
            landscape.HOW,
            lambda m, h, w: landscape.LossLandscape(),
            dear=True,
        ),
        Analysis(
            curvature.NAME, curvature.TITLE, curvature.HOW, lambda m, h, w: curvature.Curvature(), dear=True
        ),
    )
}


def chosen(only: Sequence[str] | None) -> list[Analysis]:
    """The analyses of these names; by default all but the dear ones.

    Raises:
        ConfigError: an unknown name, of which the nearest is named, or a library that is not installed.
    """
    if not only:
        return [each for each in ANALYSES.values() if not each.dear]
    for name in only:
        if name not in ANALYSES:
            raise ConfigError(
                f"{name} is no analysis ({', '.join(ANALYSES)}){did_you_mean(name, ANALYSES, most=1)}"
            )
        needs = ANALYSES[name].needs
        if needs is not None and find_spec(needs[0]) is None:
            raise ConfigError(f"{name} needs {needs[0]}: pip install 'vitreous[{needs[1]}]'")
    return [each for name, each in ANALYSES.items() if name in only]


def side_by_side(analysis: Analysis, found: dict[str, dict], controls: dict[str, dict]) -> Lines | None:  # type: ignore[type-arg]
    """One curve for each model, and a thin one for its untrained control; None where there is none."""
    if analysis.together is None:
        return None
    key, y = analysis.together
    lines, level = [], None
    for name, values in found.items():
        for control, of in ((False, values), (True, controls.get(name, {}))):
            curve = of.get(key)
            if curve:
                told = f"{name}, untrained" if control else name
                lines.append(Line(told, tuple(range(len(curve))), tuple(curve), control=control))
        if "noise" in values:
            level = ("noise", float(values["noise"][0]))
    if not lines:
        return None
    title = analysis.title if "layer" in analysis.title else f"{analysis.title} by layer"
    return Lines(title=title, x="layer", y=y, lines=tuple(lines), level=level)
