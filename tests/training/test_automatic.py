"""Every `auto`: its value, its reason, and what cannot be chosen."""

import dataclasses
import json
import math

import pytest

from vitreous.data.images import ImageData
from vitreous.data.scan import Scan
from vitreous.errors import ConfigError
from vitreous.models.as_json import to_json
from vitreous.models.catalog import config
from vitreous.training import automatic, choose_model
from vitreous.training.automatic import Reasons
from vitreous.training.machine import Machine, look_at_machine
from vitreous.training.recipe import Recipe
from vitreous.training.settings import Guidance, TrainSettings

AMX = Machine(cpu_bfloat16="amx", cpu_compiler=True, threads=2)
AVX = Machine(cpu_bfloat16="avx512", cpu_compiler=True, threads=2)
OLD = Machine(threads=2)
GPU = Machine(gpu="a GPU", gpu_bfloat16=True, gpu_compiler=True)
OLD_GPU = Machine(gpu="an old GPU")
APPLE = Machine(mps=True)


def data(
    height: int = 32, width: int = 32, channels: int = 3, classes: int = 10, writing: bool = False
) -> ImageData:
    names = tuple(str(each) for each in range(classes))
    scan = Scan({}, classes, (height,) * 3, (width,) * 3, channels, ("0", 1), ("0", 1))
    return ImageData(names, {}, "", scan, writing)


def settings(**changes) -> TrainSettings:
    return dataclasses.replace(TrainSettings(data=["x"]), **changes)


@pytest.mark.parametrize(
    ("machine", "device", "precision"),
    [
        (AMX, "cpu", "bfloat16"),
        (AVX, "cpu", "bfloat16"),
        (OLD, "cpu", "float32"),
        (GPU, "cuda", "bfloat16"),
        (OLD_GPU, "cuda", "float32"),
        (APPLE, "mps", "float32"),
    ],
)
def test_device_and_precision_are_the_fastest_that_the_machine_has(machine, device, precision):
    reasons = Reasons()
    assert automatic.choose_device(settings(), machine, reasons) == device
    assert automatic.choose_precision(settings(), device, machine, reasons) == precision
    assert all(reasons.sentences[name] for name in ("device", "precision"))


def test_a_device_that_is_not_there_is_an_error_that_says_what_is():
    with pytest.raises(ConfigError, match="'cuda' is not on this machine; cpu works"):
        automatic.choose_device(settings(device="cuda"), OLD, Reasons())
    with pytest.raises(ConfigError, match="device 'gpu' is unknown; cpu, cuda"):
        automatic.choose_device(settings(device="gpu"), OLD, Reasons())


def test_float16_needs_cuda():
    with pytest.raises(ConfigError, match=r"float16 needs a CUDA device.*bfloat16"):
        automatic.choose_precision(settings(precision="float16"), "cpu", AMX, Reasons())


@pytest.mark.parametrize(
    ("machine", "device", "seconds", "side", "compiled"),
    [
        (AMX, "cpu", 3600, 224, True),
        (AMX, "cpu", 3600, 32, False),
        (AMX, "cpu", 60, 224, False),
        (AVX, "cpu", 3600, 224, False),
        (GPU, "cuda", 3600, 32, True),
        (GPU, "cuda", 60, 32, False),
        (OLD_GPU, "cuda", 3600, 224, False),
    ],
)
def test_compiling_is_chosen_where_it_pays_back(machine, device, seconds, side, compiled):
    chosen = automatic.choose_compile(settings(), device, "bfloat16", seconds, side, machine, Reasons())
    assert chosen is compiled


def test_compiling_without_a_compiler_is_an_error():
    with pytest.raises(ConfigError, match="needs a C\\+\\+ compiler"):
        automatic.choose_compile(settings(compile=True), "cpu", "float32", 10, 32, OLD, Reasons())


@pytest.mark.parametrize(
    ("size", "device", "model", "pixels"),
    [
        ((8, 8), "cpu", "eit_digits", (8, 8)),
        ((24, 24), "cpu", "eit_small_image", (24, 24)),
        ((28, 28), "cpu", "hybrid_1m", (28, 28)),
        ((32, 32), "cuda", "hybrid_1m", (32, 32)),
        ((47, 50), "cpu", "hybrid_1m", (48, 48)),
        ((500, 375), "cpu", "hybrid_1m", (64, 64)),
        ((500, 375), "cuda", "eit_mini", (224, 224)),
    ],
)
def test_the_model_and_its_image_size_follow_the_images(size, device, model, pixels):
    reasons = Reasons()
    chosen = choose_model.choose_model(settings(), data(*size), device, reasons)
    assert (chosen.name, (chosen.image.height, chosen.image.width)) == (model, pixels)
    assert str(size[0]) in reasons.sentences["model"]


def test_a_guide_gets_a_model_with_three_layers_to_lead():
    guided = settings(guidance=Guidance(teacher="cnn"))
    assert choose_model.choose_model(guided, data(32, 32), "cpu", Reasons()).name == "eit_small_image"


def test_channels_and_classes_follow_the_data():
    chosen = choose_model.choose_model(settings(), data(channels=1, classes=7), "cpu", Reasons())
    assert (chosen.image.channels, chosen.classes) == (1, 7)


def test_small_images_for_a_large_model_are_enlarged_and_it_is_said():
    reasons = Reasons()
    chosen = choose_model.choose_model(settings(model="eit_mini"), data(32, 32), "cpu", reasons)
    assert chosen.image.height == 224
    assert "32 px are enlarged; hybrid_1m" in reasons.sentences["image_size"]


@pytest.mark.parametrize(
    ("given", "expected"), [(32, (32, 32)), ("32", (32, 32)), ("48x64", (48, 64)), ("auto", None)]
)
def test_image_sizes_are_numbers_or_rows_times_columns(given, expected):
    assert choose_model.parse_image_size(given) == expected


