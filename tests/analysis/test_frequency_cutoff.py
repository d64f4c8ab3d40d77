"""What a cut-off leaves of an image."""

import torch

from vitreous.analysis.frequency_cutoff import high_pass, low_pass


def test_the_limits_are_the_image_and_its_mean() -> None:
    images = torch.randn(2, 3, 9, 12)
    mean = images.mean(dim=(-2, -1), keepdim=True)
    assert torch.allclose(low_pass(images, 0.71), images, atol=1e-5)
    assert torch.allclose(low_pass(images, 0.0), mean.expand_as(images), atol=1e-5)
    assert torch.allclose(high_pass(images, 0.71), mean.expand_as(images), atol=1e-5)
    assert torch.allclose(high_pass(images, 0.0), images, atol=1e-5)


def test_a_wave_passes_on_its_side_of_the_cutoff_alone() -> None:
    wave = torch.cos(2 * torch.pi * torch.arange(32) * 4 / 32).expand(1, 1, 32, 32)  # 0.125 cycles a pixel
    assert torch.allclose(low_pass(wave, 0.13), wave, atol=1e-5) and low_pass(wave, 0.12).abs().max() < 1e-5
    assert torch.allclose(high_pass(wave, 0.12), wave, atol=1e-5) and high_pass(wave, 0.13).abs().max() < 1e-5
