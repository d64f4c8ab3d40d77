"""What happens inside the model, measured after validations: `probe/NAME/LAYER` in the metrics.

    hfd                high-frequency share of what each mixer is given          analysis/spectrum.py
    head_diversity     spread over heads of how far they look, in pixels         analysis/head_distance.py
    token_similarity   mean cosine of two patches of an image                    analysis/token_similarity.py
    entropy            of attention's rows, over the largest possible: 1 is uniform

A few validation images, evenly over the split, are prepared once and shown to the model as it trains (not
to its average), in evaluation mode and uncompiled. Nothing random is drawn and nothing of the model
changes, so a run with probes ends with the same bits as one without. Of several processes the first one
measures.
"""

import contextlib

import torch
from torch import Tensor, nn

from vitreous.analysis.entropy import entropy
from vitreous.analysis.head_distance import head_distances, head_spread
from vitreous.analysis.seen import BLOCK, EMBEDDING, INPUT, AttentionMap, Features
from vitreous.analysis.spectrum import has_low_frequencies, high_frequency_shares
from vitreous.analysis.token_similarity import mean_cosine
from vitreous.analysis.watch import watch
from vitreous.data.images import ImageSplit
from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError, did_you_mean
from vitreous.training.settings import TrainSettings
from vitreous.training.step import MIXED, TYPES

PROBES = ("hfd", "head_diversity", "token_similarity", "entropy")
OF_MAPS = ("head_diversity", "entropy")
PIXELS = 16 * 224**2  # of a batch: maps of small images are small, and many at once are faster


class Probes:
    """Measures a model by some of the probes.

    Args:
        names: which.
        images: normalised, on the model's device.
        precision: of the run.
    """

    def __init__(self, names: tuple[str, ...], images: Tensor, precision: str) -> None:
        self.names = names
        self.images = images
        self.precision = precision

    def measure(self, model: nn.Module) -> dict[str, float]:
        """`probe/NAME/L00` and so on; the model is in the mode that it was in."""
        height, width = self.images.shape[-2:]
        sums: dict[str, list[Tensor]] = {}

        def keep(probe: str, seen: Features | AttentionMap, values: Tensor) -> None:
            turn = f".{seen.turn}" if seen.turn else ""
            sums.setdefault(f"probe/{probe}/L{seen.layer:02d}{turn}", []).append(values.double().cpu())

        def features(seen: Features) -> None:
            if (
                seen.kind == INPUT
                and "hfd" in self.names
                and seen.grid is not None
                and has_low_frequencies(*seen.grid)
            ):
                maps = seen.patches.transpose(1, 2).unflatten(2, seen.grid)
                keep("hfd", seen, high_frequency_shares(maps).mean(dim=1))
            if seen.kind == BLOCK and "token_similarity" in self.names and seen.name != EMBEDDING:
                keep("token_similarity", seen, mean_cosine(seen.patches.float()))

        def maps(seen: AttentionMap) -> None:
            if seen.over != "tokens":
                return
            if "head_diversity" in self.names and seen.grid is not None:
                step = (height / seen.grid[0], width / seen.grid[1])
                keep("head_diversity", seen, head_distances(seen, step))
            if "entropy" in self.names:
                rows = entropy(seen.weights.float()).mean(dim=(1, 2, 3))
                keep(
                    "entropy",
                    seen,
                    rows / torch.log(torch.tensor(float(seen.weights.shape[-1]))).clamp_min(1e-12),
                )

        kinds = [kind for kind, name in ((INPUT, "hfd"), (BLOCK, "token_similarity")) if name in self.names]
        was_training = model.training
        model.eval()
        device = self.images.device.type
        mixed = (
            torch.autocast(device, TYPES[self.precision])
            if self.precision in MIXED
            else contextlib.nullcontext()
        )
        like = next(model.parameters()).dtype
        try:
            with (
                torch.no_grad(),
                torch.compiler.set_stance("force_eager"),
                mixed,
                watch(
                    model,
                    see_features=features if kinds else None,
                    see_map=maps if set(self.names) & set(OF_MAPS) else None,
                    kinds=kinds or (BLOCK,),
                ),
            ):
                for batch in self.images.split(max(1, PIXELS // (height * width))):
                    model(batch.to(like))
        finally:
            model.train(was_training)
        return {name: _value(name, torch.cat(values)) for name, values in sums.items()}


def _value(name: str, values: Tensor) -> float:
    """The mean over images; of head distances the spread of their means."""
    mean = values.mean(dim=0)
    return head_spread(mean).deviation if "/head_diversity/" in name else float(mean)


def probe_names(text: str | None) -> tuple[str, ...]:
    """Names separated by commas; raises ConfigError for one that does not exist."""
    names = tuple(each.strip() for each in (text or "").split(",") if each.strip())
    for each in names:
        if each not in PROBES:
            near = did_you_mean(each, PROBES, most=1)
            raise ConfigError(f"probes: {each} is none; {', '.join(PROBES)} are{near}")
    return names


def check_probes(settings: TrainSettings) -> None:
    """Raises ConfigError for probes that do not exist, numbers below 1, or a model that is kept in parts."""
    names, probing = probe_names(settings.probes), settings.probing
    for name in ("every", "images"):
        if getattr(probing, name) < 1:
            raise ConfigError(f"probing.{name} {getattr(probing, name)}: 1 or more work")
    if not names and probing != type(probing)():
        raise ConfigError("probing is given and no probes, without which it has no effect; give both")
    if names and settings.sharding == "fsdp":
        raise ConfigError("probes look into a whole model, and sharding fsdp keeps it in parts; ddp works")


def make_probes(
    settings: TrainSettings, split: ImageSplit, preprocessing: Preprocessing, device: str, precision: str
) -> Probes | None:
    """The probes that settings ask for, with their images; None for none."""
    names = probe_names(settings.probes)
    if not names:
        return None
    count = min(settings.probing.images, len(split))
    rows = [number * len(split) // count for number in range(count)]
    pixels = torch.stack([preprocessing.fit(split.image(row)) for row in rows])
    return Probes(names, preprocessing.normalize(pixels.to(device)), precision)
