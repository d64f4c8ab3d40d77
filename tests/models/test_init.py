import math

import torch

from vitreous.models import build, config


def test_eit_starts_as_its_released_code() -> None:
    torch.manual_seed(0)
    model = build(config("eit_mini"))
    split = model.layers[0].branches[0].mixer
    assert abs(split.mixers[0].conv.weight.std() - math.sqrt(2 / (9 * 200))) < 0.002
    assert abs(model.stem.conv.weight.std() / math.sqrt(2 / (250 * 16**2)) - 1) < 0.02
    assert abs(split.mixers[1].qkv.weight.std() / 0.01 - 1) < 0.05
    assert abs(model.head.classifier.weight.std() / 0.01 - 1) < 0.05
    assert abs(model.prefix.token.std() / 0.02 - 1) < 0.2
    assert not any(parameter.any() for name, parameter in model.named_parameters() if name.endswith("bias"))
    assert all((each.weight == 1).all() for each in model.modules() if isinstance(each, torch.nn.LayerNorm))


def test_deit_starts_as_its_released_code() -> None:
    torch.manual_seed(0)
    model = build(config("deit_tiny"))
    for parameter in (model.prefix.token, model.position.table.weight, model.head.classifier.weight):
        assert abs(parameter.std() / 0.02 - 1) < 0.2
    assert abs(model.layers[3].branches[1].widen.weight.std() / 0.02 - 1) < 0.02
    linear = [each for each in model.modules() if isinstance(each, torch.nn.Linear)]
    assert not any(each.bias.any() for each in linear)
