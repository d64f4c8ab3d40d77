"""The high-frequency share of maps whose answer is known."""

import pytest
import torch

from vitreous.analysis.spectrum import (
    has_low_frequencies,
    high_frequency_shares,
    radial_spectrum,
    white_noise_share,
)


def checkerboard(side: int) -> torch.Tensor:
    number = torch.arange(side)
    return ((-1.0) ** (number[:, None] + number))[None, None]


def test_a_constant_map_has_no_high_frequencies() -> None:
    for value in (0.0, 1.0, -300.0):
        assert high_frequency_shares(torch.full((2, 3, 14, 14), value)).eq(0).all()


@pytest.mark.parametrize(("side", "share"), [(8, 1.0), (16, 1.0), (19, 0.999)])
def test_a_checkerboard_is_all_high(side: int, share: float) -> None:
    assert round(float(high_frequency_shares(checkerboard(side))), 3) == share


@pytest.mark.parametrize(("side", "share"), [(19, 292 / 360), (8, 51 / 63), (16, 207 / 255)])
def test_white_noise_has_the_share_of_its_bins(side: int, share: float) -> None:
    assert white_noise_share(side, side) == pytest.approx(share)
    torch.manual_seed(0)
    measured = high_frequency_shares(torch.randn(400, 4, side, side, dtype=torch.float64)).mean()
    assert float(measured) == pytest.approx(share, abs=0.01)


def test_the_half_transform_counts_as_the_whole_one() -> None:
    torch.manual_seed(0)
    for rows, columns in ((7, 7), (8, 6), (5, 8), (1, 9)):
        x = torch.randn(1, 1, rows, columns, dtype=torch.float64)
        power = torch.fft.fft2(x)[0, 0].abs() ** 2
        radius = (torch.fft.fftfreq(rows)[:, None] ** 2 + torch.fft.fftfreq(columns) ** 2).sqrt()
        with_mean = power[radius > 0.25].sum() / power.sum()
        assert float(high_frequency_shares(x, keep_mean=True)) == pytest.approx(float(with_mean))
        power[0, 0] = 0
        assert float(high_frequency_shares(x)) == pytest.approx(
            float(power[radius > 0.25].sum() / power.sum())
        )


def test_magnitudes_and_other_cutoffs_are_choices() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 2, 8, 8)
    assert (high_frequency_shares(x, cutoff=0.4) < high_frequency_shares(x, cutoff=0.1)).all()
    assert not torch.allclose(high_frequency_shares(x, power=1), high_frequency_shares(x))


def test_a_wave_stands_in_its_ring_and_shares_sum_to_one() -> None:
    wave = torch.cos(2 * torch.pi * torch.arange(16) * 3 / 16).expand(1, 1, 16, 16)  # 0.1875 cycles a token
    spectrum = radial_spectrum(wave, bins=8)
    assert int(spectrum.argmax()) == 3 and float(spectrum[3]) == pytest.approx(1.0)
    assert float(radial_spectrum(torch.randn(2, 3, 9, 7)).sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("rows, columns, has", [(2, 2, False), (3, 3, False), (4, 4, True), (1, 8, True)])
def test_a_grid_has_low_frequencies_where_noise_is_not_all_high(rows: int, columns: int, has: bool) -> None:
    assert has_low_frequencies(rows, columns) is has
    assert (white_noise_share(rows, columns) < 1) is has
