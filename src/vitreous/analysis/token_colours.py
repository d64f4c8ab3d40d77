"""Patch tokens as colours: their first three principal components over all images as red, green, blue.

What has one colour is alike to the layer, in one image and across images. The picture is DINOv2's and
DINOv3's (arXiv 2304.07193; notebook `pca.ipynb`); components are scikit-learn's, scaled between the 2nd and
98th percentile (ours). The sign of a component has no meaning, so it is fixed: the largest weight is
positive. Works without attention, too.
"""

import numpy as np
from jaxtyping import Float
from torch import Tensor


def token_colours(
    patches: Float[Tensor, "images patches width"], grid: tuple[int, int]
) -> Float[np.ndarray, "images rows columns 3"]:
    """Values from 0 to 1; where the tokens have fewer than three directions, the rest is 0.5."""
    from sklearn.decomposition import PCA

    rows = patches.detach().double().cpu().flatten(0, 1).numpy()
    colours = np.full((len(rows), 3), 0.5)
    if np.ptp(rows, axis=0).max() == 0:  # no direction at all
        return colours.reshape(patches.shape[0], *grid, 3)
    count = min(3, *rows.shape)
    fitted = PCA(n_components=count, svd_solver="full" if rows.shape[1] < 1000 else "auto", random_state=0)
    found = fitted.fit_transform(rows)
    largest = np.abs(fitted.components_).argmax(axis=1)
    found *= np.sign(fitted.components_[np.arange(count), largest])
    for place in range(count):
        low, high = np.percentile(found[:, place], (2, 98))
        if high > low and fitted.explained_variance_[place] > 1e-20:
            colours[:, place] = np.clip((found[:, place] - low) / (high - low), 0, 1)
    return colours.reshape(patches.shape[0], *grid, 3)
