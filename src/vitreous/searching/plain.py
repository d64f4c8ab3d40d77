"""What a search is held against: DeiT's layers, and `hybrid_1m`, as wide as a budget allows. Ours."""

from collections.abc import Callable

from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError
from vitreous.models.catalog import config as catalog_config
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import ImageShape
from vitreous.searching.budget import Budget

WIDTHS = range(4, 1025, 4)
MOST_SIDE = 14  # patches along a side, as DeiT has of 224 px
HEAD_WIDTH = 32
DEIT_DEPTH = 12


def plain_vit(
    image: ImageShape, classes: int, budget: Budget, *, depth: int = DEIT_DEPTH
) -> VisionTransformer | None:
    """The widest DeiT within the budget's MACs and parameters; None where even the narrowest is not.

    Its patches are the smallest, of at least 4 px or a quarter of the image, that divide it into at most
    14 × 14.
    """
    least = max(1, min(4, min(image.height, image.width) // 4))
    fits = (
        side
        for side in range(least, min(image.height, image.width) + 1)
        if image.height % side == 0 == image.width % side
        and max(image.height, image.width) <= MOST_SIDE * side
    )
    patch = next(fits, None)
    if patch is None:
        return None

    def deit(width: int) -> VisionTransformer:
        return catalog_config(
            "deit_tiny", patch=patch, width=width, depth=depth, heads=max(1, width // HEAD_WIDTH),
            image_size=(image.height, image.width), channels=image.channels, classes=classes,
        )  # fmt: skip

    return widest(deit, budget)


def plain_hybrid(image: ImageShape, classes: int, budget: Budget) -> VisionTransformer | None:
    """The widest model in the proportions of `hybrid_1m` within the budget; None as for `plain_vit`."""

    def hybrid(width: int) -> VisionTransformer:
        return catalog_config(
            "hybrid_1m", first=width // 4, widths=(width // 2, width, width // 4 * 5),
            image_size=(image.height, image.width), channels=image.channels, classes=classes,
        )  # fmt: skip

    return widest(hybrid, budget)


def widest(make: Callable[[int], VisionTransformer], budget: Budget) -> VisionTransformer | None:
    """The widest of a family, in steps of 4, within the budget's MACs and parameters.

    Args:
        make: the model of a width; widths that it refuses with ConfigError are passed over.
        budget: in MACs or parameters; without either the widest there is.
    """
    found = None
    for width in WIDTHS:
        try:
            made = make(width)
            counted = cost(made)
        except ConfigError:
            continue
        if not budget.allows(counted.macs, counted.parameters):
            break
        found = made
    return found
