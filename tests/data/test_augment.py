import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.data.augment import Augmentation
from vitreous.data.crop import draw_windows, resized, shifted
from vitreous.data.erase import draw_rectangles, erase
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.shard import Shard
from vitreous.errors import ConfigError

FIT = Preprocessing(channels=3, height=16, width=16, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.3))
EVERYTHING = {
    "crop": "pad",
    "padding": 2,
    "flip": True,
    "randaugment": 2,
    "randaugment_magnitude": 9,
    "erasing": 0.5,
    "mixup": 0.2,
    "cutmix": 1.0,
}


def images(batch=40, channels=3, rows=16, columns=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, channels, rows, columns), dtype=torch.uint8, generator=generator)


def labels(batch=40):
    return torch.arange(batch) % 5


def augmentation(seed=0, size=(16, 16), fit=FIT, **options):
    return Augmentation(seed=seed, size=size, classes=5, preprocessing=fit, **options)


def still(batch):
    return torch.zeros(batch, dtype=torch.bool)


# --- crop and flip


@pytest.mark.parametrize("padding", [0, 1, 5])
def test_a_window_at_the_offset_of_the_padding_is_the_image_itself(padding):
    at = torch.full((40,), padding)
    assert torch.equal(shifted(images(), at, at, still(40), padding), images())


def test_mirroring_twice_is_the_image_itself():
    at = torch.zeros(40, dtype=torch.int64)
    once = shifted(images(), at, at, ~still(40), 0)
    assert torch.equal(once, images().flip(-1))
    assert torch.equal(shifted(once, at, at, ~still(40), 0), images())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.sampled_from([1, 3]), st.integers(2, 9), st.integers(2, 9), st.data())
def test_a_shift_is_the_slice_of_the_padded_image(batch, channels, rows, columns, data):
    padding = data.draw(st.integers(0, 4))
    offsets = st.lists(st.integers(0, 2 * padding), min_size=batch, max_size=batch)
    top, left = data.draw(offsets), data.draw(offsets)
    mirrored = data.draw(st.lists(st.booleans(), min_size=batch, max_size=batch))
    x = images(batch, channels, rows, columns)
    padded = torch.nn.functional.pad(x, (padding,) * 4)
    result = shifted(x, torch.tensor(top), torch.tensor(left), torch.tensor(mirrored), padding)
    for i in range(batch):
        expected = padded[i, :, top[i] : top[i] + rows, left[i] : left[i] + columns]
        assert torch.equal(result[i], expected.flip(-1) if mirrored[i] else expected)


def test_every_image_of_a_batch_has_its_own_shift_and_flip():
    same = images(1).expand(60, -1, -1, -1)
    shown, _ = augmentation(crop="pad", padding=3, flip=True)(same, labels(60), 0)
    assert len(torch.unique(shown.flatten(1), dim=0)) > 30


def test_shifts_are_spread_evenly_over_all_offsets():
    x = torch.zeros(4000, 1, 5, 5, dtype=torch.uint8)
    x[:, :, 2, 2] = 255
    fit = Preprocessing(channels=1, height=5, width=5, mean=(0.0,), std=(1.0,))
    shown, _ = augmentation(size=(5, 5), fit=fit, crop="pad", padding=1)(x, torch.zeros(4000).long(), 0)
    counts = shown.sum((0, 1))
    assert counts.sum() == 4000
    assert (counts[1:4, 1:4] - 4000 / 9).abs().max() < 90


def test_half_of_the_images_are_mirrored_and_none_without_flip():
    same = images(1).expand(400, -1, -1, -1)
    plain = FIT.normalize(same)
    shown, _ = augmentation(flip=True)(same, labels(400), 0)
    untouched = (shown == plain).flatten(1).all(1).sum().item()
    assert 160 < untouched < 240
    assert torch.equal(augmentation()(same, labels(400), 0)[0], plain)


