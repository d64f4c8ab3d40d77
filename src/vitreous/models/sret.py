"""SReT: blocks applied twice with the same weights, attention in slices, on a pyramid of three grids.

Shen, Liu, Xing, "Sliced Recursive Transformer", ECCV 2022, arXiv 2111.05297; released code szq0214/SReT,
commit af6db0a, `SReT.py` and `SReT_wo_slice.py`. New: naive recursion of whole blocks, a small private layer
after every application (non-linear projection layer, NLL), learned coefficients on every residual sum (LRC),
and attention in slices whose number differs by stage and by turn, shuffled before later turns.

    paper / code              here
    recursion, B              Recursive(block, times)
    NLL, Non_proj, ρ          between=FeedForward(between_ratio, add=LearnedSum(), may_drop=False)
    LRC, coefficient1 to 4    add=LearnedSum() of each branch
    groups1, groups2          slices: for each stage (turn 0, turn 1), in Sliced(Attention(heads), slices)
    d, H_s, K_s, r            head_width, heads, blocks, ratio

A stage is head_width · heads channels wide. Deviations: at inference the shuffled orders are fixed (the
released code draws new ones in every call); the position map has the true size of the grid, so that sides
need not be multiples of 8, and rectangles work; turns are counted, where the released code finds them from a
place in a list and is right for two only. The published "FLOPs" are multiply-accumulates.
"""

from vitreous.errors import ConfigError
from vitreous.models.drop_path import RecursiveDropPath
from vitreous.models.entry import AUTHORS, OURS, Entry
from vitreous.models.init import SReTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ConvStem,
    FeedForward,
    GridPool,
    GridTable,
    ImageShape,
    LearnedSum,
    MeanHead,
    Mix,
    Mixer,
    NoPrefix,
    Part,
    Recursive,
    Sliced,
)

Slices = tuple[tuple[int, ...], ...]

# The paper's [8-4-1, 2-1-1] and [16-14-1, 1-1-1], which list the first turn's slices and then the second's.
SLICES: Slices = ((8, 2), (4, 1), (1, 1))
SLICES_16_14_1: Slices = ((16, 1), (14, 1), (1, 1))

TINY = {"head_width": 32, "heads": (2, 4, 8), "blocks": (2, 5, 3), "ratio": 3.6, "between_ratio": 1}
SIZES: dict[str, dict[str, object]] = {
    "tiny": TINY,
    "large_tiny": {**TINY, "ratio": 4.0},
    "small": {"head_width": 42, "heads": (3, 6, 12), "blocks": (2, 5, 3), "ratio": 3.0, "between_ratio": 2},
}


