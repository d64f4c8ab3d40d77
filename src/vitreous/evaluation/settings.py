"""All that a user can set of evaluation and prediction: frozen values, free of heavy imports."""

from dataclasses import dataclass, field
from typing import Literal

from vitreous.data.loading import Loading
from vitreous.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """A measurement of a trained model.

    Args:
        run: run folder, or model folder.
        data: images to measure on, as for training; by default the images of the run.
        split: which part of the images; by default the validation images of the run, or of given data
            the test part, else the validation part, else all.
        out: folder of the results; by default `evaluation-…` inside the run folder.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`.
        batch_size: images at a time.
        turns: of a recursive model, fewer than it was trained with; by default all.
        loading: how images are read; by default as the run did.
    """

    run: str
    data: list[str] | None = None
    split: Literal["train", "val", "test"] | None = None
    out: str | None = None
    device: str = "auto"
    batch_size: int = 128
    turns: int | None = None
    loading: Loading = field(default_factory=Loading)


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """Names for what is on pictures.

    Args:
        run: run folder, or model folder.
        files: image files, or folders of them (with everything inside).
        top: how many names to give for each picture, the most probable first.
        csv: file for a table of the answers.
        figure: file for a picture of the images and their answers (the first 36).
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`.
        batch_size: images at a time.
        turns: of a recursive model, fewer than it was trained with; by default all.
    """

    run: str
    files: list[str] = field(default_factory=list)
    top: int = 5
    csv: str | None = None
    figure: str | None = None
    device: str = "auto"
    batch_size: int = 64
    turns: int | None = None


@dataclass(frozen=True, kw_only=True)
class ShowSettings(TrainSettings):
    """A page of images as a training run with these settings would show them to the model.

    Args:
        data: folder of class folders or a tar of them, parquet files or a glob of them, WebDataset shards as
            `wds:PATTERN`, a Hugging Face data set as `hf:NAME`, `torch/<name>` of torchvision, or `digits`;
            several files or patterns may be given.
        out: the page: an `.html` file, or a `.png` picture of it.
    """

    out: str = "data.html"  # type: ignore[assignment]
