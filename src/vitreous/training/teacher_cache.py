"""What a teacher says of each training image, asked once and kept.

    p_i = mean over the image and, where the run mirrors, its mirror image of softmax(t / τ)

The image is not augmented, and prepared for the teacher as for prediction. Where batches are mixed, these
probabilities are mixed with mixup's and cutmix's own weights, as labels are.

What it trades: a teacher costs one pass over the images instead of one every step, and pays with what it
cannot know, which part of the image the pupil is shown. Asked about the very view, it teaches better
("consistent" teaching, Beyer et al., CVPR 2022, arXiv 2106.05237).
"""

import dataclasses
import logging
import time

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vitreous.data.batches import make_batches
from vitreous.data.cache import cache_folder, content_key, keep
from vitreous.data.images import ImageSplit
from vitreous.data.loading import Loading
from vitreous.training.teacher import Teacher

BATCH = 128
logger = logging.getLogger("vitreous")


def known_probabilities(
    teacher: Teacher,
    split: ImageSplit,
    *,
    temperature: float,
    flip: bool,
    loading: Loading,
    device: str,
) -> Tensor:
    """Float32 (images, classes): the teacher's probabilities of each image of a split.

    Args:
        teacher: on its device.
        split: the training images.
        temperature: τ.
        flip: whether the run mirrors images.
        loading: how images are read.
        device: where the teacher is.
    """
    logits = _logits(teacher, split, flip=flip, loading=loading, device=device)
    return (logits / temperature).softmax(2).mean(0)


def _logits(teacher: Teacher, split: ImageSplit, *, flip: bool, loading: Loading, device: str) -> Tensor:
    """Float32 (views, images, classes), from the cache where it holds them."""
    parts = [split.records.stamp, split.rows.tobytes(), teacher.key, teacher.precision, flip]
    file = cache_folder() / "teacher" / f"{content_key(parts)}.safetensors"
    try:
        if file.exists():
            return load_file(file, device=device)["logits"]
    except (SafetensorError, OSError, KeyError) as error:
        logger.warning("the cache file %s is damaged (%s); the teacher is asked again", file, error)
    begin = time.perf_counter()
    batches = make_batches(
        split,
        teacher.own,
        batch_size=min(BATCH, len(split)),
        device=device,
        loading=dataclasses.replace(loading, path="streaming"),
        train=False,
    )
    found, rows = [], []
    for images, _, own_rows in batches.all():
        views = [images, images.flip(-1)] if flip else [images]
        found.append(torch.stack([teacher.logits(teacher.own.normalize(each)) for each in views]))
        rows.append(own_rows)
    said = torch.cat(found, dim=1).to(torch.float32)
    # an image that cannot be read, where such are skipped, is left out by `all` and never asked about
    logits = said.new_zeros(len(said), len(split), said.shape[2])
    logits[:, torch.cat(rows)] = said
    logger.info("the teacher looked at %d images in %.1f s", len(split), time.perf_counter() - begin)
    keep(file, lambda path: save_file({"logits": logits.cpu()}, path))
    return logits
