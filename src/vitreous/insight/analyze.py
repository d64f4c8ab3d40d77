"""Several models looked into side by side, each beside its untrained control.

Each model sees the images once, batch by batch; maps and tokens are summed up as they come, and the batch
is chosen so that the maps of all layers together stay small (`MAP_BYTES`).
"""

import functools
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vitreous.analysis.cka import FEWEST as FEWEST_FOR_CKA
from vitreous.analysis.cka import cka_matrix
from vitreous.analysis.cost import cost
from vitreous.analysis.seed_correlation import FEWEST, seed_correlation
from vitreous.analysis.seen import POOL, AttentionMap
from vitreous.analysis.watch import watch
from vitreous.data.progress import counted
from vitreous.errors import ConfigError, DataError
from vitreous.evaluation.device import choose_device
from vitreous.insight.chart import Chart, Matrix
from vitreous.insight.images import Sample, sample
from vitreous.insight.listed import Analysis, chosen, side_by_side
from vitreous.insight.meters.layers_alike import LayersAlike
from vitreous.insight.meters.meter import MOST_TOKENS, MapShape, Meter, Setting, short_name
from vitreous.insight.meters.similar_maps import MOST_LAYERS
from vitreous.insight.result import AnalysisResult, Looked, check_folder, finite, write
from vitreous.insight.subjects import UNTRAINED, Subject, subject
from vitreous.insight.suggest import suggestions, told
from vitreous.models.catalog import list_models
from vitreous.runs.seeds import is_set

logger = logging.getLogger("vitreous")
MAP_BYTES = 24 * 2**20  # of all maps of a batch; comparing them takes about four times as much
MOST_BATCH, FEW = 64, 32
CONTROL_IMAGES = 128
NEED_LABELS = ("cutoff", "landscape", "curvature")


def analyze(
    models: Any,
    data: str | Path | Sequence[str | Path] | None = None,
    *,
    only: Sequence[str] | None = None,
    out: str | Path | None = None,
    split: str | None = None,
    images: int = 1000,
    device: str = "auto",
    seed: int = 0,
    control: bool = True,
    budget_s: float = 60.0,
    steps: int = 11,
    dimensions: int = 1,
) -> AnalysisResult:
    """See what happens inside models.

    Args:
        models: one or several: run folder, folder of a set of seeds, model folder, catalog name, JSON file,
            `timm/NAME` (`insight/subjects.py`), or a module.
        data: images, as for training; by default those that the first run held out.
        only: names of analyses; by default all but the dear ones, `landscape` and `curvature`.
        out: a folder for `analysis.json`, `analysis.md` and pictures; None to write nothing.
        split: `train`, `val` or `test`.
        images: how many to look at; all where there are fewer.
        device: `cpu`, `cuda`, …, or `auto`.
        seed: of the draw of images.
        control: whether each trained model stands beside its untrained self.
        budget_s: most seconds for a loss landscape, and for curvature.
        steps, dimensions: of a loss landscape.

    Raises:
        ConfigError: nothing of that name, an architecture that is not known (named), an unknown analysis,
            or an `out` that holds something else.
        DataError: images that cannot be used: none, too few, or of classes that an analysis asked for by
            name needs.
    """
    wanted = chosen(only)
    if images < 1:
        raise ConfigError(f"--images is {images}; 1 or more works")
    given = list(models) if isinstance(models, list | tuple) else [models]
    given = [each for one in given for each in _runs(one)]
    if not given:
        raise ConfigError("no model to look into; give a run, a name, or timm/NAME")
    if out is not None:
        check_folder(Path(out), data if isinstance(data, str | Path) else None)
    where = choose_device(device)
    subjects, drawn = _subjects(
        given, data, where, split, images, seed, [each.name for each in wanted] if only else []
    )
    for each in subjects:
        with watch(each.model, see_map=lambda _: None):  # an unknown architecture is refused before any work
            pass
    looked, vectors = [], []
    for each in subjects:
        one, kept = _look(each, drawn, wanted, control, where, budget_s, steps, dimensions)
        looked.append(one)
        vectors.append(kept)
    together: dict[str, tuple[Chart, ...]] = {}
    for analysis in wanted:
        found = {each.name: each.found[analysis.name] for each in looked}
        chart = side_by_side(
            analysis, found, {each.name: each.control.get(analysis.name, {}) for each in looked}
        )
        if chart is not None:
            together[analysis.name] = (chart,)
    between, charts = _between(looked, vectors)
    if charts:
        together["cka"] = tuple(charts)
    result = AnalysisResult(
        tuple(looked),
        len(drawn),
        min(CONTROL_IMAGES, len(drawn)) if control else 0,
        drawn.what,
        seed,
        where.type,
        together,
        between,
        Path(out) if out is not None else None,
    )
    if result.folder is not None:
        write(result, result.folder)
    return result


