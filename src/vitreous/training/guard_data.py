"""What is wrong between training and validation images: said before the first batch.

Two looks at the decoded images, less than a second for 50,000 small ones: do pictures occur on both sides,
and do the labels of both sides mean the same (`data/label_agreement.py`)? Only where the images are in
memory anyway; `vitreous data check` looks closer, and at any data set.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

from vitreous.data.batches import Batches
from vitreous.data.check_duplicates import FALSIFIES
from vitreous.data.images import ImageData
from vitreous.data.label_agreement import agreement

MOST_IMAGES = 200_000
GRID = 8


def guard_data(data: ImageData, train: Batches, val: Batches) -> Iterator[str]:
    """Sentences to warn of.

    Args:
        data: its splits and class names.
        train: batches of the training images.
        val: batches of the validation images.
    """
    splits = data.splits["train"], data.splits["val"]
    if train.path != "resident" or val.path != "resident" or sum(map(len, splits)) > MOST_IMAGES:
        return
    codes, features, labels = _seen(train)
    val_codes, val_features, val_labels = _seen(val)
    leaked = int(np.isin(val_codes, codes).sum())
    if leaked > FALSIFIES * len(val_codes):
        yield (
            f"{leaked:,} of {len(val_codes):,} validation images ({100 * leaked / len(val_codes):.2g} %) are "
            "training images too, so accuracy on them says nothing of new ones; "
            "`vitreous data check` names them"
        )
    if splits[0].multi_label:
        return
    told = agreement(features, labels, val_features, val_labels, len(data.classes))
    if not told.agrees:
        moved = [(at, to) for at, to in enumerate(told.meaning) if at != to and (val_labels == at).any()]
        names = ", ".join(f"{data.classes[at]} looks like {data.classes[to]}" for at, to in moved[:3])
        yield (
            f"the validation labels seem to be exchanged ({names}{' …' if len(moved) > 3 else ''}): the "
            f"nearest class mean is right for {100 * told.as_labelled:.0f} % of the images, with other ids "
            f"for {100 * told.reassigned:.0f} %"
        )


def _seen(batches: Batches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every image a code of its pixels, an 8×8 miniature (n, channels · 64), and its label."""
    codes, features, labels = [], [], []
    for images, label, _ in batches.all():
        codes.append(_codes(images.cpu().numpy()))
        small = F.adaptive_avg_pool2d(images.to(torch.float32), GRID).flatten(1)
        features.append(small.cpu().numpy())
        labels.append(label.cpu().numpy())
    return np.concatenate(codes), np.concatenate(features), np.concatenate(labels)


def _codes(images: np.ndarray) -> np.ndarray:
    """uint64 (n,): a random linear code of the pixels, equal for equal images and else hardly ever."""
    flat = images.reshape(len(images), -1)
    flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % 8)))
    words = np.ascontiguousarray(flat).view(np.uint64)
    factors = np.random.default_rng(0).integers(0, 1 << 63, words.shape[1], dtype=np.uint64) * 2 + 1
    mixed = (words ^ (words >> np.uint64(29))) * factors
    codes: np.ndarray = (mixed ^ (mixed >> np.uint64(31))).sum(1, dtype=np.uint64)
    return codes
