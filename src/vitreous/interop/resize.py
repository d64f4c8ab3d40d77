"""Weights of a model for images of another size: position tables resized, everything else as it is.

    table of a grid      a map of rows × columns, resized bicubic, corners not aligned; the prefix's rows stay
    relative position    the table of offsets, a map of (2·rows − 1) × (2·columns − 1), likewise
    inside windows       the window keeps its size, and so the table

This is how models are fine-tuned at 384 or 512 pixels after 224: DeiT (facebookresearch/deit, `main.py`)
resizes its tables so. SReT publishes models at 384 and 512 and no code for it; its table is a map already, to
which the same rule is applied (ours). Sinusoids are computed and need nothing. Weights that belong to single
tokens in any other way, such as maps over tokens, cannot be resized and are refused by name.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.models.vision_transformer import VisionTransformer, build
from vitreous.parts.position_table import GridTableModule, LearnedTableModule
from vitreous.parts.relative_position import RelativePositionModule

Grid = tuple[int, int]


def resize_positions(
    state: Mapping[str, Tensor], old: VisionTransformer, new: VisionTransformer
) -> dict[str, Tensor]:
    """Weights for the same model at another image size.

    Args:
        state: the weights of a model built from `old`, as its `state_dict` gives them; they stay as they are.
        old: what they belong to.
        new: the same but for the image, such as `vt.config("sret_tiny_unsliced", image_size=384)`.

    Returns:
        A state dict that a model built from `new` loads.

    Raises:
        ConfigError: the two differ in more than the image, the weights are not those of `old`, or one belongs
            to single tokens and cannot be resized.
    """
    if replace(old, image=new.image) != new:
        raise ConfigError("resize_positions: the two models differ in more than their images")
    with torch.device("meta"):  # shapes, without values
        before, after = build(old), build(new)
    wanted = before.state_dict()
    for name in sorted(state.keys() ^ wanted.keys()):
        raise ConfigError(f"resize_positions: {name} is in the weights or in the model, but not in both")
    resized = dict(state) | resized_tables(state, before, after)
    for name, weight in after.state_dict().items():
        if resized[name].shape != weight.shape:
            raise ConfigError(
                f"resize_positions: {name} belongs to single tokens of {_pixels(old)} and cannot be resized "
                f"to {_pixels(new)}; images resized to {_pixels(old)} suit the model as it is"
            )
    return resized


def resized_tables(state: Mapping[str, Tensor], before: nn.Module, after: nn.Module) -> dict[str, Tensor]:
    """All position tables that two models have under one name, from the one's size to the other's.

    Args:
        state: weights of `before`, or those of its tables that are wanted.
        before: the model they belong to; its shapes alone are read.
        after: the model they are for; likewise.
    """
    old = dict(before.named_modules())
    tables: dict[str, Tensor] = {}
    for where, module in after.named_modules():
        if where in old:
            tables |= _tables(state, where, old[where], module)
    return tables


def has_table(module: nn.Module) -> bool:
    """Whether a module holds a position table."""
    return isinstance(module, GridTableModule | LearnedTableModule | RelativePositionModule)


def _tables(
    state: Mapping[str, Tensor], where: str, before: nn.Module, after: nn.Module
) -> dict[str, Tensor]:
    """The tables of one module, resized, under their names; empty for a module without."""
    match before, after:
        case GridTableModule(), GridTableModule() if (name := f"{where}.weight") in state:
            return {name: _resized(state[name], after.size)}
        case LearnedTableModule(), LearnedTableModule() if (
            (name := f"{where}.weight") in state and before.grid and after.grid
        ):
            prefix = state[name].shape[1] - before.grid[0] * before.grid[1]
            features = state[name][:, prefix:].transpose(1, 2).unflatten(2, before.grid)
            table = _resized(features, after.grid).flatten(2).transpose(1, 2)
            return {name: torch.cat((state[name][:, :prefix], table), dim=1)}
        case RelativePositionModule(), RelativePositionModule() if (name := f"{where}.table") in state:
            features = state[name].T.unflatten(1, _offsets(before.grid))[None]
            return {name: _resized(features, _offsets(after.grid))[0].flatten(1).T}
    return {}


def _offsets(grid: Grid) -> Grid:
    """How many offsets between two tokens a grid has along each side."""
    return 2 * grid[0] - 1, 2 * grid[1] - 1


def _resized(features: Tensor, size: Grid) -> Tensor:
    """A map (1, width, rows, columns) at another size, in its own type; itself where the size is the same."""
    if features.shape[-2:] == size:
        return features
    precise = features.to(torch.promote_types(features.dtype, torch.float32))
    return F.interpolate(precise, size, mode="bicubic", align_corners=False).to(features.dtype)


def _pixels(config: VisionTransformer) -> str:
    return f"{config.image.height}×{config.image.width} pixels"