@pytest.mark.parametrize("given", ["large", "32x", "0", "3x3x3", -4])
def test_what_is_no_image_size_is_an_error_with_examples(given):
    with pytest.raises(ConfigError, match="48x64"):
        choose_model.parse_image_size(given)


def test_a_described_model_is_taken_as_it_is_and_must_fit_the_data(tmp_path):
    described = config("eit_small_image", image_size=32, classes=10, depth=2)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(to_json(described)))
    assert choose_model.choose_model(settings(model=str(file)), data(), "cpu", Reasons()) == described
    with pytest.raises(ConfigError, match="10 classes and the data 3"):
        choose_model.choose_model(settings(model=str(file)), data(classes=3), "cpu", Reasons())
    with pytest.raises(ConfigError, match=r"nowhere\.json cannot be read"):
        choose_model.choose_model(settings(model="nowhere.json"), data(), "cpu", Reasons())


def test_fewer_than_16_tokens_are_warned_of_with_a_size_that_gives_enough():
    sentence = choose_model.token_warning(config("eit_mini", image_size=32))
    assert sentence is not None
    assert "2×2 = 4 tokens" in sentence or "3×3 = 9 tokens" in sentence
    size = int(sentence.split("--image-size ")[1].split(",")[0])
    assert choose_model.token_warning(config("eit_mini", image_size=size)) is None
    assert choose_model.token_warning(config("eit_small_image", image_size=32)) is None


@pytest.mark.parametrize(
    ("images", "device", "expected"),
    [(1211, "cpu", 64), (45_000, "cpu", 128), (45_000, "cuda", 512), (200, "cpu", 16), (9, "cpu", 9)],
)
def test_the_batch_gives_about_twenty_steps_an_epoch_within_limits(images, device, expected):
    small = config("eit_small_image", image_size=32)
    assert automatic.choose_batch_size(settings(), images, small, device, Reasons()) == (expected, None)


def test_a_batch_larger_than_the_data_is_reduced_and_it_is_said():
    small = config("eit_small_image", image_size=32)
    size, said = automatic.choose_batch_size(settings(batch_size=64), 40, small, "cpu", Reasons())
    assert size == 40
    assert said == "batch size 64 is more than the 40 training images; using 40"


def test_a_batch_that_does_not_divide_into_its_parts_is_an_error_that_names_one_that_does():
    asked = settings(batch_size=50, recipe=Recipe(accumulate=4))
    with pytest.raises(ConfigError, match=r"batch size 50 does not divide into 4.*48 does"):
        automatic.choose_batch_size(asked, 1000, config("eit_small_image"), "cpu", Reasons())


def test_the_learning_rate_grows_with_the_root_of_the_batch():
    chosen = [automatic.choose_lr(settings(), size, Reasons()) for size in (16, 32, 64, 512)]
    assert chosen == pytest.approx([1e-3, 1.4e-3, 2e-3, 2e-3])
    with pytest.raises(ConfigError, match="1e-3 works"):
        automatic.choose_lr(settings(lr=0.0), 32, Reasons())


def test_a_recipe_may_scale_the_rate_with_the_batch():
    reasons = Reasons()
    published = settings(recipe=Recipe(lr_per_512=5e-4))
    assert automatic.choose_lr(published, 1024, reasons) == 1e-3
    assert reasons.sentences == {"lr": "0.0005 × 1024/512, linear"}


@pytest.mark.parametrize(
    ("images", "device"), [(50, "cpu"), (1211, "cpu"), (45_000, "cpu"), (45_000, "cuda")]
)
def test_epochs_fall_with_the_root_of_the_images_within_10_to_300(images, device):
    epochs = automatic.choose_epochs(settings(), images, device, Reasons())
    scale = {"cpu": 2500, "cuda": 12500}[device]
    assert epochs == min(300, max(10, round(scale / math.sqrt(images))))


def test_writing_is_never_mirrored_and_small_images_are_padded_by_an_eighth():
    small = config("eit_small_image", image_size=32)
    chosen = automatic.choose_recipe(Recipe(), small, data(writing=True), Reasons())
    assert (chosen.crop, chosen.padding, chosen.flip) == ("pad", 4, False)
    large = config("eit_mini", image_size=224)
    chosen = automatic.choose_recipe(Recipe(), large, data(500, 375), Reasons())
    assert (chosen.crop, chosen.flip) == ("resized", True)


@pytest.mark.parametrize("steps", [1, 19, 20, 2000, 1_000_000])
def test_the_average_covers_a_twentieth_of_the_run(steps):
    decay = automatic.choose_by_length(Recipe(), steps, 10, Reasons()).ema_decay
    assert 0 <= decay < 1
    assert 1 / (1 - decay) == pytest.approx(max(1, steps // 20), rel=0.1)


@pytest.mark.parametrize(
    ("changed", "steps", "share"),
    [
        ({}, 99, 0.0),
        ({}, 100, 0.5),
        ({"mix_probability": 0.3}, 5, 0.3),
        ({"mix_probability": 0.0}, 5000, 0.0),
    ],
)
def test_images_are_mixed_where_they_are_seen_ten_times(changed, steps, share):
    reasons = Reasons()
    assert automatic.choose_by_length(Recipe(**changed), steps, 10, reasons).mix_probability == share
    assert ("passes" in reasons.sentences["recipe.mix_probability"]) is not bool(changed)


def test_given_values_are_kept_and_marked_as_given():
    reasons = Reasons()
    assert automatic.choose_lr(settings(lr=0.01), 64, reasons) == 0.01
    assert reasons.sentences == {"lr": "as given"}


def test_this_machine_can_be_looked_at():
    assert look_at_machine().threads >= 1
