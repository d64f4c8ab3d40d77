"""A small residual network for small images: the guide of a vision transformer, never what is delivered.

    conv 3×3, 16 → n blocks of 16 channels → n of 32, half the size → n of 64, a quarter → mean → linear

    block   x ← relu(s(x) + norm(conv(relu(norm(conv(x))))))        s: identity, or 1×1 conv and norm

He et al., "Deep residual learning", CVPR 2016, section 4.2, with 6n + 2 layers; shortcuts that change shape
are projections, as in the code that Li et al. (ECCV 2022) took their ResNet-56 from (pycls).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from vitreous.parts.strided_conv import StridedConv2d

WIDTHS = (16, 32, 64)


class SmallResNet(nn.Module):
    """(batch, channels, height, width) → (batch, classes).

    Args:
        channels: of the images.
        classes: number of logits.
        depth: layers, 6n + 2: 8, 14, 20, …, 56.
    """

    def __init__(self, *, channels: int, classes: int, depth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, WIDTHS[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        self.stages = nn.ModuleList()
        before = WIDTHS[0]
        for number, width in enumerate(WIDTHS):
            blocks = [ResidualBlock(before, width, stride=2 if number else 1)]
            blocks += [ResidualBlock(width, width) for _ in range((depth - 2) // 6 - 1)]
            self.stages.append(nn.Sequential(*blocks))
            before = width
        self.classifier = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, images: Tensor) -> list[Tensor]:
        """What the three stages leave: 16 channels of full size, 32 of half, 64 of a quarter."""
        x = F.relu(self.norm(self.conv(images)))
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.classifier(self.features(images)[-1].mean((2, 3)))
        return logits


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = StridedConv2d(before, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if before != width or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """The same or half the size."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.shortcut(x) + self.norm2(self.conv2(y)))
