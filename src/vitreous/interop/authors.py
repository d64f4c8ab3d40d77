"""Weights that a paper's authors released, as a model folder: read, renamed, proven, written.

    file → weights under the authors' names → the family's table → our names → model folder

The architecture is the user's word (`name`); the number of classes is read from the classifier. Conversion
is proven on the way: no weight is left over on either side, two names that the authors' code gives to one
weight (SReT saves a block once for each turn) hold the same values, an image gives finite logits, and the
folder gives the same logits as the converted model, bit for bit. Files are opened without running code; see
`foreign_checkpoint.py`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vitreous.errors import ConfigError, DataError, VerifyError
from vitreous.interop.foreign_checkpoint import ForeignCheckpoint, read_checkpoint
from vitreous.interop.imagenet import imagenet_preprocessing
from vitreous.interop.model_folder import load, save_model
from vitreous.interop.rename import Table, listed, load_theirs, to_theirs
from vitreous.models.catalog import config, look_up
from vitreous.models.vision_transformer import VisionTransformer, VisionTransformerModule, build
from vitreous.parts import ImageShape

CLASSIFIER = "head.classifier.weight"


@dataclass(frozen=True)
class Converted:
    """What was converted, and the proof.

    Args:
        folder: the model folder.
        config: what it holds.
        found: the weights as they were in the file.
        parameters: trainable values of the model.
        logits: largest absolute logit of the image that was tried.
    """

    folder: Path
    config: VisionTransformer
    found: ForeignCheckpoint
    parameters: int
    logits: float


def convert(
    file: Path | str,
    name: str,
    *,
    out: Path | str,
    image_size: int | tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
    **switches: Any,
) -> Converted:
    """Writes a model folder from a released checkpoint.

    Args:
        file: the checkpoint; `.pth`, `.pt`, `.bin`, `.tar` of torch, or `.safetensors`.
        name: what it is: a catalog name, or a paper's own.
        out: the folder to write; an earlier model folder there is replaced.
        image_size: pixels it was trained at, where these are not the catalog's.
        classes: names of the classes in the classifier's order; `class_0` and so on where None.
        **switches: as for `vitreous.config`, for weights of a variant.

    Raises:
        ConfigError: an unknown name, one without released weights, other than one name for each class, or
            something else at `out`.
        DataError: the file is no checkpoint, or cannot be opened without running code.
        VerifyError: the weights are another architecture's, or give values that are not finite.
    """
    model, found = read_released(file, name, image_size=image_size, **switches)
    described = model.config
    logits = _logits(model, described.image)
    if not logits.isfinite().all():
        raise VerifyError(f"{file} as {described.name}: an image gives logits that are not finite")
    folder = save_model(
        out,
        model,
        classes=[f"class_{number}" for number in range(described.classes)] if classes is None else classes,
        preprocessing=imagenet_preprocessing(described.image),
        metrics={},
        provenance={
            "converted from": Path(file).name,
            "sha256 of that file": _digest(Path(file)),
            "trained by": f"others; {look_up(name)[1].paper}",
        },
    )
    if not torch.equal(_logits(load(folder).model, described.image), logits):
        raise VerifyError(f"{folder}: the model folder gives other logits than the weights it was made from")
    parameters = sum(each.numel() for each in model.parameters())
    return Converted(folder, described, found, parameters, logits.abs().max().item())


def read_released(
    file: Path | str, name: str, *, image_size: int | tuple[int, int] | None = None, **switches: Any
) -> tuple[VisionTransformerModule, ForeignCheckpoint]:
    """The model in a released checkpoint, and what the file held; raises what `convert` raises.

    Args:
        file: as for `convert`.
        name: as for `convert`.
        image_size: pixels it was trained at, where these are not the catalog's.
        **switches: as for `convert`.
    """
    known, entry = look_up(name)
    if entry.names is None:
        raise ConfigError(
            f"no released weights are known for {known} (source: {entry.source}); models whose source is "
            "authors' code have some, see vitreous models list"
        )
    found = read_checkpoint(file)
    try:
        counted = _count_classes(entry.names(config(known, image_size=image_size, **switches)), found)
        described = config(known, image_size=image_size, classes=counted, **switches)
        return _load(described, entry.names(described), found), found
    except VerifyError as error:
        raise VerifyError(f"{file} as {known}: {error}") from error


def read_class_names(path: Path | str) -> list[str]:
    """Names from a JSON list, such as a model folder's `labels.json`, or from a text with one a line.

    Raises:
        DataError: the file cannot be read, or is neither.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        names = json.loads(text) if text.lstrip().startswith("[") else text.splitlines()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} cannot be read as names of classes: {error}") from error
    if not all(isinstance(each, str) and each.strip() for each in names):
        raise DataError(f"{path}: a list of names is expected, one for each class and none of them empty")
    return [each.strip() for each in names]


def _count_classes(table: Table, found: ForeignCheckpoint) -> int:
    [classifier] = to_theirs({CLASSIFIER: ""}, table)
    if classifier not in found.weights:
        raise VerifyError(
            f"no {classifier} to count classes from; the file has {listed(list(found.weights))}: this is "
            "another architecture"
        )
    return found.weights[classifier].shape[0]


def _load(described: VisionTransformer, table: Table, found: ForeignCheckpoint) -> VisionTransformerModule:
    with torch.random.fork_rng(devices=[]):  # the first weights are thrown away
        model = build(described).eval()
    try:
        load_theirs(model, found.weights, table)
    except (ConfigError, VerifyError) as error:
        image = described.image
        of_size = f"; the model is for {image.height}×{image.width} pixels, an image size says otherwise"
        another_size = "position" in str(error) and "in the weights, " in str(error)
        raise VerifyError(f"{error}{of_size if another_size else ''}") from error
    return model


def _logits(model: nn.Module, image: ImageShape) -> Tensor:
    """Of one image of noise, the same every time."""
    fixed = torch.Generator().manual_seed(0)
    noise = torch.randn(1, image.channels, image.height, image.width, generator=fixed)
    with torch.no_grad():
        logits: Tensor = model.eval()(noise)
    return logits


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
