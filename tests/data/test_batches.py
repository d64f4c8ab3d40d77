import itertools
import logging
import multiprocessing

import numpy as np
import pytest
import torch

from tests.data.samples import fill, parquet
from vitreous.data.batches import choose_path, make_batches
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.data.memory import _control_group, _machine, available_bytes, in_words
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.resident import decoded
from vitreous.data.shard import Shard
from vitreous.data.statistics import fit_preprocessing, pixel_statistics, training_storage
from vitreous.data.streaming import worker_count
from vitreous.errors import ConfigError, DataError

FIT = Preprocessing(channels=3, height=8, width=8, mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.fixture
def data(tmp_path):
    """Images of two sizes, so that resizing takes part."""
    fill(tmp_path / "data" / "train", {"cat": 13, "dog": 8})
    fill(tmp_path / "data" / "train", {"eel": 9}, size=(20, 11))
    fill(tmp_path / "data" / "val", {"cat": 3, "dog": 2, "eel": 2})
    return open_images(tmp_path / "data")


def batches(data, path="resident", workers=1, split="train", fit=FIT, shard=None):
    return make_batches(
        data.splits[split],
        fit,
        batch_size=4,
        seed=0,
        train=split == "train",
        loading=Loading(path=path, workers=workers),
        shard=shard,
    )


def taken(made, step, count):
    iterator = made.from_step(step)
    result = list(itertools.islice(iterator, count))
    iterator.close()
    return result


def equal(one, other):
    return len(one) == len(other) and all(
        all(map(torch.equal, batch, same)) for batch, same in zip(one, other, strict=True)
    )


def test_batches_hold_the_images_that_their_labels_belong_to(data):
    train = data.splits["train"]
    pixels: dict[int, set[bytes]] = {label: set() for label in train.labels}
    for i in range(len(train)):
        pixels[train.labels[i]].add(FIT.to_uint8(train.image(i)).numpy().tobytes())
    for images, labels, rows in taken(batches(data), 0, 10):
        assert images.dtype == torch.uint8
        assert images.shape == (4, 3, 8, 8)
        assert labels.dtype == rows.dtype == torch.int64
        assert train.labels[rows].tolist() == labels.tolist()
        for image, label in zip(images, labels.tolist(), strict=True):
            assert image.numpy().tobytes() in pixels[label]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_streaming_equals_resident_bit_for_bit_with_any_number_of_workers(data, workers):
    assert equal(taken(batches(data), 3, 12), taken(batches(data, "streaming", workers), 3, 12))
    resident, streaming = (
        list(batches(data, path, workers, "val").all()) for path in ("resident", "streaming")
    )
    assert equal(resident, streaming)


@pytest.mark.parametrize("path", ["resident", "streaming"])
@pytest.mark.parametrize("step", [1, 7, 17])
def test_starting_at_a_step_gives_the_tail_of_the_whole_sequence(data, path, step):
    whole = taken(batches(data, path), 0, 20)
    assert equal(taken(batches(data, path), step, 20 - step), whole[step:])


@pytest.mark.parametrize("path", ["resident", "streaming"])
def test_evaluation_sees_every_image_once_in_order(data, path):
    made = batches(data, path, split="val")
    shown = list(made.all())
    assert [len(each.labels) for each in shown] == [4, 3]
    assert made.steps_per_epoch == 2
    assert torch.cat([each.labels for each in shown]).tolist() == data.splits["val"].labels.tolist()


@pytest.mark.parametrize("path", ["resident", "streaming"])
def test_evaluation_shares_every_image_once_and_none_twice_where_they_do_not_divide(data, path):
    rows = []
    for rank in range(3):
        shown = list(batches(data, path, split="val", shard=Shard(rank, 3)).all())
        assert len(shown) == 2, "every process has as many batches, some of them empty"
        rows += [row for each in shown for row in each.rows.tolist()]
    assert sorted(rows) == list(range(7))


@pytest.mark.parametrize("path", ["resident", "streaming"])
def test_training_shares_the_batches_of_one_process(data, path):
    whole = taken(batches(data), 2, 8)
    for rank in range(2):
        part = taken(batches(data, path, shard=Shard(rank, 2)), 2, 8)
        assert equal(part, [[each[2 * rank : 2 * rank + 2] for each in batch] for batch in whole])


def test_an_epoch_of_training_drops_the_partial_batch(data):
    assert batches(data).steps_per_epoch == 30 // 4


@pytest.mark.parametrize("path", ["resident", "streaming"])
def test_loading_neither_uses_nor_moves_the_random_state_of_others(data, path):
    torch.manual_seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    first = taken(batches(data, path), 0, 3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    torch.manual_seed(1)
    assert equal(taken(batches(data, path), 0, 3), first)


def test_a_stream_that_is_left_early_leaves_no_process_behind(data):
    for _ in range(2):
        iterator = batches(data, "streaming", 2).from_step(0)
        next(iterator)
        iterator.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_breaks_in_mid_epoch_is_named_and_nothing_hangs(data, tmp_path, workers):
    made = batches(data, "streaming", workers)
    broken = tmp_path / "data" / "train" / "cat" / "007.png"
    broken.write_bytes(broken.read_bytes()[:50])
    with pytest.raises(DataError, match=r"cat/007\.png: cannot be read.*could be read when training began"):
        taken(made, 0, 8)
    assert not multiprocessing.active_children()


def test_an_image_that_breaks_before_it_is_decoded_is_named(data, tmp_path):
    (tmp_path / "data" / "train" / "dog" / "003.png").write_text("no pixels")
    with pytest.raises(DataError, match=r"dog/003\.png: cannot be read"):
        batches(data)


def test_batches_of_a_parquet_file_are_the_same_over_both_paths(tmp_path):
    parquet(tmp_path / "train.parquet", [0, 1] * 12)
    rows = open_images(tmp_path / "train.parquet")
    assert equal(taken(batches(rows), 2, 6), taken(batches(rows, "streaming", 2), 2, 6))


# --- the cache of decoded images


def test_decoded_images_are_read_back_and_shared_by_all_splits(tmp_path, home, monkeypatch):
    fill(tmp_path / "data", {"cat": 10, "dog": 10})
    cut = open_images(tmp_path / "data")
    first = taken(batches(cut), 0, 4)
    expected = list(batches(cut, "streaming", 0, "val").all())
    assert len(list((home / "decoded").iterdir())) == 1
    monkeypatch.setattr(Preprocessing, "fit", None)  # from here on, nothing can be decoded
    assert equal(taken(batches(cut), 0, 4), first)
    assert equal(list(batches(cut, split="val").all()), expected)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "empty"])
