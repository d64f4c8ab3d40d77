"""timm's own helpers, driven over every catalog name; and what timm's arguments do."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.data import create_transform, resolve_data_config
from timm.models import FeatureInfo, load_checkpoint
from timm.models._features import FeatureGetterNet
from timm.optim import create_optimizer_v2
from torch import Tensor, nn

import vitreous.interop.timm as registered
from tests.models.entries import SHRUNK
from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError
from vitreous.interop.model_folder import save_model
from vitreous.interop.timm_adapter import TimmVisionTransformer
from vitreous.models import build, config, list_models, to_json
from vitreous.models.catalog import CATALOG

every_name = pytest.mark.parametrize("name", list_models())


def small(name: str, **arguments: Any) -> nn.Module:
    """A model by timm's door, at the family's size for tests."""
    torch.manual_seed(0)
    shrunk = SHRUNK[CATALOG[name].family]
    given = {"num_classes": 7, "img_size": shrunk.image_size, **shrunk.switches, **arguments}
    return timm.create_model(name, **given).eval()


def images(model: nn.Module, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, *resolve_data_config({}, model=model)["input_size"], generator=generator)


@every_name
def test_a_name_is_timms_too_and_its_model_is_the_one_of_build(name: str) -> None:
    assert timm.is_model(name), "a name that timm takes one day has to be told of here"
    assert timm.model_entrypoint(name).__module__ == registered.__name__
    model = small(name)
    assert isinstance(model, TimmVisionTransformer) and model.config.name == name
    ours = build(model.config).eval()
    ours.load_state_dict(model.state_dict())
    assert torch.equal(model(images(model)), ours(images(model)))
    model.load_state_dict(ours.state_dict())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(images(model)), model(images(model)))


@every_name
def test_the_head_is_its_own_step_and_can_be_exchanged(name: str) -> None:
    model = small(name)
    batch = images(model)
    tokens = model.forward_features(batch)
    assert tokens.ndim == 3 and tokens.shape[-1] == model.num_features
    assert torch.equal(model.forward_head(tokens), model(batch))
    features = model.forward_head(tokens, pre_logits=True)
    assert features.shape == (2, model.head_hidden_size)
    assert torch.equal(model.get_classifier()(features), model(batch))
    model.reset_classifier(0)
    assert model.num_classes == model.config.classes == 0
    assert torch.equal(model(batch), features)
    model.reset_classifier(3)
    assert model(batch).shape == (2, 3) and model.config.classes == 3
    build(model.config).load_state_dict(model.state_dict())
    assert small(name, num_classes=0)(batch).shape == features.shape


@every_name
def test_timms_configuration_names_first_and_last_layer_and_the_images(name: str) -> None:
    model, known = small(name), timm.get_pretrained_cfg(name)
    size = config(name).image
    assert known.input_size == (3, size.height, size.width) and known.num_classes == 1000
    assert known.classifier == "head.classifier" and known.notes == (f"source: {CATALOG[name].source}",)
    modules = dict(model.named_modules())
    assert modules[model.default_cfg["classifier"]].out_features == 7
    first = model.default_cfg["first_conv"]
    assert first is None or modules[first].in_channels == 3
    assert model.default_cfg is model.pretrained_cfg
    data = resolve_data_config({}, model=model)
    assert data["mean"] == (0.485, 0.456, 0.406) and data["interpolation"] == "bicubic"
    assert model(torch.zeros(1, *data["input_size"])).shape == (1, 7)
    create_transform(**data)


@every_name
def test_layer_decay_finds_every_layer_and_leaves_tokens_and_tables_undecayed(name: str) -> None:
    model = small(name)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1.0, weight_decay=0.1, layer_decay=0.5)
    names = {parameter: each for each, parameter in model.named_parameters()}
    scale, decay = {}, {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert names[parameter] not in scale
            scale[names[parameter]], decay[names[parameter]] = group["lr_scale"], group["weight_decay"]
    assert scale.keys() == set(names.values())
    depth: dict[str, set[float]] = {}
    for each, factor in scale.items():
        first, second = each.split(".")[:2]
        depth.setdefault(second if first == "layers" else first.replace("position", "stem"), set()).add(
            factor
        )
    before, head = depth.pop("stem") | depth.pop("prefix", set()), depth.pop("head")
    factors = [before, *(depth[number] for number in sorted(depth, key=int))]
    assert [each.pop() for each in factors] == [
        0.5 ** (len(depth) + 1 - number) for number in range(len(factors))
    ]
    assert not any(factors) and max(head) == 1.0
    for each in model.no_weight_decay():
        assert decay[each] == 0.0
    assert decay["head.classifier.weight"] == 0.1 and decay["head.classifier.bias"] == 0.0


@every_name
def test_features_of_layers_are_maps_with_the_channels_and_reduction_that_were_told(name: str) -> None:
    model = small(name)
    batch = images(model)
    kept: list[Any] = []
    for layer in model.layers:
        layer.register_forward_hook(lambda _, __, tokens: kept.append(tokens))
    fmt = "NCHW" if all(shape.grid for shape in model.config.shapes()) else "NLC"
    final, taken = model.forward_intermediates(batch, output_fmt=fmt)
    assert torch.equal(final, model.forward_features(batch))
    assert len(taken) == len(model.layers) == len(model.feature_info)
    told = FeatureInfo(model.feature_info, len(model.feature_info))
    for features, tokens, channels, reduction in zip(
        taken, kept, told.channels(), told.reduction(), strict=False
    ):
        if fmt == "NLC":
            assert torch.equal(features, tokens.x[:, tokens.prefix :]) and features.shape[2] == channels
        else:
            assert torch.equal(features, tokens.as_map()) and features.shape[1] == channels
            for side, pixels in zip(features.shape[2:], batch.shape[2:], strict=True):
                assert abs(side - pixels / reduction) <= 1


@every_name
def test_timms_feature_wrapper_gives_the_same_features_without_the_rest_of_the_model(name: str) -> None:
    whole, wrapped = small(name), small(name, features_only=True)
    assert isinstance(wrapped, FeatureGetterNet)
    wanted = list(wrapped.out_indices)
    fmt = wrapped.output_fmt.value
    taken = wrapped(images(whole))
    assert [each.shape[1 if fmt == "NCHW" else 2] for each in taken] == wrapped.feature_info.channels()
    wrapped.model.load_state_dict(whole.state_dict(), strict=False)
    expected = whole.forward_intermediates(
        images(whole), indices=wanted, output_fmt=fmt, intermediates_only=True
    )
    for features, same in zip(wrapped(images(whole)), expected, strict=True):
        assert torch.equal(features, same)
    only_second = small(name, features_only=True, out_indices=(1,))
    assert len(only_second.model.layers) == 2
    left = {each.split(".")[0] for each, _ in only_second.model.named_parameters()}
    assert left <= {"stem", "prefix", "position", "layers"}


@every_name
def test_gradients_are_the_same_with_checkpointing(name: str) -> None:
    model = small(name)
    outcomes = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        model(images(model)).square().sum().backward()
        outcomes.append([parameter.grad.clone() for parameter in model.parameters()])
    torch.testing.assert_close(*outcomes, rtol=0, atol=0)


def test_the_norm_of_the_head_acts_on_every_token_that_is_as_wide_as_the_last() -> None:
    model = small("deit_tiny")
    plain = model.forward_intermediates(images(model), output_fmt="NLC", intermediates_only=True)
    normed = model.forward_intermediates(images(model), output_fmt="NLC", intermediates_only=True, norm=True)
    for before, after in zip(plain, normed, strict=True):
        torch.testing.assert_close(after, model.head.norm(before))


@pytest.mark.parametrize(
    ("name", "layers", "reduction"),
    [
        ("sret_tiny", (0, 2, 4), [2, 4, 8]),  # a recursion, a pool, a recursion, a pool, a recursion
        ("deit_tiny", (0, 1), [4, 4]),  # one grid: the last three layers, where there are three
    ],
)
def test_features_are_by_default_those_that_leave_each_stage(
    name: str, layers: tuple, reduction: list
) -> None:
    wrapped = small(name, features_only=True)
    assert tuple(wrapped.out_indices) == layers and wrapped.feature_info.reduction() == reduction


@pytest.mark.parametrize("features_only", [False, True])
def test_an_adapted_model_exports_and_compiles_as_a_whole(
    features_only: bool, without_shape_checks: None
) -> None:
    model = small("psvit_2d_tiny", features_only=features_only)
    batch = images(small("psvit_2d_tiny"), 3)
    exported = torch.export.export(model, (batch,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for run in (exported.module(), compiled):
        torch.testing.assert_close(run(batch[:2]), model(batch[:2]))


def test_prefix_tokens_and_names_are_given_when_asked_for() -> None:
    model = small("deit_tiny")
    batch = images(model)
    _, pairs = model.forward_intermediates(batch, indices=1, return_prefix_tokens=True, output_fmt="NLC")
    [(features, prefix)] = pairs
    assert torch.equal(torch.cat((prefix, features), dim=1), model.forward_features(batch))
    named = model.forward_intermediates(batch, indices=[0], output_dict=True, return_prefix_tokens=True)
    assert named["image_intermediates_prefix"][0].shape == (2, 1, 16)
    assert torch.equal(named["image_features"], model.forward_features(batch))
    early = model.forward_intermediates(batch, indices=[0], stop_early=True, output_dict=True)
    assert torch.equal(early["image_intermediates"][0], named["image_intermediates"][0])


def test_all_tokens_come_out_without_pooling_and_classes() -> None:
    model = small("deit_tiny", num_classes=0, global_pool="")
    assert torch.equal(model(images(model)), model.head.norm(model.forward_features(images(model))))
    model.reset_classifier(0, "token")
    assert model(images(model)).shape == (2, 16)


def test_timms_rates_are_the_recipes() -> None:
    from vitreous.parts.drop import AttentionDropout, Dropout, DropPath

    model = small("deit_tiny", drop_rate=0.1, attn_drop_rate=0.2, drop_path_rate=0.3)
    for kind, rates in ((Dropout, {0.1}), (AttentionDropout, {0.2}), (DropPath, {0.0, 0.3})):
        assert {each.p for each in model.modules() if isinstance(each, kind)} == rates


@pytest.mark.parametrize("channels", [1, 5])
def test_other_images_are_told_to_timms_data_helpers(channels: int) -> None:
    model = timm.create_model("eit_small_image", img_size=(16, 24), in_chans=channels, depth=1)
    data = resolve_data_config({}, model=model)
    assert data["input_size"] == (channels, 16, 24) and len(data["mean"]) == len(data["std"]) == channels
    assert model(torch.zeros(1, channels, 16, 24)).shape == (1, 1000)


def test_a_model_without_a_name_comes_from_a_file_a_value_or_json(tmp_path: Path) -> None:
    import json

    value = config("eit_digits", classes=4, depth=2, width=16)
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(to_json(value)))
    for given in (value, file, str(file), to_json(value)):
        model = timm.create_model("vitreous", config=given)
        assert model.config == value and model.num_classes == 4
        assert resolve_data_config({}, model=model)["input_size"] == (3, 8, 8)
    other = timm.create_model("vitreous", config=file, num_classes=9, img_size=16, in_chans=1)
    assert other(torch.zeros(2, 1, 16, 16)).shape == (2, 9)
    wrapped = timm.create_model("vitreous", config=file, features_only=True, out_indices=(0,))
    assert wrapped(torch.zeros(2, 3, 8, 8))[0].shape == (2, 16, 4, 4)


def test_the_weights_of_a_model_folder_load_by_timms_helpers(tmp_path: Path) -> None:
    arguments = {"img_size": 8, "in_chans": 1, "depth": 2}
    model = timm.create_model("eit_digits", num_classes=2, **arguments).eval()
    whole = Preprocessing(channels=1, height=8, width=8, mean=(0.5,), std=(0.5,))
    folder = save_model(
        tmp_path / "model", model, classes=("a", "b"), preprocessing=whole, metrics={}, provenance={}
    )
    file = str(folder / "model.safetensors")
    again = timm.create_model("eit_digits", num_classes=2, checkpoint_path=file, **arguments).eval()
    assert torch.equal(again(images(model)), model(images(model)))
    load_checkpoint(again, file)
    tuned = timm.create_model(
        "eit_digits",
        pretrained=True,
        num_classes=5,
        pretrained_cfg_overlay={"file": file, "num_classes": 2},
        **arguments,
    ).eval()
    assert torch.equal(tuned.forward_features(images(model)), model.forward_features(images(model)))
    assert tuned(images(model)).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "eit_mini",
            {"drop_pth_rate": 0.1},
            "eit_mini has no argument 'drop_pth_rate'; did you mean drop_path_rate",
        ),
        ("eit_mini", {"dpth": 3}, "eit_mini has no argument 'dpth'; did you mean depth"),
        ("vitreous", {"depth": 3, "config": "x.json"}, "vitreous has no argument 'depth'"),
        ("vitreous", {}, "config is None; a JSON file of a model works, or a value of vitreous.config"),
        ("vitreous", {"config": "missing.json"}, "model missing.json cannot be read"),
        ("deit_tiny", {"img_size": 100}, "stem, PatchStem: an image of 100×100 pixels does not divide"),
        (
            "deit_tiny",
            {"global_pool": "avg", "depth": 1},
            "global_pool is 'avg', but pooling belongs to the model's head, ClassTokenHead; 'token' works, "
            "and '' (all tokens) needs num_classes=0",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_would_work(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        timm.create_model(name, **arguments)
    assert str(refused.value).startswith(message)


def test_without_a_file_there_are_no_pretrained_weights() -> None:
    with pytest.raises(RuntimeError, match="No pretrained weights exist"):
        timm.create_model("eit_digits", pretrained=True)


def test_a_name_that_timm_has_is_not_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert registered.timm_name("deit_tiny_patch16_224") == "vitreous_deit_tiny_patch16_224"
    assert registered.timm_name("deit_tiny") == "deit_tiny"
