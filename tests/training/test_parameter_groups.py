"""Which parameters decay, learn slower, and are Muon's."""

import pytest
import torch
from timm.optim import param_groups_layer_decay, param_groups_weight_decay

from vitreous.interop.timm_adapter import TimmVisionTransformer
from vitreous.models.catalog import config
from vitreous.models.vision_transformer import VisionTransformer, build, without_decay
from vitreous.training.parameter_groups import level, parameter_groups

SMALL = {
    "vit": config("vit_small_image", image_size=32, classes=10, depth=3),
    "sret": config("sret_tiny", classes=10),
    "psvit": config("psvit_1d_tiny", classes=10),
}


def shares(model: torch.nn.Module, layer_decay: float) -> dict[str, float]:
    """The share of the learning rate of each parameter."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, weight_decay=0.1, layer_decay=layer_decay)
    return {names[id(each)]: group.get("lr_scale", 1.0) for group in groups for each in group["params"]}


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_without_a_difference_the_groups_are_timms(weight_decay: float):
    model = build(SMALL["vit"])
    theirs = param_groups_weight_decay(model, weight_decay, no_weight_decay_list=without_decay(model))
    ours = parameter_groups(model, weight_decay=weight_decay)
    assert [each["weight_decay"] for each in ours] == [each["weight_decay"] for each in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert [id(each) for each in one["params"]] == [id(each) for each in other["params"]]
        assert one.keys() == other.keys()


def test_tables_may_decay_as_they_do_in_timms_own_rule():
    model = build(SMALL["vit"])
    theirs = param_groups_weight_decay(model, 0.3)
    ours = parameter_groups(model, weight_decay=0.3, decay_tables=True)
    for one, other in zip(ours, theirs, strict=True):
        assert [id(each) for each in one["params"]] == [id(each) for each in other["params"]]


@pytest.mark.parametrize("name", SMALL)
def test_every_layer_learns_slower_than_the_one_behind_it_by_the_factor(name: str):
    with torch.device("meta"):
        model = build(SMALL[name])
    found, depth = shares(model, 0.5), len(SMALL[name].layers)
    assert len(found) == len(list(model.parameters()))
    for parameter, share in found.items():
        slot, _, rest = parameter.partition(".")
        from_the_head = {"head": 0, "layers": depth - int(rest.split(".")[0]) if slot == "layers" else 0}
        assert share == 0.5 ** from_the_head.get(slot, depth + 1), parameter


def test_a_recursion_is_one_layer_however_often_it_is_applied():
    with torch.device("meta"):
        model = build(SMALL["sret"])
    turns = [each for each in dict(model.named_modules()) if each.endswith(".between.1")]
    assert turns  # its first block is applied twice
    assert level("layers.0.between.0.widen.weight", 9) == level("layers.0.between.1.widen.weight", 9) == 1


@pytest.mark.parametrize("name", SMALL)
def test_shares_are_those_of_timms_layer_decay_on_our_timm_models(name: str):
    with torch.device("meta"):
        model = TimmVisionTransformer(SMALL[name])
    found = {
        id(each): group["lr_scale"]
        for group in param_groups_layer_decay(model, layer_decay=0.75)
        for each in group["params"]
    }
    names = {each: found[id(parameter)] for each, parameter in model.named_parameters()}
    last_norm = {"head.norm.weight", "head.norm.bias"}  # the head's in BEiT, the last layer's in timm
    ours = {each: share for each, share in shares(model, 0.75).items() if each not in last_norm}
    assert ours == pytest.approx({each: share for each, share in names.items() if each not in last_norm})


@pytest.mark.parametrize("name", SMALL)
def test_muon_moves_maps_between_features_and_adamw_the_rest(name: str):
    described: VisionTransformer = SMALL[name]
    with torch.device("meta"):
        model = build(described)
    names = {id(parameter): each for each, parameter in model.named_parameters()}
    hidden = {
        names[id(each)]
        for group in parameter_groups(model, weight_decay=0.1, muon=True)
        if group.get("use_muon")
        for each in group["params"]
    }
    assert hidden
    for each, parameter in model.named_parameters():
        linear = each.startswith("layers.") and parameter.ndim == 2
        kernel = each in ("stem.convs.1.weight", "stem.convs.2.weight")  # SReT's; the first reads the image
        assert (each in hidden) == (linear or kernel), each  # pools of SReT are depthwise: not among them