def test_a_damaged_cache_is_recognised_and_made_again(data, home, caplog, damage):
    first = taken(batches(data), 0, 6)
    (file,) = (home / "decoded").iterdir()
    whole = bytearray(file.read_bytes())
    if damage == "flipped":
        whole[-100] ^= 1
    file.write_bytes({"truncated": whole[:-10], "flipped": whole, "foreign": b"x" * 99, "empty": b""}[damage])
    with caplog.at_level(logging.WARNING, "vitreous"):
        assert equal(taken(batches(data), 0, 6), first)
    assert "is damaged; the images are decoded again" in caplog.text
    caplog.clear()
    batches(data)
    assert not caplog.text


def test_another_size_has_a_cache_of_its_own(data, home):
    small = Preprocessing(channels=1, height=4, width=6, mean=(0.5,), std=(0.25,))
    batches(data)
    assert taken(batches(data, fit=small), 0, 1)[0][0].shape == (4, 1, 4, 6)
    assert len(list((home / "decoded").iterdir())) == 2


def test_without_a_cache_everything_works_from_memory(data, tmp_path, monkeypatch):
    first = taken(batches(data), 0, 4)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path / "file" / "below"))
    assert equal(taken(batches(data), 0, 4), first)


# --- which path


def test_the_path_is_resident_while_the_images_take_half_of_the_free_memory(monkeypatch):
    monkeypatch.setattr("vitreous.data.batches.available_bytes", lambda: 2 * 10 * 3 * 64)
    assert choose_path(10, FIT, Loading()) == (
        "resident",
        "the decoded images take 0.00183 MiB of 0.00366 MiB free memory",
    )
    path, reason = choose_path(11, FIT, Loading())
    assert path == "streaming"
    assert reason.endswith("free memory, more than half")
    path, reason = choose_path(11, FIT, Loading(path="resident"))
    assert path == "resident"
    assert reason.startswith("asked for")


