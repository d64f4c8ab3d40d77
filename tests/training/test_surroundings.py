"""--deterministic sets all that repeats a run bit for bit and takes it away; random streams are apart."""

import itertools
import logging
import os

import pytest
import torch

from tests.data.samples import fill
from vitreous.data.augment import Augmentation
from vitreous.data.batches import make_batches
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError
from vitreous.training.surroundings import WORKSPACE, as_deterministic


def settings():
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        cudnn.benchmark,
        cudnn.deterministic,
        os.environ.get(WORKSPACE),
    )


def test_everything_that_repeats_is_set_inside_and_the_callers_settings_are_back_outside(monkeypatch):
    monkeypatch.delenv(WORKSPACE, raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = settings()
    with as_deterministic(True):
        assert settings() == (True, False, True, ":4096:8")
    assert settings() == before
    with as_deterministic(False):
        assert settings() == before


def test_a_workspace_that_cannot_repeat_is_refused_with_those_that_can(monkeypatch):
    monkeypatch.setenv(WORKSPACE, ":0:0")
    with pytest.raises(ConfigError, match=r"CUBLAS_WORKSPACE_CONFIG is :0:0; .*:4096:8 and :16:8 work"):
        as_deterministic(True).__enter__()


def test_two_deterministic_runs_are_bit_equal_and_say_what_it_costs(tiny_run, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "vitreous"):
        runs = [tiny_run(epochs=1, deterministic=True, out=str(tmp_path / name)) for name in "ab"]
    assert "deterministic    on  (operations without a deterministic kernel are refused" in caplog.text
    for name in ("model", "ema", "best"):
        files = [next(each.run_dir.glob(f"checkpoints/step-000006/{name}.safetensors")) for each in runs]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert runs[0].metrics == runs[1].metrics


def test_neither_workers_nor_what_else_draws_move_order_and_augmentation(tmp_path):
    fill(tmp_path / "data" / "train", {"cat": 9, "dog": 7})
    fill(tmp_path / "data" / "val", {"cat": 2, "dog": 2})
    data = open_images(tmp_path / "data")
    fit = Preprocessing(channels=3, height=8, width=8, mean=(0.5,) * 3, std=(0.25,) * 3)
    augment = Augmentation(
        seed=3, size=(8, 8), classes=2, preprocessing=fit, crop="pad", padding=1, flip=True, randaugment=1,
        erasing=0.5, mixup=0.2, cutmix=1.0,
    )  # fmt: skip

    def shown(path, workers, disturbance):
        made = make_batches(
            data.splits["train"], fit, batch_size=4, seed=3, train=True,
            loading=Loading(path=path, workers=workers),
        )  # fmt: skip
        found: list[torch.Tensor] = []
        steps = made.from_step(0)
        for step, batch in enumerate(itertools.islice(steps, 6)):
            torch.manual_seed(disturbance + step)
            torch.rand(disturbance)  # dropout, or anything else that uses torch's own generator
            found += augment(batch.images, batch.labels, step)
        steps.close()
        return found

    first = shown("resident", 0, 0)
    for path, workers, disturbance in (("resident", 0, 7), ("streaming", 0, 1), ("streaming", 2, 5)):
        assert all(map(torch.equal, first, shown(path, workers, disturbance)))
