"""Hooks on models of this package: any pairing of parts, recursive turns, slices, windows, splits and shares.

A layer's mixer is hooked where the block calls it, so that input and result are those of the whole branch,
and each attention inside it where its queries and keys leave their linear map, so that only q · kᵀ and a
softmax are added. Slices and windows tell on the way in which tokens stand where: their fold is applied to
the tokens' numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from vitreous.analysis.seen import BLOCK, EMBEDDING, INPUT, MIXED, POOL, AttentionMap, Features
from vitreous.errors import ConfigError
from vitreous.models.fold import FoldedLaPEModule
from vitreous.models.vision_transformer import VisionTransformerModule
from vitreous.parts.attention import AttentionModule, add_bias
from vitreous.parts.attention_kernel import attention_map
from vitreous.parts.block import MixModule
from vitreous.parts.channel_split import ChannelSplitModule
from vitreous.parts.depthwise_conv import DepthwiseConvModule
from vitreous.parts.lape import LaPEModule
from vitreous.parts.recursion import RecursiveModule
from vitreous.parts.sequence_pool import SequencePoolHeadModule
from vitreous.parts.shared_attention import SharedAttentionModule
from vitreous.parts.sliced import SlicedModule
from vitreous.parts.token_mlp import TokenMLPModule
from vitreous.parts.token_to_token import TokenToTokenModule
from vitreous.parts.tokens import Tokens
from vitreous.parts.transposed import TransposedModule
from vitreous.parts.windows import WindowsModule, fold

ATTENTIONS = (AttentionModule, SharedAttentionModule)
AROUND = (SlicedModule, WindowsModule, LaPEModule, FoldedLaPEModule)
WITHOUT_MAPS = (DepthwiseConvModule, TokenMLPModule)
KNOWN = ("torch.", "vitreous.parts.", "vitreous.models.")


@dataclass(frozen=True)
class Place:
    """Where a mixer works: the layer's tokens, and which of them stand in each group."""

    name: str
    layer: int
    turn: int
    tokens: int
    grid: tuple[int, int] | None
    prefix: int
    over: str
    members: Tensor


