"""Folding: a model for inference in which everything that depends on weights alone is computed once.

    LaPE                mixer(norm(x) + P_l)      P_l is a constant: no norm of the position, no chain of them
    RelativePosition    the bias of every pair    gathered, normalised and padded once
    GridTable           the table                 resized once

The P_l of LaPE (Yu et al., ICCV 2023) see no image, so one pass records them, for every turn where a
recursion applies a layer again. The sum is made in place, on what the layer's own norm has just written.
Instead of the sum, each row of the map behind it could have a bias of its own, W · P_l + b; but the map would
then copy three times as many numbers as the sum reads.

A folded model gives what the model gives. It is for inference only: after training on, or for another image
size, fold again. Where one layer meets several positions in one turn (a recursion inside a recursion) its
LaPE stays as it is.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.models.vision_transformer import VisionTransformer, VisionTransformerModule
from vitreous.parts.block import MixModule
from vitreous.parts.lape import LaPEModule
from vitreous.parts.position_table import GridTableModule, check_grid
from vitreous.parts.relative_position import RelativePositionModule
from vitreous.parts.tokens import Tokens

# What a module gave, by the turn in which it was called; None where it gave two different things in one turn.
Recorded = dict[nn.Module, dict[int, Tensor | None]]


def fold(model: nn.Module) -> "FoldedModule":
    """A copy of a model for inference, with its position terms computed.

    Args:
        model: what `vitreous.build` returns, in either mode; it stays as it is.

    Returns:
        A module (batch, channels, height, width) → (batch, classes) in evaluation mode, on the same device
        and of the same type, that keeps `.config`.

    Raises:
        ConfigError: something else than a built model.
    """
    if not isinstance(model, VisionTransformerModule):
        raise ConfigError(
            f"fold: it takes what vitreous.build returns and this is a {type(model).__name__}; "
            "a loaded classifier holds one as its `.model`"
        )
    folded = deepcopy(model, {id(model.config): model.config}).requires_grad_(False).eval()
    constants = {
        module: constant
        for module, given in _record(folded).items()
        if (constant := _constant(module, given)) is not None
    }
    for parent, name, child in list(_children(folded)):
        if child in constants:
            setattr(parent, name, constants[child])
    for module in folded.modules():
        if isinstance(module, MixModule) and isinstance(module.mixer, FoldedLaPEModule):
            module.mixer.in_place = isinstance(module.norm, nn.LayerNorm)
    return FoldedModule(folded)


def _record(model: VisionTransformerModule) -> Recorded:
    """What position terms the model computes for any image of its size."""
    recorded: Recorded = {}

    def keep(module: nn.Module, tokens: Tokens, given: Tensor) -> None:
        turns = recorded.setdefault(module, {})
        before = turns.get(tokens.turn, given)
        turns[tokens.turn] = given if before is not None and torch.equal(before, given) else None

    def of_lape(module: nn.Module, inputs: tuple[Tensor, Tokens]) -> None:
        assert isinstance(module, LaPEModule)
        keep(module, inputs[1], module.term(inputs[1]))

    def of_table(module: nn.Module, inputs: tuple[Tokens], given: Tensor) -> None:
        keep(module, inputs[0], given)

    hooks = [
        module.register_forward_pre_hook(of_lape)
        if isinstance(module, LaPEModule)
        else module.register_forward_hook(of_table)
        for module in model.modules()
        if isinstance(module, LaPEModule | RelativePositionModule | GridTableModule)
    ]
    image, like = model.config.image, next(model.parameters())
    try:
        with torch.no_grad(), torch.autocast(like.device.type, enabled=False):
            model(like.new_zeros(1, image.channels, image.height, image.width))
    finally:
        for hook in hooks:
            hook.remove()
    return recorded


def _constant(module: nn.Module, given: dict[int, Tensor | None]) -> nn.Module | None:
    """What replaces a module that gave this; None where it cannot be replaced."""
    terms = {turn: term for turn, term in given.items() if term is not None}
    if len(terms) < len(given):
        return None
    if isinstance(module, LaPEModule):
        return FoldedLaPEModule(module, terms)
    grid = module.grid
    assert grid is None or isinstance(grid, tuple)
    return FoldedTableModule(type(module).__name__.removesuffix("Module"), grid, next(iter(terms.values())))


def _children(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    for parent in model.modules():
        for name, child in parent.named_children():
            yield parent, name, child


class FoldedModule(nn.Module):
    """A model whose position terms are constants; made by `fold`."""

    def __init__(self, model: VisionTransformerModule) -> None:
        super().__init__()
        self.model = model
        self.config: VisionTransformer = model.config
        self.eval()

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """One logit a class; features where there are no classes."""
        logits: Tensor = self.model(image)
        return logits

    def forward_features(
        self, image: Float[Tensor, "batch channels height width"], as_map: bool = False
    ) -> Tokens | Float[Tensor, "batch width rows columns"]:
        """What the last layer leaves, as the model itself gives it."""
        return self.model.forward_features(image, as_map)

    def train(self, mode: bool = True) -> "FoldedModule":
        """Stays in evaluation mode; raises ConfigError for training."""
        if mode:
            raise ConfigError(
                "fold: a folded model is for inference, its position is constant; train the model that it "
                "was folded from, and fold again"
            )
        return super().train(False)


class FoldedLaPEModule(nn.Module):
    """A mixer that is given constants on top of its input, one for each turn."""

    terms: Tensor

    def __init__(self, lape: LaPEModule, terms: dict[int, Tensor]) -> None:
        super().__init__()
        self.mixer = lape.mixer
        self.progressive = lape.progressive
        self.in_place = False  # True where nobody else reads the input
        distinct: list[Tensor] = []
        self.row: dict[int, int] = {}
        for turn, term in terms.items():
            same = [row for row, each in enumerate(distinct) if torch.equal(each, term)]
            self.row[turn] = same[0] if same else len(distinct)
            distinct += [] if same else [term]
        self.register_buffer("terms", torch.cat(distinct))

    def forward(
        self, y: Float[Tensor, "batch tokens width"], tokens: Tokens
    ) -> tuple[Float[Tensor, "batch tokens width"], Tokens]:
        """The mixer's result; what is carried on is what the unfolded layer would carry."""
        row = self.row[tokens.turn]
        position = self.terms[row : row + 1]
        if self.progressive:
            tokens = replace(tokens, position=position)
        term = position.to(y.dtype)
        mixed: tuple[Tensor, Tokens] = self.mixer(y.add_(term) if self.in_place else y + term, tokens)
        return mixed


class FoldedTableModule(nn.Module):
    """A table, or a bias of pairs, that was computed for one grid."""

    value: Tensor

    def __init__(self, who: str, grid: tuple[int, int] | None, value: Tensor) -> None:
        super().__init__()
        self.who = who
        self.grid = grid
        self.register_buffer("value", value.clone())

    def forward(self, tokens: Tokens) -> Tensor:
        """The table; raises ConfigError for tokens of another grid."""
        check_grid(self.who, self.grid, tokens)
        return self.value
