"""High-frequency share and radial spectrum of token maps.

    F = DFT2 of one channel of the grid, P = |F|²,  P(0, 0) = 0 unless the mean is kept
    share = Σ over √(f_u² + f_v²) > cutoff of P / Σ P            f in cycles a token, −½ to ½;  0 / 0 = 0
    a layer's value: the mean over images and channels

The quantity is EIT's (arXiv 2203.07116: the share of high-frequency detail grows from ViT over LSRA to
EIT); transform, cut-off (0.25: half of Nyquist) and the tensor (a mixer's normalised input) are ours, since
the paper names none. Compare models with equal grids only. Control: `white_noise_share`, what pure noise
gives on the grid.
"""

import torch
from jaxtyping import Float
from torch import Tensor

CUTOFF = 0.25


def high_frequency_shares(
    features: Float[Tensor, "batch channels rows columns"],
    *,
    cutoff: float = CUTOFF,
    keep_mean: bool = False,
    power: int = 2,
) -> Float[Tensor, "batch channels"]:
    """The share of each image and channel, 0 to 1.

    Args:
        features: maps; `Features.patches` folded to the grid.
        cutoff: cycles a token, 0 to 0.707.
        keep_mean: count the mean (frequency 0) into the sum.
        power: 2 for |F|², 1 for magnitudes.
    """
    spectrum, radius, times = _spectrum(features, keep_mean, power)
    weighted = spectrum * times
    total = weighted.sum(dim=(-2, -1))
    high = (weighted * (radius > cutoff)).sum(dim=(-2, -1))
    # A constant map leaves rounding errors of about 1e-14 of its own power.
    nothing = total <= 1e-10 * features.square().sum(dim=(-2, -1)) * features[0, 0].numel() ** (power / 2)
    return torch.where(nothing, torch.zeros_like(high), high / total.clamp_min(torch.finfo(total.dtype).tiny))


def radial_spectrum(
    features: Float[Tensor, "batch channels rows columns"], *, bins: int = 8
) -> Float[Tensor, " bins"]:
    """The share of power in equal rings of frequency from 0 to 0.5 cycles a token, the corners in the last.

    The mean (frequency 0) is left out; the shares of an image and channel sum to 1, and are averaged.
    """
    spectrum, radius, times = _spectrum(features, False, 2)
    weighted = (spectrum * times).flatten(-2)
    ring = (radius.flatten() * 2 * bins).long().clamp(max=bins - 1)
    sums = weighted.new_zeros(*weighted.shape[:-1], bins).index_add_(-1, ring, weighted)
    total = sums.sum(dim=-1, keepdim=True)
    return (sums / total.clamp_min(torch.finfo(total.dtype).tiny)).mean(dim=(0, 1))


def white_noise_share(rows: int, columns: int, cutoff: float = CUTOFF) -> float:
    """What noise without a mean gives: the part of all frequencies but 0 that lie above the cut-off."""
    radius, times = _frequencies(rows, columns)
    return float(((radius > cutoff) * times).sum() / (rows * columns - 1)) if rows * columns > 1 else 0.0


def has_low_frequencies(rows: int, columns: int, cutoff: float = CUTOFF) -> bool:
    """Whether anything but the mean lies below the cut-off; else the share is 1 whatever the map holds."""
    radius, _ = _frequencies(rows, columns)
    return int((radius <= cutoff).sum()) > 1


def _spectrum(features: Tensor, keep_mean: bool, power: int) -> tuple[Tensor, Tensor, Tensor]:
    exact = features if features.dtype == torch.float64 else features.float()
    spectrum = torch.fft.rfft2(exact).abs().pow(power)
    if not keep_mean:
        spectrum[..., 0, 0] = 0
    radius, times = _frequencies(*features.shape[-2:])
    return spectrum, radius.to(features.device), times.to(spectrum)


def _frequencies(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Radius of each entry of a real transform, and how often it stands in the full one."""
    down, right = torch.fft.fftfreq(rows), torch.fft.rfftfreq(columns)
    times = torch.full((rows, len(right)), 2.0)
    times[:, 0] = 1
    if columns % 2 == 0:
        times[:, -1] = 1
    return (down[:, None] ** 2 + right[None] ** 2).sqrt(), times