def test_the_whole_window_scaled_to_its_own_size_is_the_image_itself():
    full = torch.full((40,), 16.0)
    zero = torch.zeros(40)
    assert torch.equal(resized(images(), (zero, zero, full, full), still(40), (16, 16)), images())
    mirrored = resized(images(), (zero, zero, full, full), ~still(40), (16, 16))
    assert torch.equal(mirrored, images().flip(-1))


def test_a_resized_window_shows_what_it_covers():
    x = torch.zeros(1, 1, 20, 20, dtype=torch.uint8)
    x[:, :, 5:15, 10:20] = 255
    window = tuple(torch.tensor([value]) for value in (6.0, 11.0, 8.0, 8.0))
    assert resized(x, window, still(1), (4, 4)).min() == 255


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 40), st.integers(4, 40), st.floats(0.05, 1.0), st.integers(0, 99))
def test_windows_lie_inside_the_image_and_keep_their_share(rows, columns, smallest, seed):
    windows = draw_windows(30, (rows, columns), smallest, torch.Generator().manual_seed(seed))
    top, left, height, width = windows
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= rows + 1e-3).all()
    assert (left + width <= columns + 1e-3).all()
    assert (height * width >= smallest * rows * columns - 1e-2).all()


def test_a_larger_stored_image_is_cropped_to_the_size_of_the_model():
    stored = images(rows=20, columns=20)
    assert augmentation(crop="resized", flip=True)(stored, labels(), 0)[0].shape == (40, 3, 16, 16)
    centre, _ = augmentation()(stored, labels(), 0)
    assert torch.equal(centre, FIT.normalize(stored[:, :, 2:18, 2:18]))


def test_rectangles_and_grey_images_are_augmented_too():
    fit = Preprocessing(channels=1, height=12, width=20, mean=(0.5,), std=(0.25,))
    for crop in ("pad", "resized"):
        augment = augmentation(size=(12, 20), fit=fit, **{**EVERYTHING, "crop": crop})
        assert augment(images(40, 1, 12, 20), labels(), 0)[0].shape == (40, 1, 12, 20)


# --- erasing


def test_erasing_replaces_one_rectangle_of_some_images():
    x = torch.full((300, 3, 16, 16), 7.0)
    generator = torch.Generator().manual_seed(0)
    rectangles = draw_rectangles(300, (16, 16), 0.5, generator)
    result = erase(
        x.clone(), rectangles, torch.randn(int(rectangles[0].sum()), 3, 16, 16, generator=generator)
    )
    changed = (result != x).all(1)
    hit = changed.flatten(1).any(1)
    assert 110 < hit.sum() < 190
    for mask in changed[hit]:
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.all(), "not a rectangle"
        assert 0.01 < mask.float().mean() < 0.4
    noise = result[changed[:, None].expand_as(result)]
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05


def test_no_erasing_leaves_the_batch_alone():
    x = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(erase(x.clone(), draw_rectangles(8, (16, 16), 0.0, torch.Generator()), x[:0]), x)


# --- mixing


def test_without_mixing_the_labels_are_handed_back_unchanged():
    _, targets = augmentation(crop="pad", padding=2, flip=True, randaugment=1, erasing=0.3)(
        images(), labels(), 0
    )
    assert torch.equal(targets, labels())


def test_mixed_targets_are_probabilities_of_at_most_two_classes():
    augment = augmentation(mixup=1.0, cutmix=1.0)
    assert augment.mixes
    blended = False
    for step in range(10):
        _, targets = augment(images(), labels(), step)
        assert targets.shape == (40, 5)
        assert torch.allclose(targets.sum(1), torch.ones(40), atol=1e-6)
        assert ((targets > 0).sum(1) <= 2).all()
        blended = blended or bool(((targets > 0).sum(1) == 2).any())
    assert blended


