"""Tiny spaces for all tests of the search."""

from vitreous.models.catalog import config
from vitreous.parts import ImageShape
from vitreous.searching.hybrid_space import hybrid_space
from vitreous.searching.psvit_space import space_of
from vitreous.searching.space import Space
from vitreous.searching.wide_space import wide_space


def tiny_psvit(kind: str = "2d", *, depth: int = 5, classes: int = 10, longest: int | None = None) -> Space:
    """8-pixel grey images, widths 8, 16, 24, two pools: C(depth − 1, 2) · 2^(depth − 3) architectures."""
    preset = config(
        f"psvit_{kind}_small_image",
        image_size=8,
        classes=classes,
        channels=1,
        genes="NPP" + "N" * (depth - 3),
        dims=(8, 16, 24),
        heads=(2, 4, 6),
        patch=2,
        ratio=2,
    )
    return space_of(preset, (2, 4, 6), longest_share_run=longest)


def tiny_wide(*, depth: int = 4, classes: int = 10) -> Space:
    """The space of all ideas on 16-pixel grey images."""
    return wide_space(
        image=ImageShape(1, 16, 16), classes=classes, dims=(8, 16, 16), heads=(2, 2, 2), depth=depth, patch=2,
        ratio=2,
    )  # fmt: skip


def tiny_hybrid(*, classes: int = 10) -> Space:
    """The space of hybrids on 16-pixel grey images."""
    image, widths = ImageShape(1, 16, 16), ((8, 16), (16,), (8, 8, 24))
    return hybrid_space(image=image, classes=classes, firsts=(4, 8), widths=widths, heads=2)