def _runs(one: Any) -> list[Any]:
    """The runs of a set of seeds; else what was given."""
    if isinstance(one, str | Path) and is_set(Path(one)):
        return sorted(Path(one).glob("seed-*"), key=lambda each: (len(each.name), each.name))
    return [one]


def _subjects(
    given: list[Any],
    data: Any,
    device: torch.device,
    split: str | None,
    images: int,
    seed: int,
    asked: list[str],
) -> tuple[list[Subject], Sample]:
    """Models and images; models that have no weights are built for the classes of the data."""

    def waits(one: Any) -> bool:
        text = str(one)
        return not isinstance(one, nn.Module) and (
            text in list_models() or text.endswith(".json") or (text.startswith("timm") and "@" in text)
        )

    made: dict[int, Subject] = {
        place: subject(one, device=device) for place, one in enumerate(given) if not waits(one)
    }
    run = next((each.run for each in made.values() if each.run is not None), None)
    classes = next((each.classes for each in made.values() if each.classes is not None), None)
    opening = functools.partial(sample, data, run=run, split=split, images=images, seed=seed)
    try:
        drawn = opening(classes=classes)
    except DataError as error:
        if classes is None or any(name in asked for name in NEED_LABELS):
            raise
        drawn = opening(classes=None)
        logger.warning("%s; what needs no labels is looked at all the same", error)
    for place, one in enumerate(given):
        if place not in made:
            made[place] = subject(one, device=device, classes=drawn.classes)
    listed = [made[place] for place in range(len(given))]
    names: dict[str, int] = {}
    for place, each in enumerate(listed):
        names[each.name] = names.get(each.name, 0) + 1
        if names[each.name] > 1:
            listed[place] = replace(each, name=f"{each.name} ({names[each.name]})")
    return listed, drawn


def _look(
    each: Subject,
    drawn: Sample,
    wanted: list[Analysis],
    control: bool,
    device: torch.device,
    budget_s: float,
    steps: int,
    dimensions: int,
) -> tuple[Looked, dict[str, Tensor]]:
    """One model, and its control; and the vectors of its layers for comparing models."""
    labels_of = _labels(each, drawn)
    found: dict[str, Any] = {}
    shows: dict[str, str] = {}
    charts: dict[str, tuple[Chart, ...]] = {}
    beside: dict[str, Any] = {}
    vectors: dict[str, Tensor] = {}
    notes: list[str] = [] if each.trained else [UNTRAINED]
    models = [(False, each.model)] + ([(True, each.untrained())] if control and each.trained else [])
    for is_control, model in models:
        most = min(CONTROL_IMAGES, len(drawn)) if is_control else len(drawn)
        prepared = each.preprocessing
        first, _ = next(drawn.batches(prepared, FEW, device))
        maps = expected_maps(model, first[:1])
        size = batch_size(maps)
        height, width = prepared.height, prepared.width
        meters = {analysis.name: analysis.make(model, height, width) for analysis in wanted}
        for meter in meters.values():
            meter.expect(maps)
        told_here = f"{each.name}, untrained" if is_control else each.name
        seen = _pass(model, drawn, prepared, list(meters.values()), size, most, device, told_here)
        if not is_control:
            notes += seen
        few_labels = None
        if labels_of is not None:
            few_labels = labels_of(next(drawn.batches(prepared, FEW, device))[1])

        def again(count: int, size: int = size) -> Any:
            for images, labels in drawn.batches(each.preprocessing, size, device, count):
                yield images, labels_of(labels) if labels_of is not None else labels

        def pixels(count: int) -> Tensor:
            rows = drawn.rows[:count]
            return torch.stack([each.preprocessing.fit(drawn.split.image(row)) for row in rows])

        setting = Setting(
            model=model,
            config=each.config,
            image=(prepared.channels, height, width),
            few=first,
            pixels=pixels,
            classes=each.classes,
            labels=few_labels,
            run=None if is_control else each.run,
            batches=again,
            control=is_control,
            budget_s=budget_s,
            steps=steps,
            dimensions=dimensions,
            say=logger.info,
        )
        for name, meter in meters.items():
            finding = meter.finding(setting)
            if is_control:
                beside[name] = finite(finding.values)
            else:
                found[name], shows[name] = finite(finding.values), finding.shows
                charts[name] = finding.charts
                if isinstance(meter, LayersAlike):
                    vectors = meter.vectors()
    facts: dict[str, Any] = {"parameters": sum(each.numel() for each in each.model.parameters())}
    macs = None if each.config is None else cost(each.config).macs
    if macs is not None:
        facts["macs"] = macs
    if beside and (found.get("similar_maps") or found.get("tokens")):
        hints = suggestions(each.model, found, beside)
        facts["suggestions"] = [vars(hint) for hint in hints]
        notes.append(told(hints, macs))
    looked = Looked(each.name, each.trained, facts, tuple(notes), found, beside, shows, charts)
    return looked, vectors


