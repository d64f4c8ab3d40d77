"""Grad-CAM: which places spoke for a class, told by the gradient of its logit at one layer.

    a_c = mean over places of ∂ logit / ∂ A_c      map = relu(Σ_c a_c · A_c)      A: (width, rows, columns)

Selvaraju et al., ICCV 2017, arXiv 1610.02391, section 3, computed by captum's `LayerGradCam`. A transformer
has no last convolution to take A from. Here A are the patches that enter the last layer which is given a
grid (ours; the habit for class tokens, behind whose last mixing no patch has a gradient): with or without a
class token, before pools that leave a sequence, with and without attention alike. Nothing before that layer
is differentiated. Control: the untrained model, and `deletion.py`.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vitreous.analysis.watch import backbone, layers_of
from vitreous.analysis.watch_timm import as_tokens
from vitreous.errors import ConfigError
from vitreous.parts.tokens import Tokens

MISSING = "class activation maps need captum: pip install 'vitreous[explain]'"
BATCH = 8


@dataclass(frozen=True)
class ClassActivation:
    """Maps at the layer's own resolution, 0 or more, not scaled.

    Args:
        layer: whose tokens are weighed.
        classes: the class of each map.
        maps: one for each image; all zero where nothing spoke for the class.
    """

    layer: str
    classes: Int[Tensor, " batch"]
    maps: Float[Tensor, "batch rows columns"]


def captum_is_there() -> bool:
    """Whether the library can be imported; it is not imported here."""
    return find_spec("captum") is not None


def class_activation(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    classes: Int[Tensor, " batch"] | None = None,
) -> ClassActivation | None:
    """Maps of some images; None for a model that gives no layer a grid.

    Args:
        model: in evaluation mode, as of `watch`; it is as before afterwards, gradients included.
        images: normalised.
        classes: whose logit; by default the largest of each image.

    Raises:
        ConfigError: captum is not installed, or an architecture that is not known.
    """
    if not captum_is_there():
        raise ConfigError(MISSING)
    from captum.attr import LayerGradCam

    found = backbone(model)
    last = _last_with_grid(model, found, images[:1])
    if last is None:
        return None
    name, layer = last
    at = nn.Identity()

    def through(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The patches pass by `at` as a map, which is all that has a gradient."""
        given, *more = inputs
        tokens = _tokens(found, given)
        passed = at(tokens.as_map().detach().requires_grad_())
        x = torch.cat((tokens.x[:, : tokens.prefix], passed.flatten(2).transpose(1, 2)), dim=1)
        return (replace(given, x=x) if isinstance(given, Tokens) else x.reshape(given.shape), *more)

    if classes is None:
        with torch.no_grad():
            classes = torch.cat([model(batch).argmax(dim=1) for batch in images.split(BATCH)])
    with _without_gradients(model), _hooked(layer, through):
        cam = LayerGradCam(model, at)
        maps = [
            cam.attribute(batch, target=of, relu_attributions=True).detach()[:, 0]
            for batch, of in zip(images.split(BATCH), classes.split(BATCH), strict=True)
        ]
    return ClassActivation(name, classes, torch.cat(maps))


def _tokens(model: nn.Module, given: Any) -> Tokens:
    return given if isinstance(given, Tokens) else as_tokens(model, given)


def _last_with_grid(model: nn.Module, found: nn.Module, image: Tensor) -> tuple[str, nn.Module] | None:
    """The last layer that is given rows and columns, by one pass."""
    with_grid: list[tuple[str, nn.Module]] = []
    with contextlib.ExitStack() as hooks, torch.no_grad():
        for name, layer in layers_of(found):

            def look(_: nn.Module, inputs: tuple[Any, ...], here: Any = (name, layer)) -> None:
                if _tokens(found, inputs[0]).grid is not None:
                    with_grid.append(here)

            hooks.enter_context(_hooked(layer, look))
        model(image)
    return with_grid[-1] if with_grid else None


@contextlib.contextmanager
def _hooked(layer: nn.Module, hook: Any) -> Iterator[None]:
    handle = layer.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def _without_gradients(model: nn.Module) -> Iterator[None]:
    """No parameter asks for a gradient inside, so that layers before the map keep nothing."""
    asking = [each for each in model.parameters() if each.requires_grad]
    for each in asking:
        each.requires_grad_(False)
    try:
        yield
    finally:
        for each in asking:
            each.requires_grad_(True)
