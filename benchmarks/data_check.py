"""What chose the numbers of `vitreous data check`, and how long the check takes.

Four measurements on real sets, one after the other:

1. Near duplicates. For hashes of 8×8, 12×12 and 16×16 cosine terms: by how many bits an edited copy differs
   (500 images, median and 90th percentile), and how many test images have a training image within a share of
   the bits, with how many of these of another class, which no true duplicate has.
2. JPEG. The comb's score and quality of the pixels as they are stored, of the same images resized (which
   were never JPEG at that size), and of those after JPEG at several qualities.
3. Labels. How often the nearest class mean is right with the ids as they are and with the best exchange of
   ids, for the right ids, for all of them shifted by one, and for a shift behind a class that is left out.
4. The check itself: processor seconds of one thread, wall seconds, and what it says.

    python benchmarks/data_check.py cifar10-train.parquet,cifar10-test.parquet digits

Each argument is one data set, its files joined by commas.
"""

import argparse
import functools
import io
import time
from collections.abc import Callable

import numpy as np
import torch
from machine import describe_machine
from PIL import Image, ImageEnhance
from scipy.fft import dctn

from vitreous.data.check import check_data
from vitreous.data.decode import upright
from vitreous.data.examine import lowest_terms
from vitreous.data.jpeg_traces import jpeg_traces
from vitreous.data.label_agreement import agreement
from vitreous.data.loading import Loading
from vitreous.data.records import Records
from vitreous.data.sources import find_source

TERMS = (8, 12, 16)
SHARES = (0.02, 0.04, 0.056, 0.08, 0.1)  # 8 of 144 bits are 0.056
EDITED = 500
LUMA = np.array([0.299, 0.587, 0.114])


def jpeg(quality: int, image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue()))


def resized(share: float, image: Image.Image) -> Image.Image:
    size = (max(8, round(image.width * share)), max(8, round(image.height * share)))
    return image.resize(size, Image.Resampling.BICUBIC)


def cropped(share: float, image: Image.Image) -> Image.Image:
    w, h = image.size
    return image.crop((round(w * share), round(h * share), round(w * (1 - share)), round(h * (1 - share))))


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG 75": functools.partial(jpeg, 75),
    "JPEG 50": functools.partial(jpeg, 50),
    "size × 0.8": functools.partial(resized, 0.8),
    "size × 0.5": functools.partial(resized, 0.5),
    "brighter × 1.15": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "contrast × 1.3": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "without colour": lambda image: image.convert("L"),
    "edges cut 5 %": functools.partial(cropped, 0.05),
}


def images_of(records: Records, count: int | None = None) -> list[Image.Image]:
    total = len(records.labels)
    rows = range(total) if count is None else np.linspace(0, total - 1, min(count, total)).astype(int)
    return [upright(records.open(int(row))).copy() for row in rows]


def miniature(image: Image.Image) -> np.ndarray:
    grey = image.convert("L")
    way = Image.Resampling.BOX if min(grey.size) > 32 else Image.Resampling.BICUBIC
    return np.asarray(grey if grey.size == (32, 32) else grey.resize((32, 32), way))


def bits(images: list[Image.Image], terms: int) -> torch.Tensor:
    small = np.stack([miniature(image) for image in images]).astype(np.float32)
    low = dctn(small, axes=(1, 2))[:, :terms, :terms].reshape(len(images), -1)
    return torch.from_numpy(low > np.median(low, axis=1, keepdims=True)).float() * 2 - 1


def different(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a.shape[1] - a @ b.T) / 2


def near_duplicates(train: Records, test: Records) -> None:
    some = images_of(test, EDITED)
    print("bits that an edited copy differs in, median and 90th percentile")
    for terms in TERMS:
        plain = bits(some, terms)
        row = []
        for name, edit in EDITS.items():
            moved = (plain != bits([edit(image) for image in some], terms)).sum(1).float()
            row.append(f"{name}: {moved.quantile(0.5):.0f}, {moved.quantile(0.9):.0f}")
        print(f"  {terms**2:>3} bits  {'; '.join(row)}")
    print("test images with a training image within a share of the bits, of another class in brackets")
    train_images, test_images = images_of(train), images_of(test)
    names = np.array(train.names), np.array(test.names)
    for terms in TERMS:
        a, b = bits(test_images, terms), bits(train_images, terms)
        nearest = [different(part, b).min(1) for part in a.split(2000)]
        apart = torch.cat([each.values for each in nearest]).numpy()
        at = torch.cat([each.indices for each in nearest]).numpy()
        other = names[0][train.labels[at]] != names[1][test.labels]
        told = []
        for share in SHARES:
            most = int(share * terms**2 + 1e-6)
            close = apart <= most
            told.append(f"{most} bits: {close.sum():,} ({(close & other).sum():,})")
        print(f"  {terms**2:>3} bits  {'; '.join(told)}")


def exchanged(train: Records, test: Records) -> None:
    classes = len(train.names)
    features, other = (
        lowest_terms(np.stack([miniature(image) for image in images_of(each)]))[:, :8, :8].reshape(-1, 64)
        for each in (train, test)
    )
    left = test.labels != classes // 2
    behind = test.labels[left] - (test.labels[left] > classes // 2)
    print("nearest class mean right: as labelled, with the best exchange of ids, margin of chance")
    for name, pictures, labels in (
        ("right ids", other, test.labels),
        ("shifted by one", other, (test.labels + 1) % classes),
        (f"without class {classes // 2}", other[left], behind),
    ):
        told = agreement(features, train.labels, pictures, labels, classes)
        verdict = "agree" if told.agrees else "exchanged"
        shares = f"{told.as_labelled:6.1%}  {told.reassigned:6.1%}  {told.margin:5.1%}"
        print(f"  {name:<18} {shares}  {verdict}")


def luma(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 2 else pixels @ LUMA


def compression(train: Records) -> None:
    stored = images_of(train, 1500)
    clean = [image.resize((40, 40), Image.Resampling.BICUBIC) for image in stored]
    sets = {"as stored": stored, "resized to 40×40": clean}
    sets |= {f"then JPEG {q}": [jpeg(q, each) for each in clean] for q in (95, 92, 90, 85, 75, 50)}
    print("score of the comb, and the quality that it tells")
    for name, images in sets.items():
        found = jpeg_traces([luma(image) for image in images])
        print(
            f"  {name:<18} " + (f"{found.score:.2f}  {found.quality or '-'}" if found else "too few blocks")
        )


def check(files: list[str]) -> None:
    began, processor = time.perf_counter(), time.process_time()
    checked = check_data(files)
    images = sum(checked.images.values())
    print(f"check of {images:,} images: {time.process_time() - processor:.1f} processor seconds, "
          f"{time.perf_counter() - began:.1f} s on the clock")  # fmt: skip
    for each in checked.findings:
        print(f"  {each.level:<8} {each.check:<24} {each.text.split('.parquet')[0][:110]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="+", help="data sets; the files of one joined by commas")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(describe_machine())
    for data in arguments.data:
        files = data.split(",")
        parts = find_source(files, Loading()).parts
        print(f"\n{', '.join(file.rpartition('/')[2] for file in files)}")
        check(files)
        compression(parts.get("train") or next(iter(parts.values())))
        if "train" in parts and len(parts) > 1:
            near_duplicates(parts["train"], parts.get("test") or parts["val"])
            exchanged(parts["train"], parts.get("test") or parts["val"])


if __name__ == "__main__":
    main()
