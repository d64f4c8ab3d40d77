"""What recursion does: the change of each turn, how near a fixed point is, what residual sums have learned.

    change_t = ‖x_{t+1} − x_t‖ / ‖x_t‖          x_{t+1} = between_t(block(x_t)), norms over tokens and
    channels
    beyond the last turn, the last turn is repeated: where the change goes to 0, the block has a fixed point

SReT (arXiv 2111.05297) argues that later turns refine, and that a projection between them keeps turns from
learning the same; the quantities are ours. Its learnable residual coefficients α · x + β · y are read per
branch. Control: the untrained model, whose change is what its initialisation gives.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.models.vision_transformer import VisionTransformerModule
from vitreous.parts.recursion import RecursiveModule
from vitreous.parts.residual import LearnedSumModule
from vitreous.parts.tokens import Tokens


@dataclass(frozen=True)
class Coefficients:
    """What a residual sum has learned.

    Args:
        name: of the branch, as in the state dict.
        layer: its number.
        identity: α, of what passes by.
        branch: β, of the branch.
    """

    name: str
    layer: int
    identity: float
    branch: float


def changes(states: list[Float[Tensor, "batch tokens width"]]) -> Float[Tensor, "turns batch"]:
    """The relative change from each state to the next."""
    pairs = itertools.pairwise(states)
    return torch.stack(
        [(after - before).flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1) for before, after in pairs]
    )


def turn_by_turn(
    model: VisionTransformerModule, images: Float[Tensor, "batch channels height width"], beyond: int = 6
) -> dict[str, Float[Tensor, "turns batch"]]:
    """Changes of every recursive layer: its own turns, then `beyond` repetitions of the last.

    Args:
        model: in evaluation mode; layers that are not recursive are left out.
        images: normalised.
        beyond: turns that the model does not have.
    """
    given: dict[str, Tokens] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: given.__setitem__(name, inputs[0]))
        for name, layer in _recursive(model)
    ]
    try:
        with torch.no_grad():
            model(images)
            return {name: changes(_states(layer, given[name], beyond)) for name, layer in _recursive(model)}
    finally:
        for hook in hooks:
            hook.remove()


def coefficients(model: nn.Module) -> list[Coefficients]:
    """α and β of every learned sum, in order of depth."""
    found = []
    for name, module in model.named_modules():
        if isinstance(module, LearnedSumModule):
            numbers = [int(each) for each in name.split(".") if each.isdecimal()]
            found.append(
                Coefficients(
                    name, numbers[0] if numbers else -1, module.identity.item(), module.branch.item()
                )
            )
    return found


def _recursive(model: VisionTransformerModule) -> Iterator[tuple[str, RecursiveModule]]:
    for number, layer in enumerate(model.layers):
        if isinstance(layer, RecursiveModule):
            yield f"layers.{number}", layer


def _states(layer: RecursiveModule, tokens: Tokens, beyond: int) -> list[Tensor]:
    turns = len(layer.between)
    states = [tokens.x]
    for turn in range(turns + beyond):
        tokens = layer.once(tokens, min(turn, turns - 1))
        states.append(tokens.x)
        tokens = replace(tokens, turn=0)
    return states
