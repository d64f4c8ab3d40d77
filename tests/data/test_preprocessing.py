import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.samples import encoded, picture
from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError, DataError

COLOUR = Preprocessing(channels=3, height=8, width=8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def test_an_image_of_the_right_size_passes_untouched():
    image = picture(0)
    for crop_share in (1.0, 0.875):
        fitted = dataclasses.replace(COLOUR, crop_share=crop_share).to_uint8(image.copy())
        assert torch.equal(fitted.permute(1, 2, 0), torch.from_numpy(np.array(image)))


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (3, 5), (8, 9)])
@pytest.mark.parametrize("target", [(8, 8), (6, 10)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_fits_any_target(size, target, channels):
    fit = Preprocessing(
        channels=channels, height=target[0], width=target[1], mean=(0.5,) * channels, std=(0.5,) * channels
    )
    assert fit.to_uint8(picture(0, size)).shape == (channels, *target)


def test_the_middle_is_kept_and_not_squeezed():
    image = Image.new("L", (40, 20), 0)
    image.paste(255, (10, 0, 30, 20))  # the middle square is white
    fit = Preprocessing(channels=1, height=8, width=8, mean=(0.5,), std=(0.5,))
    assert fit.to_uint8(image)[0, :, 1:-1].min() > 250  # the outermost columns blend with their neighbours


def test_crop_share_leaves_out_the_border():
    image = Image.new("L", (64, 64), 0)
    image.paste(255, (8, 8, 56, 56))
    fit = Preprocessing(channels=1, height=8, width=8, mean=(0.5,), std=(0.5,), crop_share=0.75)
    assert fit.to_uint8(image.copy()).min() > 200  # the outermost pixels blend with their neighbours
    assert dataclasses.replace(fit, crop_share=1.0).to_uint8(image.copy()).min() < 10


def test_shrinking_averages_instead_of_skipping():
    stripes = Image.fromarray(np.tile(np.array([[0, 255]], np.uint8), (64, 32)))
    fit = Preprocessing(channels=1, height=8, width=8, mean=(0.5,), std=(0.5,))
    inside = fit.to_uint8(stripes)[0, :, 1:-1].float()
    assert (inside - 127.5).abs().max() < 3


def test_normalising_is_the_textbook_formula():
    images = torch.randint(
        0, 256, (4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (COLOUR.mean, COLOUR.std))
    expected = (images.double() / 255 - mean) / std
    result = COLOUR.normalize(images)
    assert result.dtype == torch.float32
    assert (result - expected).abs().max() < 1e-6


def test_json_round_trip_is_exact():
    assert Preprocessing.from_json(json.loads(json.dumps(COLOUR.to_json()))) == COLOUR


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"heigth": 3}, "unknown key 'heigth'; did you mean height"),
        ({"height": 3.5}, "height is 3.5; a whole number works"),
        ({"height": True}, "height is True"),
        ({"mean": "grey"}, "mean and std are lists of numbers"),
        ({"mean": [0.5]}, "mean has 1 values for 3 channels"),
        ({"std": [0.5, 0, 0.5]}, "every value must be above 0"),
        ({"interpolation": "best"}, "bicubic, bilinear and nearest work"),
        ({"crop_share": 1.5}, "above 0 and up to 1 works"),
        ({"crop_share": "all"}, "crop_share is 'all'"),
        ({"channels": 2}, "channels is 2; 1 and 3 work"),
    ],
)
def test_a_stored_value_that_does_not_fit_is_named(change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Preprocessing.from_json(COLOUR.to_json() | change)


def test_a_stored_value_that_is_missing_is_named():
    values = COLOUR.to_json()
    del values["std"]
    with pytest.raises(ConfigError, match="missing std"):
        Preprocessing.from_json(values)


def test_path_image_array_and_tensor_give_the_same_pixels(tmp_path):
    image = picture(0, (12, 10))
    image.save(tmp_path / "a.png")
    array = np.array(image)
    expected = COLOUR.load(image)
    assert torch.equal(COLOUR.load(tmp_path / "a.png"), expected)
    assert torch.equal(COLOUR.load(str(tmp_path / "a.png")), expected)
    assert torch.equal(COLOUR.load(array), expected)
    assert torch.equal(COLOUR.load(array.astype(np.float32) / 255), expected)
    assert torch.equal(COLOUR.load(torch.from_numpy(array).permute(2, 0, 1)), expected)
    assert torch.equal(COLOUR.load(array.astype(np.uint16) * 257), expected)


def test_a_grey_array_serves_a_colour_model():
    pixels = COLOUR.load(np.full((8, 8), 7, np.uint8))
    assert pixels.shape == (3, 8, 8)
    assert (pixels == 7).all()


def test_loading_leaves_the_given_image_alone():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    picture(0, (8, 4)).save(file, "JPEG", exif=exif)
    image = Image.open(file)
    COLOUR.load(image)
    assert image.size == (8, 4)
    assert image.getexif()[0x0112] == 6


def test_what_cannot_be_loaded_is_named(tmp_path):
    whole = encoded(picture(0, (64, 64)), "JPEG")
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(DataError, match=r"half\.jpg: cannot be read as an image"):
        COLOUR.load(tmp_path / "half.jpg")
    with pytest.raises(DataError, match=r"text\.png: cannot be read as an image \(not an image format"):
        COLOUR.load(tmp_path / "text.png")
    with pytest.raises(DataError, match=r"none\.png: cannot be read as an image \(no such file\)"):
        COLOUR.load(tmp_path / "none.png")
    with pytest.raises(DataError, match="cannot be read"):
        COLOUR.load(Image.open(io.BytesIO(whole[: len(whole) // 2])))


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((2, 2, 2), np.uint8), r"shape \(2, 2, 2\) is no image"),
        (np.zeros((2, 2), np.int64), "pixels of type int64"),
        (np.full((2, 2), 2.0), "outside 0..1"),
        (np.full((2, 2), np.nan), "outside 0..1"),
    ],
)
def test_an_array_that_is_no_image_is_refused(array, sentence):
    with pytest.raises(DataError, match=sentence):
        COLOUR.load(array)