def _pass(
    model: nn.Module,
    drawn: Sample,
    preprocessing: Any,
    meters: list[Meter],
    size: int,
    most: int,
    device: torch.device,
    what: str,
) -> list[str]:
    """Show images to a model and all that is seen to the meters; returns what the model has not."""
    kinds = tuple(dict.fromkeys(kind for meter in meters for kind in meter.kinds))
    of_features = [meter for meter in meters if meter.kinds]
    of_maps = [meter for meter in meters if meter.maps]

    def see(seen: Any) -> None:
        for meter in of_features:
            meter.features(seen)

    def see_map(seen: AttentionMap) -> None:
        for meter in of_maps:
            meter.map(seen)

    if not of_features and not of_maps:
        return []
    batches = drawn.batches(preprocessing, size, device, most)
    with (
        torch.no_grad(),
        watch(
            model,
            see_features=see if of_features else None,
            see_map=see_map if of_maps else None,
            kinds=kinds or ("block",),
        ) as notes,
    ):
        for images, _ in counted(batches, -(-most // size), what):
            model(images)
            for meter in meters:
                meter.batch(images)
        return list(notes)


def expected_maps(model: nn.Module, one: Tensor) -> list[MapShape]:
    """The maps of a pass, from one image."""
    shapes: list[MapShape] = []

    def see(seen: AttentionMap) -> None:
        shapes.append(MapShape(seen.name, seen.tokens, seen.heads, seen.over, seen.shared))

    with torch.no_grad(), watch(model, see_map=see):
        model(one)
    return shapes


def batch_size(maps: Sequence[MapShape]) -> int:
    """Images at a time, so that the maps that are kept for comparing stay below `MAP_BYTES`; at most 64."""
    kept = sorted(
        4 * each.heads * each.tokens**2 for each in maps if each.tokens <= MOST_TOKENS and each.over != POOL
    )
    return max(1, min(MOST_BATCH, MAP_BYTES // max(1, sum(kept[-MOST_LAYERS:]))))


def _labels(each: Subject, drawn: Sample) -> Any:
    """A function from the data's labels to the model's outputs; None where they do not fit."""
    if drawn.split.multi_label or each.multi_label:
        return None
    if each.classes is None or each.classes == drawn.classes:
        return (lambda labels: labels) if each.classes is not None else None
    if not set(drawn.classes) <= set(each.classes):
        return None
    order = torch.tensor([each.classes.index(name) for name in drawn.classes])
    return lambda labels: order.to(labels.device)[labels]


def _between(looked: list[Looked], vectors: list[dict[str, Tensor]]) -> tuple[dict[str, Any], list[Chart]]:
    """CKA of the layers of two models, and one quantity against another over seeds."""
    between: dict[str, Any] = {}
    charts: list[Chart] = []
    if len(looked) > 1 and all(vectors) and len(next(iter(vectors[0].values()))) >= FEWEST_FOR_CKA:
        pairs = {}
        for place in range(1, len(looked)):
            matrix = cka_matrix(list(vectors[0].values()), list(vectors[place].values()))
            names = (looked[0].name, looked[place].name)
            pairs[f"{names[0]} – {names[1]}"] = {
                "rows": list(vectors[0]),
                "columns": list(vectors[place]),
                "cka": finite(matrix.tolist()),
            }
            charts.append(
                Matrix(
                    title=f"CKA: {names[0]} and {names[1]}",
                    rows=tuple(map(short_name, vectors[0])),
                    columns=tuple(map(short_name, vectors[place])),
                    values=tuple(tuple(row) for row in matrix.tolist()),
                    low=0,
                    high=1,
                    x=names[1],
                    y=names[0],
                )
            )
        last = [pair["cka"][-1][-1] for pair in pairs.values()]
        shows = (
            f"CKA of the last layers with {looked[0].name}'s: "
            + ", ".join(f"{each:.2f}" for each in last)
            + "."
        )
        between["layers_of_models"] = {"pairs": pairs, "shows": shows}
    both = [
        each for each in looked if each.trained and each.found.get("hfd") and each.found.get("head_diversity")
    ]
    if len(both) >= FEWEST:
        shares = [sum(each.found["hfd"]["share"]) / len(each.found["hfd"]["share"]) for each in both]
        diversity = [each.found["head_diversity"]["mean_diversity_px"] for each in both]
        try:
            over = seed_correlation(shares, diversity)
        except DataError as error:
            between["share_with_diversity"] = {"shows": f"{error}."}
        else:
            shows = (
                f"High-frequency share and head diversity correlate with r = {over.r:.2f} "
                f"(95 % interval {over.low:.2f} to {over.high:.2f}) over {over.n} runs."
            )
            between["share_with_diversity"] = {**vars(over), "shows": shows}
    return between, charts
