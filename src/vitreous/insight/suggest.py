"""What the similarity of one model's maps and tokens suggests, with the MACs that it would save."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from vitreous.analysis.cost import cost
from vitreous.analysis.sharing_hints import Hint, LayerSize, fewer_turns, pooling, sharing
from vitreous.analysis.watch import backbone, layers_of
from vitreous.analysis.watch_timm import grid_of
from vitreous.analysis.with_shared_map import with_shared_map
from vitreous.errors import ConfigError
from vitreous.models.vision_transformer import VisionTransformer, VisionTransformerModule
from vitreous.parts import Attention, Block, ChannelSplit, Mix, Recursive
from vitreous.wording import first_few


def suggestions(model: nn.Module, found: dict[str, Any], control: dict[str, Any]) -> list[Hint]:
    """Layers that could share the map of the one before, turns that do alike, and where to pool.

    Args:
        model: trained.
        found: values by analysis, of the model.
        control: the same of its untrained control; without it nothing is suggested for maps.
    """
    sizes = _sizes(model)
    hints: list[Hint] = []
    theirs = {tuple(each["layers"]): each for each in control.get("similar_maps", {}).get("groups", [])}
    for group in found.get("similar_maps", {}).get("groups", []):
        same = theirs.get(tuple(group["layers"]))
        if same is not None:
            hints += _of_group(sizes, group["layers"], _neighbours(group), _neighbours(same))
    inner = backbone(model)
    if isinstance(inner, VisionTransformerModule):
        hints = _that_can(inner.config, hints)
    near = found.get("tokens", {}).get("neighbours_centred", {})
    behind = {name.partition(" turn ")[0]: value for name, value in near.items()}  # of the last turn
    after = [name for name in behind if name in sizes]
    if after:
        hints += pooling([sizes[name] for name in after], [behind[name] for name in after])
    return hints


def told(hints: list[Hint], macs: int | None) -> str:
    """The suggestions as a sentence."""
    kinds: dict[str, list[Hint]] = {"share": [], "pool": [], "turns": [], "cannot": []}
    for hint in hints:
        kinds[hint.kind].append(hint)
    parts = []
    if kinds["share"]:
        saved = sum(each.saved_macs for each in kinds["share"])
        of = f" ({100 * saved / macs:.0f} % of all)" if macs else ""
        names = first_few((f"{each.layer} from {each.of}" for each in kinds["share"]), 6)
        parts.append(
            f"{len(kinds['share'])} layers could share a map ({names}) and save {saved / 1e6:,.1f} million "
            f"MACs{of}"
        )
    for each in kinds["pool"]:
        parts.append(
            f"tokens could be pooled by 2 × 2 after {each.layer} (neighbours {each.alike:.2f} alike), "
            f"which saves about {each.saved_macs / 1e6:,.1f} million MACs"
        )
    if kinds["turns"]:
        saved = sum(each.saved_macs for each in kinds["turns"])
        names = first_few((each.layer for each in kinds["turns"]), 6)
        parts.append(
            f"the turns of {names} have maps alike; a turn cannot take another's, since one block runs in "
            f"all, but one turn instead (vt.with_turns) would save {saved / 1e6:,.1f} million MACs"
        )
    sentence = "Nothing is suggested to share or to pool."
    if parts:
        sentence = f"To try, not proven: {'; '.join(parts)}."
    if kinds["cannot"]:
        names = first_few((each.layer for each in kinds["cannot"]), 6)
        sentence += f" {names} would be alike enough, but: {kinds['cannot'][0].why}."
    return sentence


def _neighbours(group: dict[str, Any]) -> list[float]:
    """Matched correlation of each map with the one before."""
    near: list[float] = torch.tensor(group["matched"]).diagonal(1).tolist()
    return near


def _of_group(
    sizes: dict[str, LayerSize], names: list[str], near: list[float], chance: list[float]
) -> list[Hint]:
    """Of maps over equally many tokens: a layer with turns is as alike as the least alike of them."""
    apart = [name.partition(" turn ") for name in names]
    if any(layer not in sizes or not (turn.isdecimal() or not turn) for layer, _, turn in apart):
        return []  # several attentions in a layer: nothing says which would take which
    least: dict[str, tuple[float, float]] = {}
    between: dict[str, list[float]] = {}
    for number in range(1, len(names)):
        layer, same = apart[number][0], apart[number][0] == apart[number - 1][0]
        pair = (near[number - 1], chance[number - 1])
        if layer != apart[0][0]:
            least[layer] = min(least.get(layer, pair), pair, key=lambda each: each[0] - each[1])
        if same:
            between.setdefault(layer, []).append(pair[0] - pair[1])
    listed = [sizes[apart[0][0]], *(sizes[layer] for layer in least)]
    hints = sharing(listed, [pair[0] for pair in least.values()], [pair[1] for pair in least.values()])
    for layer, alike in between.items():
        if len(alike) == sizes[layer].times - 1:
            hints += fewer_turns(sizes[layer], alike)
    return hints


def _that_can(config: VisionTransformer, hints: list[Hint]) -> list[Hint]:
    """The hints as they are where the model with them can be built, with what it really saves."""
    checked = []
    for hint in hints:
        if hint.kind != "share":
            checked.append(hint)
            continue
        layer, lender = (int(name.rpartition(".")[2]) for name in (hint.layer, hint.of))
        try:
            shared = with_shared_map(config, layer, lender)
            saved = cost(config).macs - cost(shared).macs
        except ConfigError as error:
            checked.append(replace(hint, kind="cannot", saved_macs=0, why=str(error)))
        else:
            checked.append(replace(hint, saved_macs=saved))
            config = shared
    return checked


def _sizes(model: nn.Module) -> dict[str, LayerSize]:
    """By layer."""
    found = backbone(model)
    if isinstance(found, VisionTransformerModule):
        by_layer = {each.name: each for each in cost(found.config).by_layer}
        sizes = {}
        for number, (part, shape) in enumerate(zip(found.config.layers, found.config.shapes(), strict=False)):
            name = f"layers.{number}"
            width = _attention_width(part, shape.width)
            times = part.times if isinstance(part, Recursive) else 1
            sizes[name] = LayerSize(name, shape.tokens, width, by_layer[name].macs, times=times)
        return sizes
    return {name: _size_of_timm(found, name, block) for name, block in layers_of(found)}


def _size_of_timm(model: nn.Module, name: str, block: Any) -> LayerSize:
    weights = sum(
        each.numel()
        for key, each in block.named_parameters()
        if each.ndim == 2 and "relative_position" not in key
    )
    if hasattr(block, "window_size"):
        tokens, width = block.input_resolution[0] * block.input_resolution[1], int(block.dim)
        group = block.window_size[0] * block.window_size[1]
        return LayerSize(name, tokens, width, tokens * weights + 2 * tokens * group * width, group)
    whole: Any = model
    grid = grid_of(model)
    assert grid is not None  # all that are known cut patches
    tokens, width = grid[0] * grid[1] + int(getattr(model, "num_prefix_tokens", 0)), int(whole.embed_dim)
    return LayerSize(name, tokens, width, tokens * weights + 2 * tokens**2 * width)


def _attention_width(part: Any, width: int) -> int:
    """Channels that attention works on."""
    for branch in part.branches if isinstance(part, Block) else ():
        if isinstance(branch, Mix) and isinstance(branch.mixer, ChannelSplit):
            return next((n for n, mixer in branch.mixer.slices if isinstance(mixer, Attention)), width)
    return width