class Watcher:
    """Adds hooks to a model, and knows where a pass is while it runs."""

    def __init__(
        self,
        see_features: Callable[[Features], None] | None,
        see_map: Callable[[AttentionMap], None] | None,
        kinds: tuple[str, ...],
        hooks: list[Callable[[], None]],
    ) -> None:
        self.see_features, self.see_map, self.kinds, self.hooks = see_features, see_map, kinds, hooks
        self.place: list[Place] = []

    def layer(self, name: str, number: int, layer: nn.Module) -> bool:
        """Hook a layer: what leaves it or its turns, and its branches; returns whether it has maps."""
        modules = list(layer.modules())
        recursive = [each for each in modules if isinstance(each, RecursiveModule)]
        several = any(len(each.between) > 1 for each in recursive)
        if isinstance(layer, RecursiveModule):
            for turn, between in enumerate(layer.between):
                self._leaves(between, f"{name} turn {turn}" if several else name, number, turn)
        else:
            self._leaves(layer, name, number, 0)
        transposed = [each for each in modules if isinstance(each, TransposedModule)]
        inside = {id(each) for outer in transposed for each in outer.modules()}
        branches = [each for each in modules if isinstance(each, MixModule)]
        found = False
        for place, mix in enumerate(branches):
            over = "channels" if id(mix) in inside else "tokens"
            which = f" branch {place}" if len(branches) > 1 else ""
            found |= self._branch(name + which, number, mix.mixer, over, several)
        return found

    def features(self, name: str, layer: int, kind: str, x: Tensor, tokens: Tokens, **more: Any) -> None:
        """Hand features over, if such are asked for."""
        if self.see_features is not None and kind in self.kinds:
            turn = more.pop("turn", tokens.turn)
            self.see_features(
                Features(
                    name=name, layer=layer, turn=turn, kind=kind, x=x.detach(), grid=tokens.grid,
                    prefix=tokens.prefix, **more,
                )
            )  # fmt: skip

    def _leaves(self, module: nn.Module, name: str, number: int, turn: int) -> None:
        def hook(_: nn.Module, __: Any, out: Tokens) -> None:
            self.features(name, number, BLOCK, out.x, out, turn=turn)

        if BLOCK in self.kinds and self.see_features is not None:
            self.hooks.append(module.register_forward_hook(hook).remove)

    def _branch(self, name: str, number: int, mixer: nn.Module, over: str, several: bool) -> bool:
        inside = list(inner_mixers(mixer))
        attentions = [each for each in inside if isinstance(each, ATTENTIONS)]
        if self.see_map is None and not (self.see_features and {INPUT, MIXED} & set(self.kinds)):
            return bool(attentions)
        channels = attention_channels(mixer)
        in_place = isinstance(mixer, FoldedLaPEModule) and mixer.in_place

        def named(tokens: Tokens) -> str:
            return f"{name} turn {tokens.turn}" if several else name

        def given(_: nn.Module, inputs: tuple[Tensor, Tokens]) -> None:
            y, tokens = inputs
            here = named(tokens)
            if over == "tokens":
                # A folded model adds the position in place afterwards.
                kept = y.clone() if in_place and INPUT in self.kinds else y
                self.features(here, number, INPUT, kept, tokens, attention_channels=channels)
            members = torch.arange(y.shape[1], device=y.device)[None]
            grid, prefix = (tokens.grid, tokens.prefix) if over == "tokens" else (None, 0)
            self.place = [Place(here, number, tokens.turn, y.shape[1], grid, prefix, over, members)]

        def gives(_: nn.Module, inputs: tuple[Tensor, Tokens], out: tuple[Tensor, Tokens]) -> None:
            if over == "tokens":
                tokens = inputs[1]
                self.features(named(tokens), number, MIXED, out[0], tokens, attention_channels=channels)

        self.hooks.append(mixer.register_forward_pre_hook(given).remove)
        self.hooks.append(mixer.register_forward_hook(gives).remove)
        if self.see_map is not None:
            for each in inside:
                which = ""
                if len(attentions) > 1 and isinstance(each, ATTENTIONS):
                    which = f" part {attentions.index(each)}"
                if isinstance(each, SlicedModule | WindowsModule):
                    self._folds(each)
                elif isinstance(each, AttentionModule):
                    self._attention(each, which)
                elif isinstance(each, SharedAttentionModule):
                    self._shared(each, which)
                elif not isinstance(each, WITHOUT_MAPS + AROUND + (ChannelSplitModule,)):
                    raise unknown(f"{name}: {type(each).__name__}")
        return bool(attentions)

    def _folds(self, module: SlicedModule | WindowsModule) -> None:
        """Slices and windows: inside them stand fewer tokens, in more groups."""
        known: dict[Any, Tensor] = {}

        def enter(_: nn.Module, inputs: tuple[Tensor, Tokens]) -> None:
            y, tokens = inputs
            key = (tokens.turn, tokens.grid, y.shape[1], y.device)
            if key not in known:
                if isinstance(module, SlicedModule):
                    known[key] = sliced(module, y, tokens)
                else:
                    known[key] = windowed(module, y, tokens)
            outer = self.place[-1]
            inner = outer.members[:, known[key]].flatten(0, 1)  # (groups · slices, length of a slice)
            self.place.append(replace(outer, members=inner))

        def leave(*_: Any) -> None:
            self.place.pop()

        self.hooks.append(module.register_forward_pre_hook(enter).remove)
        self.hooks.append(module.register_forward_hook(leave).remove)

    def _attention(self, module: AttentionModule, which: str) -> None:
        kept: dict[str, Tensor | None] = {}

        def begin(_: nn.Module, inputs: tuple[Tensor, Tokens]) -> None:
            kept.update(y=inputs[0], masked=inputs[1].bias, bias=None)

        def projected(_: nn.Module, __: Any, out: Tensor) -> None:
            kept["qkv"] = out

        def related(_: nn.Module, __: Any, out: Tensor) -> None:
            kept["bias"] = out

        def end(*_: Any) -> None:
            y, qkv = kept.pop("y"), kept.pop("qkv")
            assert y is not None and qkv is not None
            batch, length, width = y.shape
            apart = qkv.detach().view(batch, length, 3, module.heads, width // module.heads)
            q, k = (apart[:, :, which].transpose(1, 2) for which in (0, 1))
            bias = add_bias(kept.pop("bias"), kept.pop("masked"))
            self._hand_over(q, k, None if bias is None else bias.detach(), which)

        self.hooks.append(module.register_forward_pre_hook(begin).remove)
        self.hooks.append(module.qkv.register_forward_hook(projected).remove)
        if module.relative is not None:
            self.hooks.append(module.relative.register_forward_hook(related).remove)
        self.hooks.append(module.register_forward_hook(end).remove)

    def _shared(self, module: SharedAttentionModule, which: str) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, Tokens]) -> None:
            lent = [each.detach() for each in inputs[1].shared]
            if len(lent) == 1:
                self._see(lent[0], which, shared=True)
            else:
                q, k, *bias = lent
                self._hand_over(q, k, bias[0] if bias else None, which, shared=True)

        self.hooks.append(module.register_forward_pre_hook(hook).remove)

    def head(self, head: SequencePoolHeadModule, number: int) -> None:
        """Hook a head that weighs the patches: its shares are a map of one query."""
        kept: list[Tokens] = []

        def begin(_: nn.Module, inputs: tuple[Tokens]) -> None:
            kept[:] = inputs

        def weighed(_: nn.Module, __: Any, out: Tensor) -> None:
            assert self.see_map is not None
            shares = out.detach().softmax(dim=1).transpose(1, 2)  # (batch, 1, patches)
            patches = shares.shape[2]
            self.see_map(
                AttentionMap(
                    name="head", layer=number, turn=0, weights=shares[:, None, None], tokens=patches,
                    members=torch.arange(patches, device=out.device)[None], grid=kept[0].grid, prefix=0,
                    over=POOL,
                )
            )  # fmt: skip

        self.hooks.append(head.register_forward_pre_hook(begin).remove)
        self.hooks.append(head.attention.register_forward_hook(weighed).remove)

    def _hand_over(
        self, q: Tensor, k: Tensor, bias: Tensor | None, which: str, *, shared: bool = False
    ) -> None:
        with torch.no_grad():
            self._see(attention_map(q, k, bias), which, shared=shared)

    def _see(self, folded: Tensor, which: str, *, shared: bool) -> None:
        assert self.see_map is not None
        place = self.place[-1]
        weights = folded.unflatten(0, (-1, len(place.members)))
        self.see_map(
            AttentionMap(
                name=place.name + which, layer=place.layer, turn=place.turn, weights=weights,
                members=place.members, tokens=place.tokens, grid=place.grid, prefix=place.prefix,
                over=place.over, shared=shared,
            )
        )  # fmt: skip


