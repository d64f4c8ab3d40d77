"""What is analysed: whatever a user names or holds, as a network with its preprocessing and its classes.

RUN or FOLDER          weights, classes and preprocessing of `vitreous.load`
NAME or FILE.json      a model of the catalog, or a described one, with first weights: untrained
    timm/NAME              timm's pretrained model (downloads unless VITREOUS_OFFLINE is 1); @FILE behind it
                           for weights of your own, @untrained for none
a module               what vitreous.build, vitreous.load or timm.create_model returns
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vitreous.analysis.watch import backbone
from vitreous.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from vitreous.errors import ConfigError
from vitreous.interop.classifier import Classifier
from vitreous.interop.model_folder import load
from vitreous.models.catalog import list_models
from vitreous.models.described import described
from vitreous.models.vision_transformer import VisionTransformer, VisionTransformerModule, build

UNTRAINED = "untrained"
TIMM = ("timm/", "timm:")


@dataclass(frozen=True)
class Subject:
    """A model to look into.

    Args:
        name: how tables call it.
        model: in evaluation mode, on its device.
        preprocessing: how pictures become its input.
        classes: names of its outputs; None where they are not known.
        trained: whether it is anything but first weights.
        run: the run folder behind it, if any.
        multi_label: whether a picture may have several classes.
    """

    name: str
    model: nn.Module
    preprocessing: Preprocessing
    classes: tuple[str, ...] | None
    trained: bool
    run: Path | None = None
    multi_label: bool = False

    @property
    def config(self) -> VisionTransformer | None:
        """The description of a model of this package."""
        found = backbone(self.model)
        return found.config if isinstance(found, VisionTransformerModule) else None

    def untrained(self, seed: int = 0) -> nn.Module:
        """The same architecture with first weights: the control of every analysis."""
        found = backbone(self.model)
        device = next(self.model.parameters()).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if isinstance(found, VisionTransformerModule):
                fresh: nn.Module = build(found.config)
            else:
                fresh = copy.deepcopy(found)
                for module in fresh.modules():
                    if isinstance(module, nn.LayerNorm):
                        module.reset_parameters()
                fresh.init_weights()  # type: ignore[operator]  # timm's own scheme
        return fresh.to(device).eval()


def subject(what: Any, *, device: torch.device, classes: tuple[str, ...] | None = None) -> Subject:
    """The model that a user means.

    Args:
        what: see the top of this file.
        device: where it goes.
        classes: of the data, for a model without weights, which is built for as many.

    Raises:
        ConfigError: nothing of that name, a run without a finished model, or a model that cannot be looked
            into.
        DataError: weights that cannot be had.
    """
    if isinstance(what, nn.Module):
        return _of_module(what)
    text = str(what)
    if text.startswith(TIMM):
        return _of_timm(text, device, classes)
    if Path(text).exists() and not text.endswith(".json"):
        found = load(text, device=device)
        place = Path(text)
        run = next((each for each in (place, place.parent) if (each / "config.input.yaml").exists()), None)
        return Subject(
            place.name, found.model, found.preprocessing, found.classes, True, run, found.multi_label
        )
    if text in list_models() or text.endswith(".json"):
        value = described(text, classes=len(classes) if classes else None)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build(value).to(device).eval()
        name = f"{Path(text).stem} ({UNTRAINED})"
        return Subject(name, model, _usual(value), classes if classes else None, False)
    if "/" in text or Path(text).suffix:
        load(text)  # says what is there instead
    described(text)  # names the nearest
    raise ConfigError(
        f"{text}: give a run folder, a model folder, a name of vitreous models list, or timm/NAME"
    )


def _of_module(model: nn.Module) -> Subject:
    found = backbone(model)
    if isinstance(model, Classifier):
        name = model.config.name or "model"
        return Subject(
            name, model.model.eval(), model.preprocessing, model.classes, True, None, model.multi_label
        )
    if isinstance(found, VisionTransformerModule):
        return Subject(found.config.name or "model", model.eval(), _usual(found.config), None, True)
    from vitreous.analysis.watch_timm import check_known

    check_known(found)
    from vitreous.training.teacher import timm_preprocessing

    cfg: Any = getattr(found, "pretrained_cfg", {}) or {}
    stem: Any = getattr(found, "patch_embed", None) or getattr(found, "stem", None)
    prepared = timm_preprocessing(found, int(stem.proj.in_channels))
    height, width = (int(each) for each in stem.img_size)
    prepared = Preprocessing(**{**vars(prepared), "height": height, "width": width})
    return Subject(str(cfg.get("architecture", type(found).__name__)), found.eval(), prepared, None, True)


def _of_timm(text: str, device: torch.device, classes: tuple[str, ...] | None) -> Subject:
    import dataclasses

    import timm

    from vitreous.interop.foreign_checkpoint import read_checkpoint
    from vitreous.interop.timm_weights import check_name, pretrained

    name, _, file = text[5:].partition("@")
    check_name(name, text)
    number: dict[str, Any] = {"num_classes": len(classes)} if classes else {}
    if file:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model: Any = timm.create_model(name, **number)
        if file != UNTRAINED:
            try:
                model.load_state_dict(read_checkpoint(file).weights)
            except RuntimeError as error:
                reason = str(error).splitlines()[-1].strip()
                raise ConfigError(f"{text}: the weights are not those of {name}: {reason}") from error
    else:
        model = pretrained(name, text, f"timm/{name}@FILE or timm/{name}@{UNTRAINED}")
    made = _of_module(model.to(device))
    return dataclasses.replace(
        made,
        name=f"timm/{name}" + (f" ({UNTRAINED})" if file == UNTRAINED else ""),
        trained=file != UNTRAINED,
        classes=classes if file and classes else None,
    )


def _usual(value: VisionTransformer) -> Preprocessing:
    """For a model that comes without: ImageNet's statistics, or those of grey."""
    image = value.image
    grey = image.channels == 1
    return Preprocessing(
        channels=image.channels,
        height=image.height,
        width=image.width,
        mean=(0.5,) if grey else IMAGENET_MEAN,
        std=(0.25,) if grey else IMAGENET_STD,
    )
