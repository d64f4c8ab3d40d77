"""One small model of each family and each switch: what every claim over all families runs on."""

from vitreous.models import VisionTransformer
from vitreous.models.deit import deit
from vitreous.models.eit import eit
from vitreous.models.lsra import lsra
from vitreous.models.psvit import psvit_1d, psvit_2d
from vitreous.parts import DepthwiseConv, ImageShape

IMAGE = ImageShape(3, 16, 16)
SMALL = {"image": IMAGE, "classes": 7, "width": 16, "depth": 3, "heads": 2}
STEM = {"kernel": 3, "stride": 1, "pool": 4}

# Weights that a class-token head leaves without gradient, for the reason in the family's own file.
UNREACHED: dict[str, set[str]] = {
    "lsra": {"layers.2.branches.0.mixer.mixers.0.conv.weight"},
    "lsra_attention_first": {"layers.2.branches.0.mixer.mixers.1.conv.weight"},
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
}
