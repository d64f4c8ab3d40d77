"""Linear CKA: how alike two layers, or two models, represent the same images.

    CKA = HSIC(K, L) / √(HSIC(K, K) · HSIC(L, L))          K = X Xᵀ, L = Y Yᵀ, X and Y one row an image

Kornblith et al., arXiv 1905.00414; HSIC by the unbiased estimator of Song et al. 2012 as in Nguyen et al.,
arXiv 2010.15327, without which few images make everything alike. It is 1 for equal features and does not
see a rotation or a scale. An image's row is the mean of its patch tokens (ours). Controls: the untrained
model; unrelated features give about 0, of either sign.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vitreous.errors import DataError

FEWEST = 4


def cka(x: Float[Tensor, "images first"], y: Float[Tensor, "images second"]) -> float:
    """CKA of two sets of features of the same images, about −0.1 to 1.

    Raises:
        DataError: fewer than 4 images, for which the estimator is not defined.
    """
    return float(cka_matrix([x], [y])[0, 0])


def cka_matrix(
    first: Sequence[Float[Tensor, "images _"]], second: Sequence[Float[Tensor, "images _"]]
) -> Float[Tensor, "first second"]:
    """CKA of every pair; raises DataError for fewer than 4 images."""
    images = len(first[0])
    if images < FEWEST:
        raise DataError(f"CKA needs at least {FEWEST} images and was given {images}")
    rows = torch.stack([_centred_gram(each) for each in first])
    columns = rows if second is first else torch.stack([_centred_gram(each) for each in second])
    cross = rows @ columns.T
    own_rows, own_columns = rows.square().sum(dim=1), columns.square().sum(dim=1)
    return cross / (own_rows[:, None] * own_columns[None]).sqrt().clamp_min(1e-300)


def _centred_gram(features: Tensor) -> Tensor:
    """The Gram matrix U-centred (Székely and Rizzo), whose inner products are unbiased HSIC; flat."""
    exact = features.double()
    gram = exact @ exact.T
    gram.fill_diagonal_(0)
    images = len(gram)
    means = gram.sum(dim=0) / (images - 2)
    gram = gram - means[:, None] - means[None] + means.sum() / (images - 1)
    gram.fill_diagonal_(0)
    return gram.flatten()
