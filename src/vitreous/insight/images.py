"""The images that models are looked into with: the same for all, each prepared as its model is used to.

By default those that a run held out; of given data the first of test, validation and training images that
there is. A sample is drawn from a seed, without regard to classes, and kept in the order of the data.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from vitreous.data.images import ImageSplit, open_images
from vitreous.data.loading import Loading
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.sources import find_source
from vitreous.errors import ConfigError, DataError

FEWEST = 8


@dataclass(frozen=True)
class Sample:
    """Images of a split: which, and under which class names."""

    split: ImageSplit
    rows: tuple[int, ...]
    classes: tuple[str, ...]
    what: str

    def __len__(self) -> int:
        return len(self.rows)

    def batches(
        self, preprocessing: Preprocessing, size: int, device: torch.device, most: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images and labels, in order; the first `most` only."""
        rows = self.rows[:most]
        for begin in range(0, len(rows), size):
            here = rows[begin : begin + size]
            pixels = torch.stack([preprocessing.fit(self.split.image(row)) for row in here])
            labels = torch.from_numpy(self.split.labels[list(here)].copy())
            yield preprocessing.normalize(pixels.to(device)), labels.to(device)


def sample(
    data: str | Path | Sequence[str | Path] | None,
    *,
    run: Path | None,
    classes: Sequence[str] | None,
    split: str | None,
    images: int,
    seed: int,
) -> Sample:
    """Open the data and draw from them.

    Args:
        data: as for training; None for the images of the run.
        run: the run folder whose held-out images are wanted.
        classes: a class map that the data must fit; None to take the data's own.
        split: `train`, `val` or `test`.
        images: how many; all where there are fewer.
        seed: of the draw.

    Raises:
        ConfigError: nobody knows which images.
        DataError: images that cannot be read, other classes, or too few for any statistic.
    """
    stored = _stored(run)
    own = [str(each) for each in stored.get("data", [])]
    given = (
        own if data is None else [str(each) for each in ([data] if isinstance(data, str | Path) else data)]
    )
    if not given:
        raise ConfigError("there is no run that knows its images; give some with --data")
    held_out = data is None and run is not None
    told = stored.get("loading") or {}
    known = {each.name for each in dataclasses.fields(Loading)}
    reading = Loading(**{name: told[name] for name in told if name in known}) if held_out else Loading()
    parts = find_source(given, reading).parts
    chosen = split or (
        "val" if held_out else next((e for e in ("test", "val", "train") if e in parts), "all")
    )
    if chosen == "all" and classes is None:
        chosen = "train"  # what data without named splits are called where no class map is given
    split_file = run / "split.csv" if held_out and run is not None else None
    if held_out and chosen not in parts and not (split_file and split_file.exists()):
        raise ConfigError(f"{run}: nobody knows which images were held out; give others with --data")
    need = ("train", "val") if chosen == "train" and split_file and split_file.exists() else (chosen,)
    opened = open_images(
        given,
        loading=reading,
        seed=int(stored.get("seed", 0)),
        split_file=split_file,
        classes=classes,
        need=need,
    )
    found = opened.splits[chosen]
    if len(found) < FEWEST:
        raise DataError(f"{' '.join(given)}: {len(found)} images are too few; at least {FEWEST} are needed")
    rows = range(len(found))
    if images < len(found):
        drawn = np.random.default_rng(seed).permutation(len(found))[:images]
        return Sample(found, tuple(int(row) for row in np.sort(drawn)), opened.classes, _words(given, chosen))
    return Sample(found, tuple(rows), opened.classes, _words(given, chosen))


def _words(given: Sequence[str], split: str) -> str:
    return f"{', '.join(Path(each).name for each in given)} ({split})"


def _stored(run: Path | None) -> dict[str, Any]:
    if run is None:
        return {}
    try:
        stored = yaml.safe_load((run / "config.input.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{run / 'config.input.yaml'} cannot be read: {error}") from error
    return stored if isinstance(stored, dict) else {}
