"""The named models, shrunk, and one small model of each switch that no name has: what every claim runs on."""

from tests.models.entries import ENTRIES, SHRUNK
from tests.models.test_combinations import IDEAS, host
from vitreous.models import VisionTransformer
from vitreous.models.catalog import CATALOG
from vitreous.models.compact import cvt
from vitreous.models.eit import eit
from vitreous.models.feed_forward import feed_forward
from vitreous.models.lape import lape
from vitreous.models.lsra import lsra
from vitreous.models.psvit import psvit_2d
from vitreous.models.sret import sret
from vitreous.models.swin import swin
from vitreous.parts import DepthwiseConv, GridTable, ImageShape, PartialNorm, Sinusoid1D

IMAGE = ImageShape(3, 16, 16)
SMALL = {"image": IMAGE, "classes": 7, "width": 16, "depth": 3, "heads": 2}
STEM = {"kernel": 3, "stride": 1, "pool": 4}
SWITCHED: dict[str, VisionTransformer] = {
    "eit_rectangular_grey": eit(**{**SMALL, "image": ImageShape(1, 13, 18)}, **STEM),
    "eit_position_pre_logits": eit(**SMALL, **STEM, position=True, pre_logits=24),
    "eit_plain": eit(**SMALL, **STEM, patch=8, eit_t=False),
    "eit_deeper_than_heads_are_wide": eit(**{**SMALL, "width": 4}, **STEM),
    "lsra_attention_first": lsra(**SMALL, **STEM, attention_first=True, convolution=DepthwiseConv(5)),
    "psvit_2d_norm_and_position_at_pools": psvit_2d(
        image=ImageShape(1, 12, 20),
        classes=7,
        genes="NPS",
        dims=(8, 16),
        heads=(2, 4),
        patch=4,
        norm_before_pool=True,
        position_after_pool=True,
    ),
    "feed_forward_rectangular_grey": feed_forward(
        image=ImageShape(1, 8, 12), classes=7, width=16, depth=3, patch=4, token_ratio=1.5, table=GridTable()
    ),
    "cvt_sinusoid": cvt(**SMALL, ratio=1, table=Sinusoid1D()),
    "sret_unsliced_rectangular_grey": sret(
        image=ImageShape(1, 30, 40),
        classes=7,
        head_width=8,
        heads=(1, 2),
        blocks=(2, 1),
        ratio=2,
        slices=None,
        times=3,
        halvings=2,
    ),
    "swin_grey_of_one_window_across": swin(
        image=ImageShape(1, 16, 8), classes=7, width=8, depths=(2, 1), heads=(2, 4), window=4, patch=2
    ),
    "eit_lape_shared_norm_taken_apart": lape(
        eit(**SMALL, **STEM), progressive=False, norm=PartialNorm(scale="one")
    ),
    "every_idea_at_once": host(*IDEAS),
}

FAMILIES: dict[str, VisionTransformer] = {**ENTRIES, **SWITCHED}

# Weights that the head leaves without gradient, for the reason in the family's or the head's own file.
UNREACHED: dict[str, frozenset[str]] = {
    **{name: SHRUNK[CATALOG[name].family].unreached for name in ENTRIES},
    "lsra_attention_first": frozenset({"layers.2.branches.0.mixer.mixers.1.conv.weight"}),
    "feed_forward_rectangular_grey": frozenset({"layers.2.branches.1.part.narrow.bias"}),
    "cvt_sinusoid": frozenset({"head.attention.bias"}),
    "sret_unsliced_rectangular_grey": frozenset({"stem.convs.0.bias", "stem.convs.1.bias"}),
}
