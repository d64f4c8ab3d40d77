"""Progressive resolution: the first part of training sees smaller images, and costs less for it.

    step t < share · T     images shrunk to `progressive_size` (bilinear, antialiased), after augmentation
    later                  images as they are

Howard 2018 (fast.ai's entry for DAWNBench) trained so; Tan & Le 2021, "EfficientNetV2", section 4. Two stages
here. There is one set of weights, that of the full size, in optimizer, average and checkpoints, so nothing
moves when the size changes and a continued run is exact: the size is a function of the step. The smaller
model is a second module over the very same parameters. Its position tables are no weights of its own: in
each pass they are the full tables, resized as `interop/resize.py` does, and gradients flow back through that.
A compiler sees two image sizes and compiles twice.

Validation is at the full size from the start. A teacher sees what augmentation made, unshrunk.
"""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from vitreous.errors import ConfigError
from vitreous.interop.resize import has_table, resized_tables
from vitreous.models.vision_transformer import VisionTransformer, VisionTransformerModule, build
from vitreous.training.frozen import train_mode
from vitreous.training.recipe import Recipe

Size = tuple[int, int]


def small_config(config: VisionTransformer, shorter: int) -> VisionTransformer:
    """The model for images whose shorter side has so many pixels, the longer one in proportion."""
    image = config.image
    full = min(image.height, image.width)
    height, width = (round(side * shorter / full) for side in (image.height, image.width))
    return dataclasses.replace(config, image=dataclasses.replace(image, height=height, width=width))


def check_progressive(recipe: Recipe, config: VisionTransformer) -> None:
    """Look whether a model can train at the smaller size too.

    Raises:
        ConfigError: a size or share out of range, or a model that does not fit the size.
    """
    shorter = recipe.progressive_size
    if shorter is None:
        return
    if not 0 < recipe.progressive_share < 1:
        raise ConfigError(
            f"recipe.progressive_share {recipe.progressive_share}: a share above 0 and below 1 works"
        )
    full = min(config.image.height, config.image.width)
    if not 1 <= shorter < full:
        raise ConfigError(f"recipe.progressive_size {shorter}: a size below the full one of {full} px works")
    try:
        with torch.device("meta"):
            at_two_sizes(build(config), build(small_config(config, shorter)))
    except ConfigError as error:
        raise ConfigError(f"recipe.progressive_size {shorter} does not fit {config.name}: {error}") from None


@dataclasses.dataclass(frozen=True)
class SmallFirst:
    """The size of the images of a step.

    Args:
        size: rows and columns of the first part.
        until: the first step at the full size.
    """

    size: Size
    until: int

    def __call__(self, images: Tensor, step: int) -> Tensor:
        """Images of a step, (batch, channels, height, width), shrunk where it is one of the first."""
        if step >= self.until:
            return images
        return F.interpolate(images, self.size, mode="bilinear", antialias=True)


def small_first(recipe: Recipe, config: VisionTransformer, total_steps: int) -> SmallFirst | None:
    """The sizes of a run, None where there is but one."""
    if recipe.progressive_size is None:
        return None
    image = small_config(config, recipe.progressive_size).image
    return SmallFirst((image.height, image.width), round(recipe.progressive_share * total_steps))


def at_two_sizes(full: VisionTransformerModule, small: VisionTransformerModule) -> tuple[str, ...]:
    """Make a model for small images share all weights with the one for large images.

    Args:
        full: keeps its weights.
        small: of the same config but for the image, on the same device; changed in place: its parameters and
            the buffers that files hold become the other's, its position tables buffers without meaning.

    Returns:
        Names of the position tables that have another size, to be given in each pass.

    Raises:
        ConfigError: a weight that belongs to single tokens and is no table.
    """
    theirs, kept = dict(full.named_modules()), full.state_dict()
    tables = []
    for where, module in small.named_modules():
        for name, own in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            path = f"{where}.{name}" if where else name
            if path not in kept:
                continue  # computed for this size, such as an index of offsets
            other = getattr(theirs[where], name)
            if own.shape == other.shape:
                setattr(module, name, other)
            elif has_table(module):
                delattr(module, name)
                module.register_buffer(name, torch.empty_like(own, requires_grad=False), persistent=False)
                tables.append(path)
            else:
                raise ConfigError(f"{path} belongs to single tokens and cannot be shared between two sizes")
    train_mode(small)
    return tuple(tables)


class AtTwoSizes(nn.Module):
    """A network over one set of weights, for images of two sizes.

    Args:
        network: around the full model; computes what the objective asks for.
        small_network: the same around the small model.
        full: the model that owns the weights.
        small: shares them, by `at_two_sizes`.
        tables: names of the small model's position tables.
    """

    def __init__(
        self,
        network: nn.Module,
        small_network: nn.Module,
        *,
        full: VisionTransformerModule,
        small: VisionTransformerModule,
        tables: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.config = full.config
        self.network = network
        self.small_network = small_network
        self._models = (full, small)  # in a tuple: they are in the networks already
        self._size = (small.config.image.height, small.config.image.width)
        self._tables = {path: _inside(small_network, small, path) for path in tables}
        for number, path in enumerate(tables):
            self.register_buffer(f"resize_{number}", resizing(full, small, path), persistent=False)

    def forward(self, images: Tensor) -> Any:
        """The network's output for images of the full or of the small size."""
        if tuple(images.shape[-2:]) != self._size:
            return self.network(images)
        full, small = self._models
        given = {}
        with torch.autocast(images.device.type, enabled=False):  # tables stay as precise as they are
            for number, (path, name) in enumerate(self._tables.items()):
                table = as_places(full.get_parameter(path))
                shape = small.get_buffer(path).shape
                given[name] = from_places(self.get_buffer(f"resize_{number}") @ table, shape)
        return functional_call(self.small_network, given, (images,))


def resizing(full: VisionTransformerModule, small: VisionTransformerModule, path: str) -> Tensor:
    """The matrix (places there, places here) that resizes a table: resizing is linear.

    A product with it has a deterministic backward pass everywhere, which torch's bicubic resize has not on
    GPUs.
    """
    table = full.get_parameter(path)
    places = as_places(table).shape[0]
    unit = from_places(torch.eye(places, dtype=table.dtype, device=table.device), table.shape)
    return as_places(resized_tables({path: unit}, full, small)[path])


def as_places(table: Tensor) -> Tensor:
    """A position table of any form as (places, width): learned, a grid's map, or offsets."""
    if table.ndim == 2:
        return table
    if table.ndim == 3:
        return table.squeeze(0)
    return table.flatten(2).squeeze(0).transpose(0, 1)  # (1, width, rows, columns)


def from_places(table: Tensor, shape: torch.Size) -> Tensor:
    """Inverse of `as_places`; the width is the table's own, the rest is the shape's."""
    if len(shape) == 4:
        return table.T.reshape(1, -1, shape[2], shape[3])
    return table.unsqueeze(0) if len(shape) == 3 else table


def _inside(network: nn.Module, model: nn.Module, path: str) -> str:
    """The name that a model's weight has in a network around it."""
    if network is model:
        return path
    return next(f"{where}.{path}" for where, module in network.named_modules() if module is model)