def test_free_memory_is_the_tightest_of_machine_and_container(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   50 kB\n")
    assert _machine(tmp_path / "meminfo") == 50 * 1024
    group = tmp_path / "cgroup"
    (group / "jobs" / "one").mkdir(parents=True)
    for folder, limit, used in (("jobs", "4096", "1096"), ("jobs/one", "max", "10")):
        (group / folder / "memory.max").write_text(limit)
        (group / folder / "memory.current").write_text(used)
    (tmp_path / "own").write_text("0::/jobs/one\n")
    assert _control_group(group, tmp_path / "own") == 3000
    old = tmp_path / "cgroup" / "memory" / "box"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text("500")
    (old / "memory.usage_in_bytes").write_text("100")
    (tmp_path / "own").write_text("5:cpu:/\n4:memory:/box\n")
    assert _control_group(group, tmp_path / "own") == 400
    assert available_bytes() > 0
    assert in_words(3 << 30) == "3 GiB"


def test_the_number_of_workers_is_asked_for_or_follows_the_cores(monkeypatch):
    assert worker_count(Loading(workers=3)) == 3
    monkeypatch.setattr("vitreous.data.streaming.cores", lambda: 4)
    assert worker_count(Loading()) == 3
    monkeypatch.setattr("vitreous.data.streaming.cores", lambda: 64)
    assert worker_count(Loading()) == 8
    monkeypatch.setattr("vitreous.data.streaming.cores", lambda: 1)
    assert worker_count(Loading()) == 1
    monkeypatch.setenv("VITREOUS_NUM_WORKERS", "5")
    assert worker_count(Loading()) == 5
    monkeypatch.setenv("VITREOUS_NUM_WORKERS", "many")
    with pytest.raises(ConfigError, match="VITREOUS_NUM_WORKERS is 'many'; a whole number"):
        worker_count(Loading())


# --- the preprocessing of a new run


def test_statistics_are_those_of_the_training_pixels(data):
    images, rows = decoded(data.splits["train"], FIT, share=True)
    mean, std = pixel_statistics(images, rows)
    pixels = images[rows].double() / 255
    assert torch.allclose(torch.tensor(mean).double(), pixels.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(torch.tensor(std).double(), pixels.std((0, 2, 3), correction=0), atol=1e-4)


def test_a_resident_set_has_its_own_statistics_and_a_streamed_one_those_of_imagenet(data):
    train = data.splits["train"]
    own, why = fit_preprocessing(train, channels=3, height=8, width=8, crop="pad")
    assert why == "mean and deviation of the 30 training images"
    assert own.mean != (0.485, 0.456, 0.406)
    streamed, why = fit_preprocessing(
        train, channels=3, height=8, width=8, crop="pad", loading=Loading(path="streaming")
    )
    assert "ImageNet" in why
    assert streamed.mean == (0.485, 0.456, 0.406)


def test_small_images_are_shown_whole_and_large_ones_cropped(data):
    shares = [
        fit_preprocessing(
            data.splits["train"],
            channels=1,
            height=side,
            width=side,
            crop="resized",
            loading=Loading(path="streaming"),
        )[0].crop_share
        for side in (64, 224)
    ]
    assert shares == [1.0, 0.875]


def test_resized_crops_start_from_a_larger_image():
    large = Preprocessing(
        channels=3, height=224, width=112, mean=(0.5,) * 3, std=(0.25,) * 3, crop_share=0.875
    )
    stored = training_storage(large, "resized")
    assert (stored.height, stored.width, stored.crop_share) == (256, 128, 1.0)
    assert training_storage(large, "pad") == large


def test_images_can_be_stored_larger_than_the_model_takes_them(data):
    made = make_batches(
        data.splits["train"], FIT, batch_size=4, train=True, storage=training_storage(FIT, "resized")
    )
    assert next(made.from_step(0))[0].shape == (4, 3, 10, 10)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_on_a_gpu_are_those_of_the_cpu(data):
    for path in ("resident", "streaming"):
        made = make_batches(
            data.splits["train"], FIT, batch_size=4, train=True, device="cuda", loading=Loading(path=path)
        )
        on_gpu = [(images.cpu(), labels.cpu()) for images, labels in taken(made, 2, 9)]
        assert equal(on_gpu, taken(batches(data), 2, 9))
