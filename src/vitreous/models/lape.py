"""LaPE, and the other ways to join position, as changes of any model: `lape(config)`, `join(config, …)`.

Yu et al., "LaPE: Layer-adaptive Position Embedding for Vision Transformers with Independent Layer
Normalization", ICCV 2023; arXiv 2212.05262; released code Ingrid725/LaPE (DeiT hosts only).

    paper (table 7)     released code   here
    default             basic           AddPosition(table) before the layers
    shared PE           share           CarryPosition(table); JoinPosition() before each mix
    unshared PE         unshare         AddPosition(table) before each mix, one table a layer
    LaPE (sharing PE)   first upload    CarryPosition(table); Mix(LaPE(mixer, progressive=False))
    LaPE                LaPE            CarryPosition(table); Mix(LaPE(mixer, progressive=True))
    LN_{w,l}            pe_norm         LaPE.norm: a norm of the host's own kind and ε unless told otherwise
    w                   pos_embed       the host's own table; a LearnedTable where it had none

Every `Mix` of the host is changed, whatever it mixes with: attention, windows, channel splits (EIT), inside
recursions too. What mixes over something other than tokens is left alone. **Ours**: where a pool ends the
carried position, the first mix behind it gets a table of its own, one a stage; the paper's Swin does not say
how position crosses patch merging. "Shared PE" and "unshared PE" follow the code, where the sum stays in the
stream and so accumulates, and not the formula, which shows the input of attention alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import wraps
from typing import Any, Literal

from vitreous.errors import ConfigError
from vitreous.models import compact, deit, eit, pit, sret, swin, t2t_vit
from vitreous.models.entry import AUTHORS, OURS, Entry, Names
from vitreous.models.entry import PAPER as FROM_PAPER
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Block,
    CarryPosition,
    JoinPosition,
    LaPE,
    LayerNorm,
    LearnedTable,
    Mix,
    NoPosition,
    Norm,
    Part,
    Table,
    TokenShape,
    Transposed,
)

Joining = Literal["default", "shared", "unshared", "lape_shared", "lape"]


def lape(
    config: VisionTransformer,
    *,
    progressive: bool = True,
    table: Table | None = None,
    norm: Norm | None = None,
) -> VisionTransformer:
    """A model with layer-adaptive position.

    Args:
        config: the host.
        progressive: True for the paper's form, in which each layer normalises what the layer before left;
            False for the first upload's, in which all normalise the same table. Equal in parameters.
        table: the positions; None for the host's own, or a learned one where it has none.
        norm: of the position in each layer; None for the host's own kind.

    Raises:
        ConfigError: nothing mixes tokens, or position is joined by LaPE or in each block already.
    """
    return join(config, "lape" if progressive else "lape_shared", table=table, norm=norm)


def join(
    config: VisionTransformer, joining: Joining, *, table: Table | None = None, norm: Norm | None = None
) -> VisionTransformer:
    """A model with its position joined in another of the paper's five ways; see the table above.

    Args:
        config: the host.
        joining: `default`, `shared`, `unshared`, `lape_shared` or `lape`.
        table: the positions; None for the host's own, or a learned one where it has none.
        norm: LaPE's, of the position in each layer; None for the host's own kind.

    Raises:
        ConfigError: nothing mixes tokens, or position is joined by LaPE or in each block already.
    """
    table = table or _table(config.position) or LearnedTable()

    def joined(part: Mix | AddPosition) -> tuple[Part, ...]:
        match joining, part:
            case "shared", Mix():
                return JoinPosition(), part
            case "unshared", Mix():
                return AddPosition(table, may_drop=False), part
            case "unshared", AddPosition():
                return (NoPosition(),)
            case (("lape" | "lape_shared"), Mix()):
                own = part.norm if isinstance(part.norm, LayerNorm) else LayerNorm()
                return (replace(part, mixer=LaPE(part.mixer, norm or own, progressive=joining == "lape")),)
            case (("shared" | "lape" | "lape_shared"), AddPosition()):
                return (CarryPosition(part.table, may_drop=part.may_drop),)
        return (part,)

    carry = None if joining in ("default", "unshared") else CarryPosition(table, may_drop=False)
    position: Part = CarryPosition(table) if carry else NoPosition()
    if joining == "default":
        position = AddPosition(table)
    described = replace(config, name="", source="", position=position)
    shape = replace(described, layers=()).shapes()[0]
    layers, _ = _joined(config.layers, shape, joined, carry)
    if joining != "default" and layers == config.layers:
        raise ConfigError(
            "join: nothing in this model mixes tokens in a Mix, and only there position can join them"
        )
    return replace(described, layers=layers)


def _table(position: Part) -> Table | None:
    """The host's own table; raises ConfigError for a position slot that is filled in some other way."""
    match position:
        case AddPosition(table=table) | CarryPosition(table=table):
            return table
        case NoPosition():
            return None
    raise ConfigError(
        f"join: the position slot holds {type(position).__name__}, which has no table to join otherwise; "
        "AddPosition, CarryPosition and NoPosition can be changed"
    )