def test_batches_that_are_not_mixed_have_whole_probabilities():
    augment = augmentation(mixup=1.0, mix_probability=0.5)
    whole = []
    for step in range(60):
        shown, targets = augment(images(), labels(), step)
        whole.append(torch.equal(shown, FIT.normalize(images())))
        if whole[-1]:
            assert torch.equal(targets.argmax(1), labels())
            assert torch.equal(targets.amax(1), torch.ones(40))
    assert 15 < sum(whole) < 45


def test_both_kinds_of_mixing_take_turns():
    augment = augmentation(mixup=1.0, cutmix=1.0)
    plain = FIT.normalize(images())
    kept = [(augment(images(), labels(), step)[0] == plain).float().mean().item() for step in range(40)]
    cut = [share > 0.02 for share in kept]  # cutmix keeps pixels as they were, mixup only equal ones
    assert 8 < sum(cut) < 32


# --- randomness


def test_equal_steps_give_equal_batches_and_others_do_not():
    augment = augmentation(**EVERYTHING)
    first, again, other = (augment(images(), labels(), step) for step in (7, 7, 8))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], augmentation(seed=1, **EVERYTHING)(images(), labels(), 7)[0])


@pytest.mark.parametrize("crop", [{"crop": "pad", "padding": 2}, {"crop": "resized"}])
@pytest.mark.parametrize(("batch", "size"), [(40, 2), (40, 8), (40, 40), (600, 3)])
def test_parts_of_a_batch_are_augmented_as_the_whole_batch_is(crop, batch, size):
    whole = augmentation(**EVERYTHING | crop)
    for step in (0, 3):
        shown, targets = whole(images(batch), labels(batch), step)
        for rank in range(size):
            shard = Shard(rank, size, before=whole.mixes)
            places = torch.from_numpy(shard.places(batch))
            augment = augmentation(**EVERYTHING | crop, shard=shard)
            own, own_targets = augment(images(batch)[places], labels(batch)[places], step)
            rows = places[shard.extra :]
            assert torch.equal(own, shown[rows])
            assert torch.equal(own_targets, targets[rows])


def test_the_random_state_of_others_is_neither_used_nor_moved():
    augment = augmentation(**EVERYTHING)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = augment(images(), labels(), 3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(augment(images(), labels(), 3)[0], first[0])


def test_augmenting_does_not_change_the_stored_images():
    x = images()
    augmentation(**EVERYTHING)(x, labels(), 0)
    augmentation()(x, labels(), 0)
    assert torch.equal(x, images())


def test_chunks_of_a_batch_draw_their_own_operations():
    same = images(1).expand(160, -1, -1, -1).contiguous()
    shown, _ = augmentation(randaugment=2, randaugment_magnitude=9)(same, labels(160), 0)
    assert len(torch.unique(shown.flatten(1), dim=0)) > 5


def test_without_any_option_the_batch_is_only_normalised():
    assert torch.equal(augmentation()(images(), labels(), 0)[0], FIT.normalize(images()))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"crop": "random"}, "crop is 'random'; pad, resized and none work"),
        ({"padding": 17}, "padding is 17; 0 to 16 works"),
        ({"randaugment_magnitude": 31}, "randaugment_magnitude is 31; 0 to 30 works"),
        ({"erasing": 1.5}, "erasing is 1.5; 0 to 1 works"),
        ({"mix_probability": -0.1}, "mix_probability is -0.1; 0 to 1 works"),
        ({"smallest_crop": 0}, "smallest_crop is 0; above 0 and up to 1 works"),
    ],
)
def test_a_number_out_of_its_range_is_named(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        augmentation(**options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_crops_flips_and_labels_as_the_cpu():
    options = {**EVERYTHING, "erasing": 0.0, "randaugment": 0}
    augment = augmentation(**options)
    here, there = augment(images(), labels(), 5), augment(images().cuda(), labels().cuda(), 5)
    assert torch.allclose(here[0], there[0].cpu(), atol=1e-5)
    assert torch.allclose(here[1], there[1].cpu(), atol=1e-6)
