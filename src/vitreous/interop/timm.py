"""Every catalog name as a model of timm's: `import vitreous.interop.timm`, and nothing happens before that.

    timm.create_model("eit_mini", num_classes=10, img_size=128, in_chans=3, drop_path_rate=0.1)
    timm.create_model("vitreous", config="mine.json")      a model that has no name: a JSON file or a value

A name that timm has already is never overridden: ours is then registered as `vitreous_NAME`. There are no
weights to download; with `pretrained=True`, timm wants a file in `pretrained_cfg_overlay`. Arguments beside
timm's are the switches of `vitreous.config`, such as `depth=6`; anything else is refused.

    timm              vitreous.build
    drop_rate         dropout: everywhere, as in the authors' code (timm's own models mean the classifier's)
    attn_drop_rate    attention_dropout
    drop_path_rate    drop_path
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models._features import feature_take_indices
from torch import nn

from vitreous.errors import ConfigError, did_you_mean
from vitreous.interop.imagenet import crop_share, imagenet_statistics
from vitreous.interop.timm_adapter import TimmVisionTransformer
from vitreous.models.as_json import from_json
from vitreous.models.catalog import CATALOG, config, switches_of
from vitreous.models.described import described
from vitreous.models.vision_transformer import VisionTransformer, start

GENERIC = "vitreous"
SHAPE = {"img_size": "image_size", "num_classes": "classes", "in_chans": "channels"}
RATES = {"drop_rate": "dropout", "attn_drop_rate": "attention_dropout", "drop_path_rate": "drop_path"}
OTHERS = (
    "global_pool",
    "features_only",
    "out_indices",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "cache_dir",
)
default_cfgs: dict[str, Any] = {}  # timm looks for it in the module of a registered function


def create(name: str, /, *, pretrained: bool = False, **given: Any) -> nn.Module:
    """What `timm.create_model` returns for one of our names.

    Args:
        name: a catalog name; or `vitreous`, with `config` among the arguments.
        pretrained: load the weights that `pretrained_cfg_overlay={"file": …}` names.
        **given: timm's arguments and the switches of the model.

    Raises:
        ConfigError: an unknown argument, or a value that the model cannot work with.
    """
    given = {argument: value for argument, value in given.items() if value is not None}
    switches = [*switches_of(name)] if name in CATALOG else ["config"]
    known = [*SHAPE, *RATES, *OTHERS, *switches]
    for argument in given:
        if argument not in known:
            near = did_you_mean(argument, known) or f"; it has {', '.join(known)}"
            raise ConfigError(f"{name} has no argument {argument!r}{near}")
    value = _value(name, given)
    value.shapes()  # refuses sizes that cannot work, with the slot in front
    # What is built decides what timm's data helpers are told; weights from elsewhere come with their own.
    cfg = default_cfg(value)
    told = {} if pretrained else {key: cfg[key] for key in ("input_size", "mean", "std", "crop_pct")}
    own = {"pretrained_cfg": cfg} if name == GENERIC else {}
    overlay = {"pretrained_cfg_overlay": told | given.get("pretrained_cfg_overlay", {})}
    arguments = own | given | ({} if "pretrained_cfg" in given else overlay)
    model: nn.Module = build_model_with_cfg(
        lambda **rest: _model(name, rest),
        timm_name(name),
        pretrained,
        feature_cfg=_feature_cfg(value, given) if given.get("features_only") else None,
        **arguments,
    )
    return model


def default_cfg(value: VisionTransformer) -> dict[str, Any]:
    """What timm keeps about a model: its images, and the names of its first and last layer."""
    image = value.image
    mean, std = imagenet_statistics(image.channels)
    with torch.device("meta"):
        stem = value.stem.build(image)
    convolutions = [each for each, module in stem.named_modules() if isinstance(module, nn.Conv2d)]
    return {
        "input_size": (image.channels, image.height, image.width),
        "fixed_input_size": True,
        "num_classes": value.classes,
        "mean": mean,
        "std": std,
        "interpolation": "bicubic",
        "crop_pct": crop_share(image),
        "first_conv": f"stem.{convolutions[0]}" if convolutions else None,
        "classifier": "head.classifier",
        "notes": (f"source: {value.source}",),
    }


def timm_name(name: str) -> str:
    """What a name of ours is called in timm's registry."""
    taken = timm.is_model(name) and timm.model_entrypoint(name).__module__ != __name__
    return f"vitreous_{name}" if taken else name


def _value(name: str, given: dict[str, Any]) -> VisionTransformer:
    """The config that timm's arguments describe."""
    shape = {ours: given[argument] for argument, ours in SHAPE.items() if argument in given}
    if name in CATALOG:
        return config(name, **shape, **{each: given[each] for each in switches_of(name) if each in given})
    model = given.get("config")
    if isinstance(model, dict):
        model = from_json(model)
    elif isinstance(model, Path):
        model = str(model)
    if not isinstance(model, str | VisionTransformer):
        raise ConfigError(f"config is {model!r}; a JSON file of a model works, or a value of vitreous.config")
    return described(model, **shape)


def _model(name: str, given: dict[str, Any]) -> TimmVisionTransformer:
    """The adapter; `given` is what timm's builder left, with its defaults filled in."""
    rates = {ours: given.get(argument, 0.0) for argument, ours in RATES.items()}
    return start(TimmVisionTransformer(_value(name, given), given.get("global_pool")), **rates)


def _feature_cfg(value: VisionTransformer, given: dict[str, Any]) -> dict[str, Any]:
    """How `features_only` reads: the last layer of each stage; the last three where there are no stages."""
    shapes = value.shapes()[1:]
    last = len(shapes) - 1
    ends = [
        number
        for number, (shape, after) in enumerate(pairwise(shapes))
        if (shape.tokens, shape.width) != (after.tokens, after.width)
    ]
    wanted = given.get("out_indices", (*ends, last) if ends else tuple(range(max(0, last - 2), last + 1)))
    places, _ = feature_take_indices(len(shapes), wanted)
    maps = all(shapes[place].grid for place in places)
    return {"feature_cls": "getter", "out_indices": wanted, "output_fmt": "NCHW" if maps else "NLC"}


def _register(name: str) -> None:
    def entry(pretrained: bool = False, **given: Any) -> nn.Module:
        return create(name, pretrained=pretrained, **given)

    public = timm_name(name)
    entry.__name__ = entry.__qualname__ = public
    entry.__doc__ = f"vitreous's {name}; see `vitreous models show {name}`."
    globals()[public] = entry
    if not timm.is_model(public):
        register_model(entry)


for _name in CATALOG:
    _known = config(_name)
    _cfg = default_cfg(_known) | {"paper_name": CATALOG[_name].paper}
    default_cfgs |= generate_default_cfgs({timm_name(_name): _cfg})
    _register(_name)
_register(GENERIC)
