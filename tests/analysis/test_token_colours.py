"""Colours of tokens: one for what is alike."""

import numpy as np
import torch

from vitreous.analysis.token_colours import token_colours


def test_two_kinds_of_tokens_have_two_colours_across_images() -> None:
    kinds = torch.randn(2, 9)
    which = torch.randint(0, 2, (3, 8))
    colours = token_colours(kinds[which], (2, 4)).reshape(3, 8, 3)
    assert colours.shape == (3, 8, 3) and colours.min() >= 0 and colours.max() <= 1
    for kind in (0, 1):
        assert np.ptp(colours[(which == kind).numpy()], axis=0).max() < 1e-6
    assert abs(colours[..., 0].max() - colours[..., 0].min()) > 0.9


def test_the_sign_is_fixed_and_missing_directions_are_grey() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(2, 6, 4)
    assert np.allclose(token_colours(tokens, (2, 3)), token_colours(tokens.clone(), (2, 3)))
    flat = token_colours(torch.ones(1, 4, 5), (2, 2))
    assert (flat == 0.5).all()
