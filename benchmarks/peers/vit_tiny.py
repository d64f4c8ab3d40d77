"""timm's ViT-tiny at the size of the images, trained from scratch as is usual: AdamW, warm-up, cosine.

`vit_tiny_patch16_224` of timm (12 layers, 192 channels, 3 heads) with patches an eighth of the image, so
that it sees 7×7 or 8×8 tokens. AdamW at 1e-3 for batches of 128, weight decay 0.05, a tenth of the time
to warm up, label smoothing 0.1, gradients clipped to norm 1, stochastic depth 0.1; shifts and flips, as all
peers. The values are ours, in the range of DeiT's and timm's recipes.
"""

import math

import timm
import torch
from torch import nn

LABEL_SMOOTHING = 0.1
BATCH = 128
WARMUP = 0.1
CLIP_NORM = 1.0
TOKENS_A_SIDE = 8


def make_model(classes: int, side: int) -> nn.Module:
    """(batch, 3, side, side) → (batch, classes), without pretrained weights.

    Args:
        classes: logits.
        side: pixels, a multiple of the patch, which is an eighth of it rounded up: 4 for 28 and 32, 8 for 64.
    """
    return timm.create_model(
        "vit_tiny_patch16_224",
        pretrained=False,
        num_classes=classes,
        img_size=side,
        patch_size=math.ceil(side / TOKENS_A_SIDE),
        drop_path_rate=0.1,
    )


def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """AdamW without decay of biases and norms."""
    decayed = [each for each in model.parameters() if each.ndim > 1]
    rest = [each for each in model.parameters() if each.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-3)