def attach(
    model: VisionTransformerModule,
    see_features: Callable[[Features], None] | None,
    see_map: Callable[[AttentionMap], None] | None,
    kinds: tuple[str, ...],
    hooks: list[Callable[[], None]],
) -> list[str]:
    """Add hooks, and to `hooks` how each is removed; returns sentences about what the model has not.

    Raises:
        ConfigError: layers that hold modules from elsewhere while maps are asked for.
    """
    watcher = Watcher(see_features, see_map, kinds, hooks)
    if see_map is not None:
        for module in model.layers.modules():
            if not f"{type(module).__module__}.".startswith(KNOWN):
                raise unknown(type(module).__name__)

    def enters(_: nn.Module, inputs: tuple[Tokens]) -> None:
        watcher.features(EMBEDDING, -1, BLOCK, inputs[0].x, inputs[0])

    for first in model.layers[:1]:
        hooks.append(first.register_forward_pre_hook(enters).remove)
    found = [watcher.layer(f"layers.{number}", number, layer) for number, layer in enumerate(model.layers)]
    if see_map is None:
        return []
    if isinstance(model.head, SequencePoolHeadModule):
        watcher.head(model.head, len(model.layers))
    return _notes(model, found)


def _notes(model: VisionTransformerModule, found: list[bool]) -> list[str]:
    without = [str(number) for number, has in enumerate(found) if not has]
    notes = []
    if len(without) == len(found):
        notes.append("no layer has attention, so there are no maps")
    elif without:
        notes.append(f"layers without attention have no map: {', '.join(without)}")
    if isinstance(model.stem, TokenToTokenModule):
        notes.append("the stem's performers compute attention in linear time and have no map")
    return notes


def inner_mixers(mixer: nn.Module) -> Iterator[nn.Module]:
    """A mixer and all that work inside it."""
    yield mixer
    if isinstance(mixer, AROUND):
        yield from inner_mixers(mixer.mixer)
    elif isinstance(mixer, ChannelSplitModule):
        for each in mixer.mixers:
            yield from inner_mixers(each)


def attention_channels(mixer: nn.Module) -> tuple[int, int] | None:
    """The channels that attention works on, where a split gives the others to something else."""
    for each in inner_mixers(mixer):
        if isinstance(each, ChannelSplitModule):
            begin = 0
            for channels, inner in zip(each.channels, each.mixers, strict=True):
                if any(isinstance(one, ATTENTIONS) for one in inner_mixers(inner)):
                    return begin, begin + channels
                begin += channels
    return None


def sliced(module: SlicedModule, y: Tensor, tokens: Tokens) -> Tensor:
    """The tokens of each slice of this turn, the prefix first: (slices, length)."""
    turn = min(tokens.turn, len(module.slices) - 1)
    count, prefix, device = module.slices[turn], tokens.prefix, y.device
    after = torch.arange(y.shape[1] - prefix, device=device)
    if turn > 0 and count > 1:
        if module.training:
            raise ConfigError(
                "slices are shuffled anew in each step of training; model.eval() before maps are recorded"
            )
        after = module.order(turn, len(after))
    before = torch.arange(prefix, device=device).expand(count, -1)
    return torch.cat((before, after.unflatten(0, (count, -1)) + prefix), dim=1)


def windowed(module: WindowsModule, y: Tensor, tokens: Tokens) -> Tensor:
    """The tokens of each window: (windows, area)."""
    assert tokens.grid is not None
    down, right = module._shifts(tokens.grid)
    numbers = torch.arange(y.shape[1], device=y.device).view(1, *tokens.grid, 1)
    return fold(numbers.roll((-down, -right), (1, 2)), module.size)[..., 0]


def unknown(what: str) -> ConfigError:
    """The refusal of a module that is not known here."""
    return ConfigError(
        f"{what} is not known to record, which would miss its attention; features alone can be recorded "
        "(attention=False)"
    )
