"""A folder of images that a tiny model can tell apart, and that model, made without training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vitreous import build, config
from vitreous.data.preprocessing import Preprocessing
from vitreous.interop.model_folder import save_model

CLASSES = ("dark", "grey", "light")
LEVELS = {"dark": 30, "grey": 128, "light": 225}


def picture(level: int, seed: int, size: int = 8) -> Image.Image:
    noise = np.random.default_rng(seed).integers(-10, 11, (size, size))
    return Image.fromarray((level + noise).astype(np.uint8))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """12 test images: 4 of each class; two of them lie in the folder of another class."""
    root = tmp_path / "images"
    for place, name in enumerate(CLASSES):
        (root / "test" / name).mkdir(parents=True)
        for number in range(4):
            picture(LEVELS[name], 10 * place + number).save(root / "test" / name / f"{number}.png")
    picture(LEVELS["light"], 90).save(root / "test" / "dark" / "3.png")
    picture(LEVELS["dark"], 91).save(root / "test" / "grey" / "3.png")
    return root


class Brightness(torch.nn.Module):
    """Knows the class from the mean of the image; stands where a trained model would."""

    def __init__(self, levels: list[float]) -> None:
        super().__init__()
        self.levels = torch.nn.Parameter(torch.tensor(levels))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return -20 * (images.mean(dim=(1, 2, 3))[:, None] - self.levels) ** 2


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder whose weights are those of `Brightness`, built in the place of the real network."""
    described = config("eit_digits", classes=3, channels=1, depth=1)

    def build_brightness(config: object) -> torch.nn.Module:
        module = Brightness([0.0, 0.0, 0.0])
        module.config = config  # type: ignore[assignment]
        return module

    trained = Brightness([LEVELS[name] / 255 for name in CLASSES])
    trained.config = build(described).config  # type: ignore[assignment]
    preprocessing = Preprocessing(channels=1, height=8, width=8, mean=(0.0,), std=(1.0,))
    save_model(
        tmp_path / "model",
        trained,
        classes=CLASSES,
        preprocessing=preprocessing,
        metrics={},
        provenance={},
    )
    monkeypatch.setattr("vitreous.interop.model_folder.build", build_brightness)
    return tmp_path / "model"
