"""A teacher in a config file is a path beside the file, and a name of timm's or `cnn` is not."""

from pathlib import Path

import pytest

from vitreous.configuration.config_file import read_layers
from vitreous.configuration.fields import settings_types
from vitreous.training.settings import TrainSettings


@pytest.mark.parametrize(
    ("key", "given", "read"),
    [
        ("distilling.teacher", "runs/big", "{folder}/runs/big"),
        ("distilling.teacher", "timm:resnet18", "timm:resnet18"),
        ("distilling.teacher", "timm:resnet18@weights.pth", "timm:resnet18@{folder}/weights.pth"),
        ("guidance.teacher", "cnn", "cnn"),
        ("guidance.teacher", "runs/big", "{folder}/runs/big"),
    ],
)
def test_what_a_teacher_is_read_as(tmp_path: Path, key: str, given: str, read: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"{key}: {given}\n")
    [layer] = read_layers(str(file), settings_types(TrainSettings))
    assert layer.values == {key: read.format(folder=tmp_path)}
