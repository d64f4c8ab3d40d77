"""How alike the positions of two tokens look to a layer: LaPE's picture, for every way of joining.

    s_ij = cosine of rows i and j of the position term that a layer is given
    added at the input, or joined at each block     g_l ⊙ norm(w) + b_l, the layer's own norm on the table
    LaPE                                            P_l, the chain of its norms (or each norm on w)
    a table of its own in each block                g_l ⊙ norm(w_l) + b_l
    relative position                               no vector a token: the bias of each head itself

Yu et al., ICCV 2023, equation 12 and released `similarity_visualize.py` (norm with ε = 1e-5, prefix rows
dropped). Its claims: alike in all layers when added at the input; local to global with depth under LaPE.
Control: `chained_control`, since chained norms with random biases alone raise the mean cosine from 0.2 to
0.9 over 12 layers: part of local-to-global is built in. `centred` takes the mean over tokens away first,
and with it that offset.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.analysis.watch import backbone
from vitreous.models.vision_transformer import VisionTransformerModule
from vitreous.parts.block import MixModule
from vitreous.parts.lape import LaPEModule
from vitreous.parts.position import AddPositionModule, JoinPositionModule
from vitreous.parts.tokens import Tokens

EPS = 1e-5


@dataclass(frozen=True)
class PositionTerm:
    """What a layer is told about places: a vector each token, the prefix dropped, or the bias of each head.

    Args:
        name: the layer, with its turn.
        joining: `input`, `each block`, `own table`, `LaPE` or `relative`.
        term: the vectors; None for a relative bias.
        bias: of each head, None for the others.
        grid: rows and columns.
    """

    name: str
    joining: str
    term: Float[Tensor, "patches width"] | None
    bias: Float[Tensor, "heads patches patches"] | None
    grid: tuple[int, int] | None


@dataclass(frozen=True)
class Correlation:
    """Mean cosine of the positions of two different patches, and of two neighbours; raw and centred."""

    mean: float
    mean_centred: float
    neighbours: float


def correlation(
    term: Float[Tensor, "patches width"], *, centred: bool = False
) -> Float[Tensor, "patches patches"]:
    """s_ij, −1 to 1."""
    exact = term.double()
    if centred:
        exact = exact - exact.mean(dim=0)
    unit = exact / exact.norm(dim=-1, keepdim=True).clamp_min(1e-8)
    cosines: Tensor = unit @ unit.T
    return cosines


def summary(term: Float[Tensor, "patches width"], grid: tuple[int, int] | None) -> Correlation:
    """The map in three numbers; neighbours stand beside or below each other."""
    raw, centred = correlation(term), correlation(term, centred=True)
    near = float("nan")
    if grid is not None:
        number = torch.arange(len(raw)).view(grid)
        pairs = [(number[1:], number[:-1]), (number[:, 1:], number[:, :-1])]
        near = float(torch.cat([raw[a.flatten(), b.flatten()] for a, b in pairs]).mean())
    return Correlation(_off_diagonal(raw), _off_diagonal(centred), near)


def position_terms(model: nn.Module) -> list[PositionTerm]:
    """What each layer is told, in order; empty for a model that has no position.

    The model is run once, on an image of zeros: position does not depend on the image.

    Args:
        model: as of `watch`; timm's vision transformers too.
    """
    found = backbone(model)
    was_training = found.training
    found.eval()
    try:
        with torch.no_grad():
            return _of_ours(found) if isinstance(found, VisionTransformerModule) else _of_timm(found)
    finally:
        found.train(was_training)


def chained_control(
    layers: int, patches: int, width: int, *, bias: float = 0.5, seed: int = 0, progressive: bool = True
) -> list[float]:
    """Mean cosine per layer of a random table under norms of scale 1 and random biases of this deviation."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(patches, width, generator=generator, dtype=torch.float64)
    means, term = [], table
    for _ in range(layers):
        shift = bias * torch.randn(width, generator=generator, dtype=torch.float64)
        term = F.layer_norm(term if progressive else table, (width,), eps=EPS) + shift
        means.append(_off_diagonal(correlation(term)))
    return means


