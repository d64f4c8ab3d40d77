"""ResNet-18 as it is usually trained on small images: torchvision's blocks, a 3×3 stem, SGD.

The stem has no stride, and up to 40 pixels no pool: the last blocks see 4×4 places at 32 and 64 pixels alike.

He et al. 2016. Nesterov SGD, momentum 0.9, rate 0.1 at batch 128, weight decay 5e-4, a twentieth of the
time to warm up, then cosine to zero; shifts by 4 pixels and flips; no label smoothing.
"""

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

LABEL_SMOOTHING = 0.0
BATCH = 128
WARMUP = 0.05
LARGEST_WITHOUT_POOL = 40


class SmallImageResNet18(ResNet):
    """torchvision's ResNet-18 with the stem for 32 pixels.

    Args:
        classes: logits.
        side: pixels of the images.
    """

    def __init__(self, classes: int, side: int = 32) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=classes)
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        if side <= LARGEST_WITHOUT_POOL:
            self.maxpool = nn.Identity()  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = super().forward(x.contiguous(memory_format=torch.channels_last))
        return logits


def make_model(classes: int, side: int) -> nn.Module:
    """(batch, 3, side, side) → (batch, classes)."""
    model: nn.Module = SmallImageResNet18(classes, side)
    return model.to(memory_format=torch.channels_last)


def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Nesterov SGD."""
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
