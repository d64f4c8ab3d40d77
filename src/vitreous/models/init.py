"""How weights start: one visible class for each paper's scheme, applied once to a freshly built model.

    DeiTInit    linear maps, class token and position table ~ N(0, 0.02²), biases 0; the patch convolution
                and norms as torch makes them (facebookresearch/deit, `models.py`)
    CompactInit linear maps ~ N(0, 0.02²), biases 0; position table ~ N(0, 0.2²); class token 0; convolutions
                Kaiming normal over their fan-in (SHI-Labs/Compact-Transformers, `src/utils`)
    EITInit     linear maps ~ N(0, 0.01²), biases 0; convolutions Kaiming normal over their fan-out, biases
                0; class token and position table ~ N(0, 0.02²); norms 1 and 0 (MrHaiPi/EIT, `eit_model.py`)
    PSViTInit   as DeiTInit; convolutions and linear maps of pools ~ N(0, 1 / fan-in), biases 0; position
                tables behind a pool at zero. Ours: the paper has no public code
    SReTInit    the position map ~ N(0, 0.02²); all else as torch makes it (szq0214/SReT, `SReT.py`)
    PiTInit     class token and position map ~ N(0, 0.02²); all else as torch makes it (naver-ai/pit)
    SwinInit    as DeiTInit; tables of relative position ~ N(0, 0.02²) too (microsoft/Swin-Transformer)

These papers truncate their normals at ±2 (not ±2σ), in effect not at all. torch counts the fan-out of a
depthwise convolution over all its channels: std = √(2 / (9c)) for EIT's; so do the authors, and so it stays.
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import nn

from vitreous.parts.description import Description
from vitreous.parts.position_table import GridTableModule, LearnedTableModule
from vitreous.parts.prefix import ClassTokenModule, DistilledTokensModule
from vitreous.parts.relative_position import RelativePositionModule
from vitreous.parts.token_pool import GridPoolModule, LinePoolModule


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
class CompactInit(Init):
    """The scheme of Compact-Transformers' released code; its position table starts ten times DeiT's."""

    std: float = 0.02
    table_std: float = 0.2

    def initialize(self, model: nn.Module) -> None:
        """Every weight but the norms' and the biases of convolutions, which stay as torch made them."""
        start_tokens(model, self.table_std)
        for module in model.modules():
            if isinstance(module, nn.Linear):
                start_linear(module, self.std)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, ClassTokenModule):
                for token in module.parameters():
                    nn.init.zeros_(token)


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


@dataclass(frozen=True, repr=False)
class PSViTInit(Init):
    """Ours: DeiT's scheme, and pools whose outputs vary about as much as their inputs."""

    std: float = 0.02

    def initialize(self, model: nn.Module) -> None:
        """Linear maps, class token, the position table before the layers, and the maps inside pools."""
        for slot in ("prefix", "position"):
            start_tokens(model.get_submodule(slot), self.std)
        for module in model.modules():
            if isinstance(module, nn.Linear):
                start_linear(module, self.std)
        for module in model.modules():
            if isinstance(module, GridPoolModule | LinePoolModule):
                # One std for all widths would shrink the tokens, 6-fold at 64 channels and a std of 0.02, and
                # attention behind the pool would learn slowly.
                for pooling in module.modules():
                    if isinstance(pooling, nn.Linear | nn.Conv2d) and pooling.bias is not None:
                        nn.init.trunc_normal_(pooling.weight, std=pooling.weight[0].numel() ** -0.5)
                        nn.init.zeros_(pooling.bias)


@dataclass(frozen=True, repr=False)
class SReTInit(Init):
    """The scheme of SReT's released code."""

    std: float = 0.02

    def initialize(self, model: nn.Module) -> None:
        """The position map; the rest stays as torch made it."""
        start_tokens(model, self.std)


@dataclass(frozen=True, repr=False)
class PiTInit(Init):
    """The scheme of PiT's released code."""

    std: float = 0.02

    def initialize(self, model: nn.Module) -> None:
        """Class token and position map; the rest stays as torch made it."""
        start_tokens(model, self.std)


@dataclass(frozen=True, repr=False)
class SwinInit(Init):
    """The scheme of Swin's released code."""

    std: float = 0.02

    def initialize(self, model: nn.Module) -> None:
        """Linear maps and all tables; the rest stays as torch made it."""
        DeiTInit(self.std).initialize(model)
        for module in model.modules():
            if isinstance(module, RelativePositionModule):
                nn.init.trunc_normal_(module.table, std=self.std)


def start_linear(linear: nn.Linear, std: float) -> None:
    """Weights ~ N(0, std²), biases 0 where there are any."""
    nn.init.trunc_normal_(linear.weight, std=std)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)


def start_tokens(model: nn.Module, std: float) -> None:
    """Class token and position tables ~ N(0, std²); relative tables stay at zero."""
    for module in model.modules():
        if isinstance(module, ClassTokenModule):
            nn.init.trunc_normal_(module.token, std=std)
            if isinstance(module, DistilledTokensModule):
                nn.init.trunc_normal_(module.distillation, std=std)
        elif isinstance(module, LearnedTableModule | GridTableModule):
            for table in module.parameters():
                nn.init.trunc_normal_(table, std=std)


SCHEMES: tuple[type[Init], ...] = (CompactInit, DeiTInit, EITInit, PSViTInit, SReTInit, PiTInit, SwinInit)
