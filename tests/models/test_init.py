"""How weights start: for each scheme every parameter of a model that uses it, none left out.

The numbers are those of the released code, or on the family's page where the scheme is ours.
"""

import math
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vitreous.models import build, config, list_models
from vitreous.models.init import SCHEMES, DeiTInit
from vitreous.models.swin import swin
from vitreous.parts import ImageShape
from vitreous.parts.position_table import GridTableModule, LearnedTableModule
from vitreous.parts.prefix import ClassTokenModule
from vitreous.parts.relative_position import RelativePositionModule
from vitreous.parts.residual import LearnedSumModule

Deviation = float | Callable[[Tensor], float]  # a standard deviation, perhaps by the weight's shape


def by_torch(weight: Tensor) -> float:
    """torch starts maps and their biases uniformly within ±1/√fan-in."""
    return 1 / math.sqrt(3 * weight[0].numel())


def by_fan_in(weight: Tensor) -> float:
    return 1 / math.sqrt(weight[0].numel())


def kaiming_by_fan_in(weight: Tensor) -> float:
    return math.sqrt(2 / weight[0].numel())


def kaiming_by_fan_out(weight: Tensor) -> float:
    return math.sqrt(2 / (weight.shape[0] * weight[0, 0].numel()))


POOL = r"layers\.\d+\.branches\.0\."
# Model → (kind of module, where it stands, deviation of its weights, of its biases); the first that fits.
STARTS: dict[str, list[tuple[type[nn.Module], str, Deviation, Deviation]]] = {
    "deit_tiny": [
        (nn.Linear, "", 0.02, 0),
        (nn.Conv2d, "stem", by_torch, by_torch),
        (ClassTokenModule, "", 0.02, 0),
        (LearnedTableModule, "", 0.02, 0),
    ],
    "eit_mini": [
        (nn.Linear, "", 0.01, 0),
        (nn.Conv2d, "", kaiming_by_fan_out, 0),
        (ClassTokenModule, "", 0.02, 0),
    ],
    "vit_lite_7_4": [
        (nn.Linear, "", 0.02, 0),
        (nn.Conv2d, "stem", kaiming_by_fan_in, by_torch),
        (ClassTokenModule, "", 0, 0),
        (LearnedTableModule, "", 0.2, 0),
    ],
    "cct_7_3x1": [
        (nn.Linear, "", 0.02, 0),
        (nn.Conv2d, "stem", kaiming_by_fan_in, 0),
        (LearnedTableModule, "", 0.2, 0),
    ],
    "psvit_1d_tiny": [
        (nn.Linear, POOL + "p", by_fan_in, 0),
        (nn.Linear, "", 0.02, 0),
        (nn.Conv2d, "stem", by_torch, by_torch),
        (ClassTokenModule, "", 0.02, 0),
        (LearnedTableModule, "position", 0.02, 0),
        (LearnedTableModule, "layers", 0, 0),
    ],
    "psvit_2d_tiny": [
        (nn.Linear, "", 0.02, 0),
        (nn.Conv2d, POOL, by_fan_in, 0),
        (nn.Conv2d, "stem", by_torch, by_torch),
        (LearnedTableModule, "position", 0.02, 0),
        (LearnedTableModule, "layers", 0, 0),
    ],
    "sret_tiny": [
        (nn.Linear, "", by_torch, by_torch),
        (nn.Conv2d, "", by_torch, by_torch),
        (GridTableModule, "", 0.02, 0),
    ],
    "pit_tiny": [
        (nn.Linear, "", by_torch, by_torch),
        (nn.Conv2d, "", by_torch, by_torch),
        (ClassTokenModule, "", 0.02, 0),
        (GridTableModule, "", 0.02, 0),
    ],
    "swin_tiny": [
        (nn.Linear, "", 0.02, 0),
        (nn.Conv2d, "stem", by_torch, by_torch),
        (RelativePositionModule, "", 0.02, 0),
    ],
    "feed_forward_tiny": [
        (nn.Linear, "", 0.02, 0),
        (nn.Conv2d, "stem", by_torch, by_torch),
        (ClassTokenModule, "", 0.02, 0),
        (GridTableModule, "", 0.02, 0),
    ],
}
SWITCHES = {"psvit_1d_tiny": {"position_after_pool": True}, "psvit_2d_tiny": {"position_after_pool": True}}


def check_spread(name: str, values: Tensor, deviation: float) -> None:
    """Mean 0 and this standard deviation, within six standard errors of as many draws."""
    if deviation == 0:
        assert not values.any(), name
    elif values.numel() > 1:
        assert abs(values.mean()) < 6 * deviation / math.sqrt(values.numel()), name
        assert abs(values.std() / deviation - 1) < 6 / math.sqrt(2 * values.numel()), name


@pytest.mark.parametrize("name", STARTS)
def test_every_parameter_starts_as_its_scheme_says(name: str) -> None:
    torch.manual_seed(0)
    model = build(config(name, **SWITCHES.get(name, {})))
    for where, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, nn.LayerNorm | nn.BatchNorm2d | LearnedSumModule):
            assert all((each == (0 if which == "bias" else 1)).all() for which, each in own.items()), where
        elif own:
            rules = [
                rule for rule in STARTS[name] if isinstance(module, rule[0]) and re.match(rule[1], where)
            ]
            assert rules, f"nothing is said about {where}"
            *_, of_weights, of_biases = rules[0]
            for which, each in own.items():
                deviation = of_biases if which == "bias" else of_weights
                spread = deviation(module.weight) if callable(deviation) else deviation
                check_spread(f"{where}.{which}", each, spread)


def test_every_scheme_is_some_models_and_is_checked() -> None:
    assert {type(config(name).init) for name in list_models()} == set(SCHEMES)
    assert {type(config(name).init) for name in STARTS} == set(SCHEMES)


def test_a_table_of_relative_position_starts_at_zero_under_all_schemes_but_swins() -> None:
    image = ImageShape(3, 16, 16)
    small = swin(image=image, classes=2, width=8, depths=(1, 1), heads=(2, 2), window=2, patch=2)
    tables = {name for name, _ in build(small).named_parameters() if name.endswith("relative.table")}
    assert len(tables) == 2
    assert all(build(small).get_parameter(name).any() for name in tables)
    assert not any(build(replace(small, init=DeiTInit())).get_parameter(name).any() for name in tables)
