"""Images with their high or their low frequencies taken away: how much a model needs of either.

    low-pass    frequencies up to the cut-off stay         high-pass    those above it stay, and the mean

Cut-offs are in cycles a pixel, 0 to 0.707 (the corners of the spectrum); 0.5 is Nyquist along an axis.
Ours: an ideal round mask on the normalised input, which is not clipped afterwards; the mean stays in both,
so that brightness alone cannot decide. A low-pass at 0.71 is the image itself, at 0 a plain colour: chance
is the control.
"""

import torch
from jaxtyping import Float
from torch import Tensor

CUTOFFS = (0.03, 0.06, 0.12, 0.25, 0.5)


def low_pass(
    images: Float[Tensor, "batch channels height width"], cutoff: float
) -> Float[Tensor, "batch channels height width"]:
    """The image up to a frequency."""
    spectrum = torch.fft.rfft2(images.float())
    height, width = images.shape[-2:]
    down, right = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    kept = (down[:, None] ** 2 + right[None] ** 2).sqrt() <= cutoff
    kept[0, 0] = True
    passed: Tensor = torch.fft.irfft2(spectrum * kept.to(images.device), s=(height, width))
    return passed


def high_pass(
    images: Float[Tensor, "batch channels height width"], cutoff: float
) -> Float[Tensor, "batch channels height width"]:
    """The image above a frequency, and its mean."""
    return images - low_pass(images, cutoff) + images.mean(dim=(-2, -1), keepdim=True)
