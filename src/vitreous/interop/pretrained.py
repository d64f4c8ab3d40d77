"""Weights to start from: read from wherever they are, and fitted to another model, image or set of classes.

run or model folder    what `vitreous.load` reads, converted checkpoints included
checkpoint file        an authors' or timm's file for a catalog name, through the family's names
timm:NAME              timm's vision transformers, downloaded by timm

head         the classifier starts anew where the classes are other ones
channels     timm's rule: summed to one channel, repeated and scaled to more (`adapt_input_conv`)
positions    tables resized as maps, `resize.py`
all else     by name and shape. A weight of the model without a counterpart starts as it would without
             pretraining, and is named; a weight left over on the other side is refused, unless in the head
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from timm.models import adapt_input_conv
from torch import Tensor, nn

from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError
from vitreous.interop.authors import read_released
from vitreous.interop.imagenet import imagenet_preprocessing
from vitreous.interop.model_folder import load
from vitreous.interop.rename import listed
from vitreous.interop.resize import resized_tables
from vitreous.interop.timm_weights import from_timm
from vitreous.interop.weight_selection import select
from vitreous.models.vision_transformer import VisionTransformer, VisionTransformerModule, build

TIMM = "timm:"
CLASSIFIER = "head.classifier."
HEAD = "head."


@dataclass(frozen=True)
class Pretrained:
    """A trained model to start from.

    Args:
        source: as the user named it.
        config: what the weights belong to.
        weights: by our names, on the CPU.
        classes: what the outputs mean, in order; none where that is not known.
        preprocessing: how its images are prepared.
    """

    source: str
    config: VisionTransformer
    weights: Mapping[str, Tensor]
    classes: tuple[str, ...]
    preprocessing: Preprocessing


def read_pretrained(source: str, model: str) -> Pretrained:
    """What a user's `pretrained` means.

    Args:
        source: run folder, model folder, checkpoint file or `timm:NAME`.
        model: the catalog name that a checkpoint file is read as; unused for the others.

    Raises:
        ConfigError: nothing is there, it is not a model, or it has no counterpart here.
        DataError: weights that cannot be read or had.
        VerifyError: a file that is another architecture's than `model`.
    """
    if source.startswith(TIMM):
        theirs, preprocessing = from_timm(source.removeprefix(TIMM))
        return Pretrained(source, theirs.config, theirs.state_dict(), (), preprocessing)
    if Path(source).is_file():
        if model == "auto":
            raise ConfigError(
                f"--pretrained {source} is a checkpoint without a description; --model NAME says what it is"
            )
        released, _ = read_released(source, model)
        prepared = imagenet_preprocessing(released.config.image)
        return Pretrained(source, released.config, released.state_dict(), (), prepared)
    folder = load(source)
    return Pretrained(source, folder.config, folder.model.state_dict(), folder.classes, folder.preprocessing)


def start_from(
    model: VisionTransformerModule,
    pretrained: Pretrained,
    *,
    classes: tuple[str, ...],
    selection: bool = False,
) -> list[str]:
    """Put pretrained weights into a freshly built model; returns sentences that say what was done.

    Args:
        model: what is to be trained.
        pretrained: what it starts from.
        classes: what the model's outputs are to mean, in order.
        selection: take them out of a larger model (`weight_selection.py`) instead of one of equal size.

    Raises:
        ConfigError: weights that do not fit, named.
    """
    wanted, have = model.state_dict(), dict(pretrained.weights)
    said = [f"weights from {pretrained.source}"]
    if selection or pretrained.classes != classes:
        have = {name: each for name, each in have.items() if not name.startswith(CLASSIFIER)}
        said.append(f"the classifier of {len(classes)} classes starts anew")
    have |= _channels(have, wanted, pretrained.config.image.channels, model.config.image.channels, said)
    have |= _positions(have, pretrained.config, model, said)
    if selection:
        have = select(have, wanted)
        said.append("selected from the larger model evenly")
    _refuse_misfits(have, wanted, pretrained)
    have = {name: each for name, each in have.items() if name in wanted and each.shape == wanted[name].shape}
    fresh = sorted(name for name in wanted.keys() - have.keys() if not name.startswith(CLASSIFIER))
    if fresh:
        said.append(f"without a counterpart there and so as new: {listed(fresh, most=5)}")
    model.load_state_dict(wanted | have)
    return said


def fitting_statistics(prepared: Preprocessing, pretrained: Pretrained) -> Preprocessing:
    """A preprocessing with the mean and deviation that pretrained weights know, where channels are equal."""
    known = pretrained.preprocessing
    if known.channels != prepared.channels:
        return prepared
    return dataclasses.replace(prepared, mean=known.mean, std=known.std)


def _channels(
    have: Mapping[str, Tensor], wanted: Mapping[str, Tensor], old: int, new: int, said: list[str]
) -> dict[str, Tensor]:
    """Kernels of the stem over other image channels."""
    changed = {
        name: adapt_input_conv(new, each, old)
        for name, each in have.items()
        if old != new and name.startswith("stem.") and each.ndim == 4 and each.shape[1] == old
        and name in wanted and wanted[name].shape[1] == new
    }  # fmt: skip
    if changed:
        said.append(f"{listed(sorted(changed))} from {old} to {new} channels")
    return changed


def _positions(
    have: Mapping[str, Tensor], old: VisionTransformer, model: nn.Module, said: list[str]
) -> dict[str, Tensor]:
    """Position tables at the size of the model's grid."""
    with torch.device("meta"):
        before = build(old)
    tables = {
        name: table
        for name, table in resized_tables(have, before, model).items()
        if table.shape != have[name].shape
    }
    if tables:
        said.append(f"{listed(sorted(tables))} resized")
    return tables


def _refuse_misfits(have: Mapping[str, Tensor], wanted: Mapping[str, Tensor], pretrained: Pretrained) -> None:
    left = sorted(name for name in have.keys() - wanted.keys() if not name.startswith(HEAD))
    if left:
        raise ConfigError(
            f"--pretrained {pretrained.source}: {listed(left)}: no place in the model for it; "
            "leave --model out to take the pretrained one, or give one that has all its parts"
        )
    other = [
        f"{name} is {tuple(each.shape)} there and {tuple(wanted[name].shape)} in the model"
        for name, each in have.items()
        if name in wanted and each.shape != wanted[name].shape and not name.startswith(HEAD)
    ]
    if other:
        raise ConfigError(
            f"--pretrained {pretrained.source}: {other[0]}; weights for single tokens fit no other size, "
            "and others no other architecture (--pretrained-by selection cuts a larger model to size)"
        )
