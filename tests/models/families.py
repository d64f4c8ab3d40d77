"""One small model of each family and each switch: what every claim over all families runs on."""

from vitreous.models import VisionTransformer
from vitreous.models.compact import cct, cvt, vit_lite
from vitreous.models.deit import deit
from vitreous.models.eit import eit
from vitreous.models.feed_forward import attention_only, feed_forward
from vitreous.models.lape import lape
from vitreous.models.lsra import lsra
from vitreous.models.mlp_mixer import mlp_mixer
from vitreous.models.pit import pit
from vitreous.models.psvit import psvit_1d, psvit_2d
from vitreous.models.recursive import extremely_deep
from vitreous.models.sret import sret
from vitreous.models.swin import swin
from vitreous.models.t2t_vit import t2t_vit
from vitreous.parts import DepthwiseConv, GridTable, ImageShape, PartialNorm, Sinusoid1D

IMAGE = ImageShape(3, 16, 16)
SMALL = {"image": IMAGE, "classes": 7, "width": 16, "depth": 3, "heads": 2}
STEM = {"kernel": 3, "stride": 1, "pool": 4}
SRET = {
    "image": ImageShape(3, 16, 16),
    "classes": 7,
    "head_width": 8,
    "heads": (1, 2),
    "blocks": (2, 1),
    "ratio": 2,
    "halvings": 2,
}

# Weights that the head leaves without gradient, for the reason in the family's or the head's own file.
UNREACHED: dict[str, set[str]] = {
    "lsra": {"layers.2.branches.0.mixer.mixers.0.conv.weight"},
    "lsra_attention_first": {"layers.2.branches.0.mixer.mixers.1.conv.weight"},
    "feed_forward": {"layers.2.branches.1.part.narrow.bias"},
    "feed_forward_rectangular_grey": {"layers.2.branches.1.part.narrow.bias"},
    "attention_only": {"layers.2.branches.1.part.mixer.project.bias"},
    "mlp_mixer": {f"layers.{number}.branches.0.mixer.narrow.bias" for number in range(3)},
    "cvt_sinusoid": {"head.attention.bias"},
    "cct": {"head.attention.bias"},
    "sret": {"stem.convs.0.bias", "stem.convs.1.bias"},
    "sret_unsliced_rectangular_grey": {"stem.convs.0.bias", "stem.convs.1.bias"},
}

FAMILIES: dict[str, VisionTransformer] = {
    "deit": deit(**SMALL, patch=4),
    "deit_wide_image_five_channels": deit(**{**SMALL, "image": ImageShape(5, 8, 24)}, patch=4),
    "eit": eit(**SMALL, **STEM),
    "eit_rectangular_grey": eit(**{**SMALL, "image": ImageShape(1, 13, 18)}, **STEM),
    "eit_position_pre_logits": eit(**SMALL, **STEM, position=True, pre_logits=24),
    "eit_plain": eit(**SMALL, **STEM, patch=8, eit_t=False),
    "eit_deeper_than_heads_are_wide": eit(**{**SMALL, "width": 4}, **STEM),
    "lsra": lsra(**SMALL, **STEM),
    "lsra_attention_first": lsra(**SMALL, **STEM, attention_first=True, convolution=DepthwiseConv(5)),
    "psvit_1d": psvit_1d(image=IMAGE, classes=7, genes="NSP", dims=(8, 16), heads=(2, 4), patch=4),
    "psvit_2d": psvit_2d(
        image=ImageShape(1, 12, 20),
        classes=7,
        genes="NPS",
        dims=(8, 16),
        heads=(2, 4),
        patch=4,
        norm_before_pool=True,
        position_after_pool=True,
    ),
    "feed_forward": feed_forward(image=IMAGE, classes=7, width=16, depth=3, patch=4, table=GridTable((3, 3))),
    "feed_forward_rectangular_grey": feed_forward(
        image=ImageShape(1, 8, 12), classes=7, width=16, depth=3, patch=4, token_ratio=1.5, table=GridTable()
    ),
    "attention_only": attention_only(**SMALL, patch=4),
    "mlp_mixer": mlp_mixer(image=IMAGE, classes=7, width=16, depth=3, token_hidden=8, patch=4),
    "vit_lite": vit_lite(**SMALL, ratio=2),
    "cvt_sinusoid": cvt(**SMALL, ratio=1, table=Sinusoid1D()),
    "cct": cct(**{**SMALL, "image": ImageShape(2, 16, 24)}, ratio=2, convs=2),
    "pit": pit(image=IMAGE, classes=7, width=8, depths=(1, 2), heads=2, patch=4, stride=2),
    "sret": sret(**SRET, slices=((4, 2), (2, 1))),
    "sret_unsliced_rectangular_grey": sret(**{**SRET, "image": ImageShape(1, 30, 40)}, slices=None, times=3),
    "extremely_deep": extremely_deep(
        image=IMAGE, classes=7, width=16, heads=2, blocks=2, times=5, patch=4, one_projection=True
    ),
    "swin": swin(image=IMAGE, classes=7, width=8, depths=(2, 1), heads=(2, 2), window=2, patch=2),
    "swin_grey_of_one_window_across": swin(
        image=ImageShape(1, 16, 8), classes=7, width=8, depths=(2, 1), heads=(2, 4), window=4, patch=2
    ),
    "t2t_vit": t2t_vit(**{**SMALL, "image": ImageShape(3, 32, 48)}, inner=8),
    "deit_lape": lape(deit(**SMALL, patch=4)),
    "eit_lape_shared_norm_taken_apart": lape(
        eit(**SMALL, **STEM), progressive=False, norm=PartialNorm(scale="one")
    ),
}
