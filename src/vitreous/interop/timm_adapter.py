"""timm's protocol around the backbone: what timm's scripts and helpers ask of a model.

One class for every model, because every model is the same backbone. Weights keep vitreous's names, so that
the `model.safetensors` of a model folder loads into it and the other way round.

    timm                    here
    a block                 a layer of the config, pools included: `layers.{i}`
    forward_features        the last layer's tokens (batch, tokens, width), before the head's norm
    forward_head            all of the head: norm, pooling, classifier
    norm=True               the head's norm on every token, where the width is the last layer's
    global_pool             `token` or `avg` where the head has timm's, else `own`; `""` with 0 classes leaves
                            all tokens, normalised

The norm belongs to the head since some heads pool before it; timm's own models with `fc_norm` do the same.
Prefix tokens come first in every token tensor and are left out of feature maps, as in timm.
"""

import math
from dataclasses import replace
from typing import Any

from timm.models._features import feature_take_indices
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.models.vision_transformer import VisionTransformer, VisionTransformerModule
from vitreous.parts import ClassTokenHead, Head, ImageShape, MeanHead, Tokens, TokenShape

POOLS: dict[type[Head], str] = {ClassTokenHead: "token", MeanHead: "avg"}


class TimmVisionTransformer(VisionTransformerModule):
    """The backbone with timm's methods; made by `timm.create_model`.

    Args:
        config: what to build.
        global_pool: None for the head's own pooling, or its name; `""` for all tokens, with 0 classes only.
    """

    def __init__(self, config: VisionTransformer, global_pool: str | None = None) -> None:
        super().__init__(config)
        shapes = config.shapes()
        self.in_chans = config.image.channels
        self.num_classes = config.classes
        self.num_features = self.embed_dim = shapes[-1].width
        self.head_hidden_size = config.head.features(shapes[-1])
        self.num_prefix_tokens = shapes[-1].prefix
        self.feature_info = feature_info(config)
        self.global_pool = self._pooling(global_pool)

    def forward_features(self, image: Tensor, as_map: bool = False) -> Tensor:
        """(batch, tokens, width), the prefix first; or (batch, width, rows, columns) as a map."""
        features = super().forward_features(image, as_map)
        return features.x if isinstance(features, Tokens) else features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Tokens of `forward_features` to logits; with `pre_logits`, to what the classifier is given."""
        if not self.global_pool:
            return self._normalized(x)
        tokens = Tokens(x, grid=None, prefix=self.num_prefix_tokens)
        pooled: Tensor = self.head.pool(tokens) if pre_logits else self.head(tokens)  # type: ignore[operator]
        return pooled

    def forward(self, image: Tensor) -> Tensor:
        """(batch, classes); features where there are no classes."""
        return self.forward_head(self.forward_features(image))

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        return_prefix_tokens: bool = False,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
        output_dict: bool = False,
    ) -> Any:
        """What layers leave, as timm's models give it.

        Args:
            x: images.
            indices: the last n layers, or these (negative from the end), or all.
            return_prefix_tokens: pairs (features, prefix) instead of features.
            norm: the head's norm on tokens as wide as the last layer's.
            stop_early: nothing is computed behind the last index.
            output_fmt: `NCHW` for maps, `NLC` for tokens without the prefix.
            intermediates_only: only the list.
            output_dict: `image_intermediates`, `image_intermediates_prefix` and `image_features` by name.

        Returns:
            (forward_features(x), list), unless told otherwise above.

        Raises:
            ConfigError: a map of tokens that pooling left without a grid.
        """
        if output_fmt not in ("NCHW", "NLC"):
            raise ConfigError(f"output_fmt is {output_fmt!r}; NCHW and NLC work")
        wanted, last = feature_take_indices(len(self.layers), indices)
        tokens, taken = self.position(self.prefix(self.stem(x))), []
        for number, layer in enumerate(self.layers):
            if stop_early and number > last:
                break
            tokens = self._run(layer, tokens)
            if number in wanted:
                taken.append(replace(tokens, x=self._normalized(tokens.x)) if norm else tokens)
        features = [_features(each, output_fmt) for each in taken]
        prefixes = [each.x[:, : each.prefix] for each in taken]
        if output_dict:
            named: dict[str, Any] = {"image_intermediates": features}
            if return_prefix_tokens and self.num_prefix_tokens:
                named["image_intermediates_prefix"] = prefixes
            return named if intermediates_only else named | {"image_features": tokens.x}
        listed: list[Any] = features
        if return_prefix_tokens and self.num_prefix_tokens:
            listed = list(zip(features, prefixes, strict=True))
        return listed if intermediates_only else (tokens.x, listed)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Takes away what these intermediates do not need; returns their indices, counted from the front."""
        wanted, last = feature_take_indices(len(self.layers), indices)
        self.layers = self.layers[: last + 1]
        if prune_head:
            kept = nn.Module()
            kept.norm = nn.Identity() if prune_norm else getattr(self.head, "norm", nn.Identity())
            self.head, self.num_classes, self.global_pool = kept, 0, ""
        elif prune_norm:
            self.head.norm = nn.Identity()
        self.config = replace(
            self.config,
            layers=self.config.layers[: last + 1],
            head=replace(self.config.head, classes=self.num_classes),
        )
        return list(wanted)

    def get_classifier(self) -> nn.Module:
        """The last linear map; the identity with 0 classes."""
        classifier: nn.Module = self.head.classifier  # type: ignore[assignment]
        return classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A fresh classifier, started as torch starts linear maps; 0 classes for features."""
        like = next(self.parameters())
        self.config = replace(self.config, head=replace(self.config.head, classes=num_classes))
        new: nn.Module = self.config.head.build(self.config.shapes()[-1]).classifier  # type: ignore[assignment]
        new = new.to(like.device, like.dtype)
        self.num_classes = num_classes
        self.global_pool = self._pooling(self.global_pool if global_pool is None else global_pool)
        self.head.classifier = new.train(self.training)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """What timm's layer decay takes as one step of depth: all before the layers, each layer, the head."""
        return {
            "stem": r"^(?:stem|prefix|position)\.",
            "blocks": [(r"^layers\.(\d+)", None), (r"^head\.norm", (99999,))],
        }

    def _pooling(self, asked: str | None) -> str:
        own = POOLS.get(type(self.config.head), "own")
        if asked in (None, own):
            return own
        if asked == "" and not self.num_classes:
            return ""
        all_tokens = "'' (all tokens) needs num_classes=0" if self.num_classes else "'' gives all tokens"
        raise ConfigError(
            f"global_pool is {asked!r}, but pooling belongs to the model's head, "
            f"{type(self.config.head).__name__}; {own!r} works, and {all_tokens}"
        )

    def _normalized(self, x: Tensor) -> Tensor:
        norm = getattr(self.head, "norm", None)
        if norm is None or x.shape[-1] != self.num_features:
            return x
        normalized: Tensor = norm(x)
        return normalized


def feature_info(config: VisionTransformer) -> list[dict[str, Any]]:
    """timm's table of features: channels, pixels of the image per token side, and module of each layer."""
    table, reduction = [], 1
    for number, shape in enumerate(config.shapes()[1:]):
        reduction = max(reduction, _pixels_per_side(config.image, shape))
        table.append({"num_chs": shape.width, "reduction": reduction, "module": f"layers.{number}"})
    return table


def _pixels_per_side(image: ImageShape, shape: TokenShape) -> int:
    return round(math.sqrt(image.height * image.width / max(1, shape.tokens - shape.prefix)))


def _features(tokens: Tokens, output_fmt: str) -> Tensor:
    if output_fmt == "NLC":
        return tokens.x[:, tokens.prefix :]
    if tokens.grid is None:
        raise ConfigError("pooling left a sequence without rows and columns: output_fmt='NLC' gives it")
    return tokens.as_map().contiguous()
