"""No leak, by construction: search code is given images for weights and for choices, and no way to others."""

from pathlib import Path

import numpy as np
import pytest

from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.errors import ConfigError, DataError
from vitreous.searching.splits import OwnRecords, open_search_data

LOADING = Loading(limit=300)


def keys(split: object) -> set[str]:
    return {split.key(i) for i in range(len(split))}


def test_weights_choice_and_validation_are_disjoint_and_together_everything(tmp_path: Path) -> None:
    file = tmp_path / "split.csv"
    searched = open_search_data("digits", loading=LOADING, seed=0, split_file=file)
    trained = open_images("digits", loading=LOADING, seed=7, split_file=file)  # another seed, the same cut
    weights, choice = (keys(searched.splits[name]) for name in ("train", "val"))
    assert set(searched.splits) == {"train", "val"}
    assert not weights & choice and not (weights | choice) & keys(trained.splits["val"])
    assert len(choice) == 30 and set(np.unique(searched.splits["val"].labels)) == set(range(10))


def test_a_test_that_tries_does_not_reach_the_held_out_images(tmp_path: Path) -> None:
    searched = open_search_data("digits", loading=LOADING, seed=0, split_file=tmp_path / "split.csv")
    for split in searched.splits.values():
        records = split.records
        assert isinstance(records, OwnRecords)
        assert len(records.labels) == 300
        for i in (-1, 300, 1600):
            for reach in (records.open, records.key, records.where):
                with pytest.raises(IndexError):
                    reach(i)
        assert not any(hasattr(each, "open") for each in vars(records).values())
        assert set(split.pool) == set(range(300))


def test_the_same_seed_chooses_the_same_images_and_another_others(tmp_path: Path) -> None:
    first, again, other = (
        keys(
            open_search_data("digits", loading=LOADING, seed=0, split_file=tmp_path / "split.csv").splits[
                "val"
            ]
        )
        if seed == 0
        else keys(
            open_search_data("digits", loading=LOADING, seed=1, split_file=tmp_path / "s").splits["val"]
        )
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_a_choice_split_that_is_too_small_or_too_large_is_refused(tmp_path: Path) -> None:
    for count in (9, 151):
        with pytest.raises(ConfigError, match=r"from 10 \(one a class\) to 150 \(half\) work"):
            open_search_data("digits", loading=LOADING, seed=0, split_file=tmp_path / "s", choice=count)


def test_data_of_one_class_are_refused(tmp_path: Path) -> None:
    from PIL import Image

    for number in range(6):
        file = tmp_path / "data" / "only" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(file)
    with pytest.raises(DataError, match=r"one class|two classes") as caught:
        open_search_data(str(tmp_path / "data"), loading=Loading(), seed=0, split_file=tmp_path / "s")
    assert caught.value.exit_code == 3


def test_a_split_file_of_another_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--loading\.split-file .* cannot be read"):
        open_images("digits", loading=Loading(split_file="gone.csv"), split_file=tmp_path / "s")