def joining_weights(
    z: Float[Tensor, "batch tokens width"], w: Float[Tensor, "1 tokens width"], eps: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """L1, L2 and L3 of LaPE's equation 6, each (batch, tokens).

        norm(z + w) = L1 · norm(z) + L2 · norm(w) + L3 · b        L1 = s(z)/s(z+w), L2 = s(w)/s(z+w), L3 = 1
        − L1 − L2

    s is the standard deviation over the channels of a token. L2 is the weight that position has in a layer;
    it shrinks as z grows. Exact for a purely additive stream and position joined at the input.
    """

    def s(x: Tensor) -> Tensor:
        return (x.double().var(dim=-1, correction=0) + eps).sqrt()

    both = s(z + w).clamp_min(1e-300)
    first, second = s(z) / both, s(w) / both
    return first, second, 1 - first - second


def _off_diagonal(matrix: Tensor) -> float:
    count = len(matrix)
    return float((matrix.sum() - matrix.diagonal().sum()) / max(1, count * (count - 1)))


def _of_ours(model: VisionTransformerModule) -> list[PositionTerm]:
    terms: list[PositionTerm] = []
    tables: dict[str, Tensor] = {}
    hooks = []

    def keep(name: str, joining: str, term: Tensor, tokens: Tokens) -> None:
        turn = f" turn {tokens.turn}" if tokens.turn or many[name] else ""
        terms.append(PositionTerm(name + turn, joining, term[0, tokens.prefix :].clone(), None, tokens.grid))

    def of_lape(name: str, module: LaPEModule) -> None:
        hooks.append(
            module.register_forward_pre_hook(
                lambda _, inputs: keep(name, "LaPE", module.term(inputs[1]), inputs[1])
            )
        )

    def of_mix(name: str, module: MixModule, joining: str) -> None:
        def hook(_: nn.Module, inputs: tuple[Tokens]) -> None:
            tokens = inputs[0]
            table = tables.get("own" if joining == "own table" else "")
            if joining == "each block":
                table = tokens.position
            if table is not None and table.shape[1:] == tokens.x.shape[1:]:
                keep(name, joining, _through(module.norm, table), tokens)

        hooks.append(module.register_forward_pre_hook(hook))

    def of_relative(name: str, attention: nn.Module) -> None:
        def hook(module: nn.Module, inputs: tuple[Tokens], out: Tensor) -> None:
            prefix = inputs[0].prefix
            bias = out[0, :, prefix:, prefix:].clone()
            terms.append(PositionTerm(name, "relative", None, bias, inputs[0].grid))

        hooks.append(attention.relative.register_forward_hook(hook))  # type: ignore[union-attr, operator]

    def of_table(key: str, module: AddPositionModule) -> None:
        hooks.append(
            module.table.register_forward_hook(lambda _, __, out: tables.__setitem__(key, out.clone()))
        )

    many = {}
    if isinstance(model.position, AddPositionModule):
        of_table("", model.position)
    for number, layer in enumerate(model.layers):
        name = f"layers.{number}"
        many[name] = any(len(getattr(each, "between", ())) > 1 for each in layer.modules())
        inside = list(layer.modules())
        joining = "input"
        if any(isinstance(each, JoinPositionModule) for each in inside):
            joining = "each block"
        for each in inside:
            if isinstance(each, AddPositionModule):
                joining = "own table"
                of_table("own", each)
        lapes = [each for each in inside if isinstance(each, LaPEModule)]
        for lape in lapes:
            of_lape(name, lape)
        for each in inside:
            if isinstance(each, MixModule) and not lapes:
                of_mix(name, each, joining)
            if getattr(each, "relative", None) is not None:
                of_relative(name, each)
    image, like = model.config.image, next(model.parameters())
    try:
        model(like.new_zeros(1, image.channels, image.height, image.width))
    finally:
        for hook in hooks:
            hook.remove()
    return terms


def _of_timm(model: nn.Module) -> list[PositionTerm]:
    from vitreous.analysis.watch_timm import blocks_of, fitting, grid_of

    table: Tensor | None = getattr(model, "pos_embed", None)
    shared: Any = getattr(model, "rel_pos_bias", None)
    grid, terms = grid_of(model), []
    blocks: list[tuple[str, Any]] = list(blocks_of(model))
    for name, block in blocks:
        if table is not None:
            patches = grid[0] * grid[1] if grid else table.shape[1]
            term = _through(block.norm1, table[0, table.shape[1] - patches :])
            terms.append(PositionTerm(name, "input", term, None, fitting(grid, patches)))
        if getattr(getattr(block, "attn", None), "relative_position_bias_table", None) is not None:
            size = tuple(block.attn.window_size)
            bias = block.attn._get_rel_pos_bias()[0]
            prefix = bias.shape[-1] - size[0] * size[1]
            terms.append(PositionTerm(name, "relative", None, bias[:, prefix:, prefix:], size))
        elif shared is not None:
            terms.append(PositionTerm(name, "relative", None, shared()[:, 1:, 1:], grid))
    return terms


def _through(norm: nn.Module, table: Tensor) -> Tensor:
    """The table as a layer's norm leaves it, with the released script's ε."""
    if isinstance(norm, nn.LayerNorm):
        return F.layer_norm(table, table.shape[-1:], norm.weight, norm.bias, EPS)
    passed: Tensor = norm(table)
    return passed
