"""All that a user can set of looking inside: frozen values, free of heavy imports."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class AnalyzeSettings:
    """Models looked into side by side.

    Args:
        models: run folders, folders of a set of seeds, model folders, names of `vitreous models list`
            (untrained), JSON files, or `timm/NAME` (downloads its weights; `timm/NAME@FILE` for your own,
            `timm/NAME@untrained` for none).
        data: images, as for training; by default those that the first run held out.
        out: folder of the results.
        only: analyses, separated by commas; by default all but `landscape` and
            `curvature`.
        split: which part of the images.
        images: how many to look at.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`.
        seed: of the draw of images.
        control: look at each model with first weights, too.
        budget_s: most seconds for a loss landscape, and for curvature; the cost is told first.
        steps: along each axis of a loss landscape; odd.
        dimensions: of a loss landscape, 1 or 2.
    """

    models: list[str] = field(default_factory=list)
    data: list[str] | None = None
    out: str = "analysis"
    only: str | None = None
    split: Literal["train", "val", "test"] | None = None
    images: int = 1000
    device: str = "auto"
    seed: int = 0
    control: bool = True
    budget_s: float = 60.0
    steps: int = 11
    dimensions: int = 1


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """A page about runs.

    Args:
        runs: run folders, or folders of sets of seeds; or one folder of a finished search.
        out: the file; by default `report.html` in the run, or here for several.
        images: how many of the held-out images to look inside with.
        only: analyses, separated by commas; by default all but `landscape` and
            `curvature`.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`.
    """

    runs: list[str] = field(default_factory=list)
    out: str | None = None
    images: int = 128
    only: str | None = None
    device: str = "auto"
