"""How weights start: one visible class for each paper's scheme, applied once to a freshly built model.

    DeiTInit    linear maps, class token and position table ~ N(0, 0.02²), biases 0; the patch convolution
                and norms as torch makes them (facebookresearch/deit, `models.py`)
    EITInit     linear maps ~ N(0, 0.01²), biases 0; convolutions Kaiming normal over their fan-out, biases
                0; class token and position table ~ N(0, 0.02²); norms 1 and 0 (MrHaiPi/EIT, `eit_model.py`)

Both papers truncate their normals at ±2 (not ±2σ), in effect not at all. torch counts the fan-out of a
depthwise convolution over all its channels: std = √(2 / (9c)) for EIT's; so do the authors, and so it stays.
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import nn

from vitreous.parts.description import Description
from vitreous.parts.position_table import GridTableModule, LearnedTableModule
from vitreous.parts.prefix import ClassTokenModule


@dataclass(frozen=True, repr=False)
class Init(Description):
    """Describes how a model's weights start."""

    @abstractmethod
    def initialize(self, model: nn.Module) -> None:
        """Draws the weights in place, from torch's default generator."""


@dataclass(frozen=True, repr=False)
class DeiTInit(Init):
    """The scheme of DeiT's released code."""

    std: float = 0.02

    def initialize(self, model: nn.Module) -> None:
        """Linear maps, class token and position table; the rest stays as torch made it."""
        start_tokens(model, self.std)
        for module in model.modules():
            if isinstance(module, nn.Linear):
                start_linear(module, self.std)


@dataclass(frozen=True, repr=False)
class EITInit(Init):
    """The scheme of EIT's released code."""

    std: float = 0.01
    token_std: float = 0.02

    def initialize(self, model: nn.Module) -> None:
        """Every weight but the norms', which torch starts at 1 and 0 already."""
        start_tokens(model, self.token_std)
        for module in model.modules():
            if isinstance(module, nn.Linear):
                start_linear(module, self.std)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def start_linear(linear: nn.Linear, std: float) -> None:
    """Weights ~ N(0, std²), biases 0."""
    nn.init.trunc_normal_(linear.weight, std=std)
    nn.init.zeros_(linear.bias)


def start_tokens(model: nn.Module, std: float) -> None:
    """Class token and position tables ~ N(0, std²); relative tables stay at zero."""
    for module in model.modules():
        if isinstance(module, ClassTokenModule):
            nn.init.trunc_normal_(module.token, std=std)
        elif isinstance(module, LearnedTableModule | GridTableModule):
            for table in module.parameters():
                nn.init.trunc_normal_(table, std=std)


SCHEMES: tuple[type[Init], ...] = (DeiTInit, EITInit)
