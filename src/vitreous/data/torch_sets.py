"""`torch/<name>`: a classification set of torchvision.datasets, by its name in any case.

The files are expected under `torch/` in the cache folder, where torchvision would put them; nothing is
fetched unless `--loading.download` says so.
"""

import inspect
import os
import threading
from typing import Any

import numpy as np
from PIL import Image

from vitreous.data.cache import cache_folder, content_key
from vitreous.data.records import Records, Source
from vitreous.errors import ConfigError, DataError, did_you_mean

WRITING = {"mnist", "emnist", "kmnist", "qmnist", "usps", "svhn", "omniglot"}


class TorchRecords:
    """One split of a torchvision data set."""

    def __init__(self, name: str, split: str, dataset: Any) -> None:
        self._dataset = dataset
        self._name = f"torch/{name} {split}"
        self._lock = threading.Lock()  # FakeData and others touch global state when read
        labels = _labels(dataset)
        names = getattr(dataset, "classes", None)
        if names is None or len(names) <= labels.max(initial=0):
            names = [str(number) for number in range(int(labels.max(initial=0)) + 1)]
        # some sets give several names for one class, as tuples
        self.names = tuple(name if isinstance(name, str) else str(name[0]) for name in names)
        self.labels = labels
        self.stamp = self.identity = content_key([self._name, len(labels), *labels[:1000]])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_lock": threading.Lock()}

    def key(self, i: int) -> str:
        """Data set, split and number."""
        return f"{self._name} {i}"

    def where(self, i: int) -> str:
        """Data set, split and number."""
        return self.key(i)

    def open(self, i: int) -> Image.Image:
        """Image as torchvision gives it."""
        with self._lock:
            image = self._dataset[i][0]
        return image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))


def torch_set(name: str, *, download: bool = False) -> Source:
    """The splits that a torchvision data set has.

    Args:
        name: such as `cifar10`, with or without `torch/` in front.
        download: let torchvision fetch what is not there.

    Raises:
        DataError: no such set, or its files are not there.
    """
    from torchvision import datasets

    name = name.removeprefix("torch/")
    known = {each.lower(): each for each in datasets.__all__ if hasattr(datasets, each)}
    if name.lower() not in known:
        near = did_you_mean(f"torch/{name}", [f"torch/{each}" for each in known])
        raise DataError(f"torch/{name}: torchvision has no such data set{near}")
    factory = getattr(datasets, known[name.lower()])
    accepted = inspect.signature(factory).parameters
    if download and os.environ.get("VITREOUS_OFFLINE") == "1":
        raise ConfigError("--loading.download while VITREOUS_OFFLINE is 1; unset one of the two")
    options: dict[str, Any] = {}
    if "root" in accepted:
        options["root"] = str(cache_folder() / "torch")
    if "download" in accepted:
        options["download"] = download
    parts: dict[str, Records] = {}
    for split, choice in _choices(accepted):
        if split in parts:
            continue
        try:
            parts[split] = TorchRecords(name.lower(), split, factory(**options, **choice))
        except (RuntimeError, OSError) as error:
            if split != "train" and parts:
                continue  # a set may have no such split
            raise DataError(
                f"torch/{name}: its files are not complete under {cache_folder() / 'torch'}; "
                "put them there, or add --loading.download to fetch them"
            ) from error
        except ValueError:
            continue  # the set does not know this spelling of a split
        except TypeError as error:
            raise DataError(f"torch/{name}: not a set of single images with one label ({error})") from error
    if not parts:
        raise DataError(f"torch/{name}: it needs options of its own; convert it to class folders or parquet")
    return Source(parts=parts, writing=name.lower() in WRITING)


def _choices(accepted: Any) -> list[tuple[str, dict[str, Any]]]:
    """Splits and the constructor arguments that may name them."""
    if "train" in accepted:
        return [("train", {"train": True}), ("test", {"train": False})]
    if "split" in accepted:
        names = (("train", "train"), ("val", "val"), ("val", "valid"), ("test", "test"))
        return [(split, {"split": name}) for split, name in names]
    return [("all", {})]


def _labels(dataset: Any) -> np.ndarray:
    for attribute in ("targets", "labels", "_labels", "y"):
        values = getattr(dataset, attribute, None)
        if values is not None:
            break
    else:
        values = [dataset[i][1] for i in range(len(dataset))]
    labels = np.asarray(values)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise TypeError("labels are not one whole number an image")
    return labels.astype(np.int64)