def sret(
    *,
    image: ImageShape,
    classes: int,
    head_width: int,
    heads: tuple[int, ...],
    blocks: tuple[int, ...],
    ratio: float,
    between_ratio: float | None = 1,
    slices: Slices | None = SLICES,
    times: int = 2,
    halvings: int = 3,
    name: str = "",
    source: str = "",
) -> VisionTransformer:
    """An SReT of any size.

    Args:
        image: channels, height and width; with slices, of a size whose grids divide into them.
        classes: number of logits.
        head_width: channels of an attention head, the same in all stages.
        heads: attention heads in each stage; each number is a multiple of the one before.
        blocks: distinct blocks in each stage.
        ratio: inner width of the feed-forward branch over the width.
        between_ratio: the same of the layer after each application; None for no such layer.
        slices: for each stage, how many slices in each turn; None for attention over all tokens.
        times: how many times each block is applied.
        halvings: convolutions of the stem, each of which halves the image.
        name, source: what listings show.

    Raises:
        ConfigError: numbers for different numbers of stages, or an image whose tokens do not divide into the
            slices.
    """
    if not len(heads) == len(blocks) == len(slices or heads):
        raise ConfigError(
            f"SReT: heads {heads}, blocks {blocks} and slices {slices} are for different numbers of stages; "
            "give each one entry for each stage"
        )
    width = head_width * heads[0]
    stem = ConvStem((*(width // 2,) * (halvings > 1), *(width,) * max(1, halvings - 1)))
    pools = [GridPool(head_width * wider, depthwise=True) for wider in heads[1:]]
    if slices is not None:
        _check_size(name or "SReT", image, stem, pools, slices)
    between = (
        FeedForward(between_ratio, add=LearnedSum(), may_drop=False) if between_ratio is not None else None
    )
    layers: list[Part] = []
    seed = 1
    for stage, (each, count) in enumerate(zip(heads, blocks, strict=True)):
        layers += pools[stage - 1 : stage]
        for _ in range(count):
            mixer: Mixer = Attention(each)
            if slices is not None and set(slices[stage]) != {1}:
                shuffles = any(number > 1 for number in slices[stage][1:])
                mixer = Sliced(mixer, slices[stage], seed=seed if shuffles else 1)
                seed += shuffles
            block = Block((Mix(mixer, add=LearnedSum()), FeedForward(ratio, add=LearnedSum())))
            layers.append(Recursive(block, times, between))
    return VisionTransformer(
        name=name,
        source=source,
        image=image,
        stem=stem,
        prefix=NoPrefix(),
        position=AddPosition(GridTable()),
        layers=tuple(layers),
        head=MeanHead(classes, norm_each=False),
        init=SReTInit(),
        drop_path=RecursiveDropPath(times),
    )


def _check_size(who: str, image: ImageShape, stem: ConvStem, pools: list[GridPool], slices: Slices) -> None:
    """Raises ConfigError, with the nearest sizes that work, where the tokens of a stage do not divide."""
    if _divide(image, stem, pools, slices):
        return
    whole = 2 ** (len(stem.widths) + len(pools))  # multiples of this many pixels leave no rest in any stage
    squares = [ImageShape(1, whole * times, whole * times) for times in range(1, 65)]
    steps = [square.height for square in squares if _divide(square, stem, pools, slices)]
    fitting = []
    for step in steps[:1]:  # multiples of the smallest square that works also work
        below = [side // step * step for side in (image.height, image.width)]
        above = [-(-side // step) * step for side in (image.height, image.width)]
        fitting = [f"{rows}×{columns}" for rows, columns in (below, above) if rows and columns]
    raise ConfigError(
        f"{who}: the tokens of an image of {image.height}×{image.width} pixels do not split into "
        f"{_listed(slices)} slices; {' or '.join((*fitting, 'any size with slices=None'))} does"
    )


def _divide(image: ImageShape, stem: ConvStem, pools: list[GridPool], slices: Slices) -> bool:
    """Whether the tokens of every stage split into its slices."""
    shapes = [stem.out_shape(image)]
    for pool in pools:
        shapes.append(pool.out_shape(shapes[-1]))
    stages = zip(shapes, slices, strict=True)
    return all(shape.tokens % number == 0 for shape, turns in stages for number in turns)


def _listed(slices: Slices) -> str:
    """Slices as the paper lists them: turn by turn, the stages joined, as in [8-4-1, 2-1-1]."""
    turns = zip(*slices, strict=False)
    return f"[{', '.join('-'.join(map(str, turn)) for turn in turns)}]"


def authors_names(config: VisionTransformer) -> tuple[tuple[str, str], ...]:
    """(the released code's name, ours) for every module or parameter, as beginnings of state-dict keys.

    Their lists hold every application, a block and its NLL in turn, so that each block has as many names as
    turns.
    """
    pairs = [
        ("pos_embed", "position.table.weight"),
        ("norm.", "head.norm."),
        ("head.", "head.classifier."),
    ]
    for number in range(3):
        pairs.append((f"patch_embed.conv{number + 1}.", f"stem.convs.{number}."))
        pairs.append((f"patch_embed.bn{number + 1}.", f"stem.norms.{number}."))
    stage, application = 0, 0
    for number, layer in enumerate(config.layers):
        if not isinstance(layer, Recursive):
            pairs.append((f"pools.{stage}.", f"layers.{number}."))
            stage, application = stage + 1, 0
            continue
        for turn in range(layer.times):
            block, between = (f"transformers.{stage}.blocks.{2 * application + it}." for it in (0, 1))
            pairs += _names_of_a_block(layer, block, f"layers.{number}.block.branches.")
            pairs += _names_of_an_nll(between, f"layers.{number}.between.{turn}.")
            application += 1
    return tuple(pairs)


def _names_of_a_block(layer: Recursive, theirs: str, ours: str) -> list[tuple[str, str]]:
    match layer.block:
        case Block(branches=(Mix(mixer=Sliced()), *_)):
            attention = f"{ours}0.mixer.mixer."
        case _:
            attention = f"{ours}0.mixer."
    return [
        (f"{theirs}norm1.", f"{ours}0.norm."),
        (f"{theirs}attn.qkv.", f"{attention}qkv."),
        (f"{theirs}attn.proj.", f"{attention}project."),
        (f"{theirs}coefficient1.bias", f"{ours}0.add.identity"),
        (f"{theirs}coefficient2.bias", f"{ours}0.add.branch"),
        (f"{theirs}norm2.", f"{ours}1.norm."),
        (f"{theirs}mlp.fc1.", f"{ours}1.widen."),
        (f"{theirs}mlp.fc2.", f"{ours}1.narrow."),
        (f"{theirs}coefficient3.bias", f"{ours}1.add.identity"),
        (f"{theirs}coefficient4.bias", f"{ours}1.add.branch"),
    ]


def _names_of_an_nll(theirs: str, ours: str) -> list[tuple[str, str]]:
    return [
        (f"{theirs}norm1.", f"{ours}norm."),
        (f"{theirs}mlp.fc1.", f"{ours}widen."),
        (f"{theirs}mlp.fc2.", f"{ours}narrow."),
        (f"{theirs}coefficient1.bias", f"{ours}add.identity"),
        (f"{theirs}coefficient2.bias", f"{ours}add.branch"),
    ]


def _entry(size: str, *aliases: str, slices: Slices | None = SLICES) -> Entry:
    numbers = {**SIZES[size], "slices": slices}
    return Entry(sret, numbers, 224, AUTHORS, PAPER, aliases, names=authors_names)


PAPER = "SReT, arXiv 2111.05297"
ENTRIES = {
    "sret_tiny": _entry("tiny", "SReT-T", "SReT_T"),
    "sret_tiny_unsliced": _entry("tiny", "SReT-⋇T", "SReT_T_wo_slice", slices=None),
    "sret_large_tiny": _entry("large_tiny", "SReT-LT", "SReT-TL", "SReT_LT"),
    "sret_large_tiny_16_14_1": _entry(
        "large_tiny", "SReT-LT[16-14-1,1-1-1]", "SReT-TL[16-14-1,1-1-1]", slices=SLICES_16_14_1
    ),
    "sret_large_tiny_unsliced": _entry("large_tiny", "SReT-⋇LT", "SReT-⋇TL", "SReT_LT_wo_slice", slices=None),
    # Without slices the two ways to slice are one model; it has both names, so that every name has its pair.
    "sret_large_tiny_16_14_1_unsliced": _entry("large_tiny", slices=None),
    "sret_small": _entry("small", "SReT-S", "SReT_S"),
    "sret_small_unsliced": _entry("small", "SReT-⋇S", "SReT_S_wo_slice", slices=None),
    # Ours, for images of 32 pixels: the tiny model behind a stem of two convolutions (8×8 tokens).
    "sret_small_image": Entry(sret, {**TINY, "halvings": 2}, 32, OURS, PAPER),
}
