"""What the similarity of one model's maps and tokens suggests, with the MACs that it would save."""

from typing import Any

from torch import nn

from vitreous.analysis.cost import cost
from vitreous.analysis.sharing_hints import Hint, LayerSize, pooling, sharing
from vitreous.analysis.watch import backbone
from vitreous.insight.meters.similar_maps import neighbours
from vitreous.models.vision_transformer import VisionTransformerModule
from vitreous.parts import Attention, Block, ChannelSplit, Mix


def suggestions(model: nn.Module, found: dict[str, Any], control: dict[str, Any]) -> list[Hint]:
    """Layers that could share the map of the one before, and where tokens could be pooled.

    Args:
        model: trained.
        found: values by analysis, of the model.
        control: the same of its untrained control; without it nothing is suggested for maps.
    """
    sizes = _sizes(model)
    hints: list[Hint] = []
    alike, chance = (neighbours(each.get("similar_maps", {})) for each in (found, control))
    names = [name for name in alike if name in chance and name in sizes]
    if names:
        first = _before(found["similar_maps"], names[0])
        listed = [sizes.get(first, sizes[names[0]]), *(sizes[name] for name in names)]
        hints += sharing(listed, [alike[name] for name in names], [chance[name] for name in names])
    near = found.get("tokens", {}).get("neighbours_centred", {})
    after = [name for name in near if name in sizes]
    if after and not any(" turn " in name for name in after):
        hints += pooling([sizes[name] for name in after], [near[name] for name in after])
    return hints


def told(hints: list[Hint], macs: int | None) -> str:
    """The suggestions as a sentence."""
    if not hints:
        return "Nothing is alike enough to suggest sharing or pooling."
    share = [each for each in hints if each.kind == "share"]
    pool = [each for each in hints if each.kind == "pool"]
    parts = []
    if share:
        saved = sum(each.saved_macs for each in share)
        of = f" ({100 * saved / macs:.0f} % of all)" if macs else ""
        listed = ", ".join(f"{each.layer} from {each.of}" for each in share[:6]) + (
            " …" if len(share) > 6 else ""
        )
        parts.append(
            f"{len(share)} layers could share a map ({listed}) and save {saved / 1e6:,.1f} million MACs{of}"
        )
    for each in pool:
        parts.append(
            f"tokens could be pooled by 2 × 2 after {each.layer} (neighbours {each.alike:.2f} alike), "
            f"which saves about {each.saved_macs / 1e6:,.1f} million"
        )
    return "To try, not proven: " + "; ".join(parts) + "."


def _before(values: dict[str, Any], name: str) -> str:
    for group in values["groups"]:
        if name in group["layers"]:
            return str(group["layers"][group["layers"].index(name) - 1])
    return name


def _sizes(model: nn.Module) -> dict[str, LayerSize]:
    """By layer; turns are not listed, since their map could be shared by none of the parts."""
    found = backbone(model)
    if isinstance(found, VisionTransformerModule):
        by_layer = {each.name: each for each in cost(found.config).by_layer}
        sizes = {}
        for number, (part, shape) in enumerate(zip(found.config.layers, found.config.shapes(), strict=False)):
            name = f"layers.{number}"
            width = _attention_width(part, shape.width)
            sizes[name] = LayerSize(name, shape.tokens, width, by_layer[name].macs)
        return sizes
    blocks: Any = found.blocks
    width = int(found.embed_dim)  # type: ignore[arg-type]
    stem: Any = getattr(found, "patch_embed", None) or getattr(found, "stem", None)
    tokens = int(stem.num_patches) + int(getattr(found, "num_prefix_tokens", 0))
    weights = [sum(each.numel() for each in block.parameters() if each.ndim == 2) for block in blocks]
    return {
        f"blocks.{number}": LayerSize(
            f"blocks.{number}", tokens, width, tokens * each + 2 * tokens**2 * width
        )
        for number, each in enumerate(weights)
    }


def _attention_width(part: Any, width: int) -> int:
    """Channels that attention works on."""
    for branch in part.branches if isinstance(part, Block) else ():
        if isinstance(branch, Mix) and isinstance(branch.mixer, ChannelSplit):
            return next((n for n, mixer in branch.mixer.slices if isinstance(mixer, Attention)), width)
    return width