def _joined(
    parts: Sequence[Part],
    shape: TokenShape,
    joined: Callable[[Mix | AddPosition], tuple[Part, ...]],
    carry: CarryPosition | None,
) -> tuple[tuple[Part, ...], TokenShape]:
    """Parts in order with every mix joined, and the shape after them.

    With `carry`, where a pool has ended the position, one stands before the first part that asks for it.
    """
    after: list[Part] = []
    for part in parts:
        match part:
            case Mix(mixer=LaPE()) | JoinPosition() | CarryPosition():
                raise ConfigError(
                    f"join: {type(part).__name__} shows that position is joined in the layers already; "
                    "change the plain host instead"
                )
            case Mix() | AddPosition():
                new = joined(part)
            case Transposed():
                new = (part,)  # no tokens inside
            case Block():
                new = (Block(_joined(part.branches, shape, joined, carry)[0]),)
            case _:
                # Looked into as if a position were carried: where one is missing it comes before the whole.
                inside = replace(shape, position=shape.width)
                new = (_joined_inside(part, inside, joined, carry),)
        if carry and shape.position is None and new != (part,) and not isinstance(part, Block | AddPosition):
            new = (carry, *new)
        for each in new:
            shape = each.out_shape(shape)
        after += new
    return tuple(after), shape


def _joined_inside(
    part: Part,
    shape: TokenShape,
    joined: Callable[[Mix | AddPosition], tuple[Part, ...]],
    carry: CarryPosition | None,
) -> Part:
    """A part that holds others, such as a recursion, with every mix in them joined."""
    held = {each.name: getattr(part, each.name) for each in fields(part)}
    changed: dict[str, Part] = {}
    for name, inner in held.items():
        if isinstance(inner, Part):
            new, _ = _joined((inner,), shape, joined, carry)
            changed[name] = new[0] if len(new) == 1 else Block(new)
    return replace(part, **changed)


def authors_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(the released code's name, ours) for a DeiT under any joining, as beginnings of state-dict keys."""
    pairs = [("patch_embed.proj.", "stem.conv."), *deit.end_names(config)]
    for number, layer in enumerate(config.layers):
        assert isinstance(layer, Block)
        theirs, ours = f"blocks.{number}.", f"layers.{number}.branches."
        mix = next(place for place, branch in enumerate(layer.branches) if isinstance(branch, Mix))
        with_lape = isinstance(getattr(layer.branches[mix], "mixer", None), LaPE)
        attention = f"{ours}{mix}.mixer.mixer." if with_lape else f"{ours}{mix}.mixer."
        pairs += deit.block_names(theirs, ours, mix=mix, attention=attention)
        pairs += [
            (f"pos_embed{number}", f"{ours}0.table.weight"),
            (f"{theirs}pe_norm.", f"{ours}{mix}.mixer.norm."),
            (f"{theirs}attn.relative_position_bias_table", f"{attention}relative.table"),
            (f"{theirs}attn.relative_position_index", f"{attention}relative.index"),
            (f"{theirs}attn.pe_norm.", f"{attention}relative.norm."),
        ]
    return tuple(pairs)


PAPER = "LaPE, ICCV 2023, arXiv 2212.05262"


def on(entry: Entry, source: str, names: Callable[[VisionTransformer], Names] | None = None) -> Entry:
    """The same model with `lape` done to it, after what is done to it already."""
    return replace(
        entry,
        source=source,
        paper=f"{PAPER}; {entry.paper}",
        aliases=(),
        change=lape if entry.change is None else _lape_after(entry.change),
        names=names,
    )


def _lape_after(change: Callable[..., VisionTransformer]) -> Callable[..., VisionTransformer]:
    @wraps(lape)  # its arguments are the switches
    def both(config: VisionTransformer, **switches: Any) -> VisionTransformer:
        return lape(change(config), **switches)

    return both


# EIT has a position table where it is switched on: the host to compare with has `position=True`.
EIT_ENTRIES = {
    name: replace(entry, numbers={**entry.numbers, "position": True}) for name, entry in eit.ENTRIES.items()
}
IN_THE_PAPER = {
    "vit_lite_7_4": compact.ENTRIES["vit_lite_7_4"],
    "cvt_7_4": compact.ENTRIES["cvt_7_4"],
    "cct_7_3x1": compact.ENTRIES["cct_7_3x1"],
    "t2t_vit_7": t2t_vit.ENTRIES["t2t_vit_7"],
}
# In the paper or not, how position gets there is our choice.
OUR_CHOICE = {**EIT_ENTRIES, **sret.ENTRIES, **swin.ENTRIES, "pit_tiny": pit.ENTRIES["pit_tiny"]}
ENTRIES: dict[str, Entry] = {
    **{f"{name}_lape": on(entry, AUTHORS, authors_names) for name, entry in deit.ENTRIES.items()},
    **{f"{name}_lape": on(entry, FROM_PAPER) for name, entry in IN_THE_PAPER.items()},
    **{f"{name}_lape": on(entry, OURS) for name, entry in OUR_CHOICE.items()},
}
