import struct

import numpy as np
import pytest

from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.data.torch_sets import torch_set
from vitreous.errors import ConfigError, DataError


def put_mnist(home):
    """MNIST's own file format with a few images of our own."""
    folder = home / "torch" / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 10)):
        pixels = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">4i", 2051, count, 28, 28) + pixels.tobytes()
        )
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels.tobytes())


def test_a_set_that_is_there_opens_with_its_names(home):
    put_mnist(home)
    data = open_images("torch/fashionMNIST", need=("train", "val", "test"))
    assert data.classes[0] == "T-shirt/top"
    assert data.scan.images == {"train": 30, "val": 10, "test": 10}
    assert data.scan.channels == 1
    assert not data.writing


def test_a_set_that_is_not_there_is_not_fetched_unasked(home):
    with pytest.raises(
        DataError, match=r"torch/cifar10: its files are not complete under .*--loading\.download"
    ):
        open_images("torch/cifar10")
    assert not list(home.rglob("*.gz"))


def test_offline_wins_over_download(monkeypatch):
    monkeypatch.setenv("VITREOUS_OFFLINE", "1")
    with pytest.raises(ConfigError, match="VITREOUS_OFFLINE is 1"):
        open_images("torch/cifar10", loading=Loading(download=True))


def test_an_unknown_set_names_the_nearest():
    with pytest.raises(DataError, match="torchvision has no such data set; did you mean torch/cifar10"):
        open_images("torch/cifar-10")


def test_a_set_without_single_labels_is_refused():
    with pytest.raises(DataError, match="torch/"):
        torch_set("torch/cocodetection")
