"""Data in a config file are paths beside it, shards and the file of their names too; hub names are not."""

from pathlib import Path

import pytest

from vitreous.configuration.config_file import read_layers
from vitreous.configuration.fields import settings_types
from vitreous.training.settings import TrainSettings


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("photos.tar", "{}/photos.tar"),
        ("wds:shards/train-{{00..09}}.tar", "wds:{}/shards/train-{{00..09}}.tar"),
        ("wds:pipe:cat a-{{0..3}}.tar", "wds:pipe:cat a-{{0..3}}.tar"),
        ("wds:https://host/a.tar", "wds:https://host/a.tar"),
        ("hf:owner/name", "hf:owner/name"),
        ("torch/cifar10", "torch/cifar10"),
    ],
)
def test_data_lie_beside_the_file_that_names_them(tmp_path: Path, given: str, read: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        f'data: ["{given.format()}"]\nloading:\n  class_names: names.txt\n  split_file: split.csv\n'
    )
    (layer,) = read_layers(str(file), settings_types(TrainSettings))
    assert layer.values["data"] == [read.format(tmp_path)]
    assert layer.values["loading.class_names"] == str(tmp_path / "names.txt")
    assert layer.values["loading.split_file"] == str(tmp_path / "split.csv")
