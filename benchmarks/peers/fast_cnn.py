"""The small CNN that learns CIFAR-10 fastest, written from its description: Jordan, arXiv 2404.00498.

    conv 2×2 (fixed: the whitening of 2×2 patches, each direction and its negative) ─ GELU
    3 × [ conv 3×3 ─ max pool 2 ─ BatchNorm ─ GELU ─ conv 3×3 ─ BatchNorm ─ GELU ]
    max pool ─ linear ─ ÷ 9

The 3×3 convolutions start as the identity on as many channels as they can. Flips alternate: whether an
image is mirrored in its first epoch is drawn, and every epoch turns it over. The paper's first optimizer is
Nesterov SGD; this is its later form, Muon for the 3×3 convolutions (Jordan et al. 2024) and AdamW for the
rest, with the rates that our own models use. Left out: the look-ahead average, a bias that learns faster
than the weights, the frozen start of the whitening's bias, and test-time crops and flips, which no row has.
"""

import torch
from timm.optim.muon import Muon
from torch import Tensor, nn

LABEL_SMOOTHING = 0.2
BATCH = 256
WARMUP = 0.2
WIDTHS = {"fast_cnn": (64, 256, 256), "fast_cnn_small": (64, 128, 192)}


class FastCNN(nn.Module):
    """(batch, 3, 32, 32) → (batch, classes).

    Args:
        widths: channels of the three groups.
        classes: logits.
    """

    def __init__(self, widths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        layers: list[nn.Module] = [nn.GELU()]
        before = 24
        for width in widths:
            layers += [convolution(before, width), nn.MaxPool2d(2), nn.BatchNorm2d(width), nn.GELU()]
            layers += [convolution(width, width), nn.BatchNorm2d(width), nn.GELU()]
            before = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(before, classes, bias=False)

    def whiten_from(self, images: Tensor) -> None:
        """Set the first convolution from normalised training images."""
        patches = images.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
        values, vectors = torch.linalg.eigh(torch.cov(patches.double().T))
        directions = (vectors / (values + 5e-4).sqrt()).T.float().view(12, 3, 2, 2)
        self.whiten.weight.data = torch.cat([directions, -directions])

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.features(self.whiten(x.contiguous(memory_format=torch.channels_last)))
        logits: Tensor = self.head(x.amax((2, 3))) / 9
        return logits


def make_model(classes: int, side: int, name: str = "fast_cnn") -> FastCNN:
    """(batch, 3, side, side) → (batch, classes); any side of 8 pixels and more."""
    return FastCNN(WIDTHS[name], classes).to(memory_format=torch.channels_last)


def convolution(before: int, after: int) -> nn.Conv2d:
    """3×3, without bias, the identity on the first channels."""
    conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight.data[: min(before, after)])
    return conv


def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Muon at 0.01 for the 3×3 convolutions, AdamW at 0.003 for the rest."""
    named = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
    kernels = [each for _, each in named if each.ndim == 4]
    rest = [each for _, each in named if each.ndim != 4]
    groups = [
        {"params": kernels, "lr": 0.01, "weight_decay": 0.05},
        {"params": rest, "lr": 0.003, "weight_decay": 0.0, "use_fallback": True},
    ]
    return Muon(groups, lr=0.01, nesterov=True, momentum=0.95)
