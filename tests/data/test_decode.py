import io

import numpy as np
import pytest
from PIL import Image

from tests.data.samples import encoded, picture
from vitreous.data.decode import MOST_PIXELS, to_channels, upright
from vitreous.errors import DataError


def reopened(image: Image.Image, kind: str, **options: object) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(file)


def test_grey_and_colour_stay_as_they_are():
    grey, colour = picture(0, mode="L"), picture(1)
    assert upright(reopened(grey, "PNG")).tobytes() == grey.tobytes()
    assert upright(reopened(colour, "PNG")).tobytes() == colour.tobytes()


def test_a_palette_image_is_looked_up():
    image = picture(0).quantize(16)
    read = upright(reopened(image, "PNG"))
    assert read.mode == "RGB"
    assert read.tobytes() == image.convert("RGB").tobytes()


def test_a_palette_of_greys_is_a_grey_image():
    image = Image.frombytes("P", (8, 8), bytes(range(64)))
    image.putpalette([value for grey in range(256) for value in (255 - grey,) * 3])
    read = upright(reopened(image, "PNG"))
    assert read.mode == "L"
    assert read.getpixel((1, 0)) == 254


def test_transparent_pixels_are_laid_over_white():
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    image.putpixel((1, 0), (10, 20, 30, 0))
    read = upright(reopened(image, "PNG"))
    assert [read.getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (255, 255, 255)]


def test_a_transparent_palette_entry_is_white():
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 200, 0, 0] + [0] * 762)
    image.putpixel((1, 0), 1)
    for transparency in (0, bytes([0, 255])):
        read = upright(reopened(image, "PNG", transparency=transparency))
        assert [read.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (200, 0, 0)]


def test_grey_with_transparency_stays_grey():
    image = Image.new("LA", (2, 1), (40, 255))
    image.putpixel((1, 0), (40, 0))
    read = upright(reopened(image, "PNG"))
    assert read.mode == "L"
    assert [read.getpixel((x, 0)) for x in (0, 1)] == [40, 255]


def test_sixteen_bit_grey_is_scaled_and_not_cut_off():
    values = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        read = upright(reopened(Image.fromarray(values), kind))
        assert read.mode == "L"
        assert list(read.tobytes()) == [0, 1, 128, 255]


def test_one_bit_is_black_and_white():
    read = upright(reopened(Image.fromarray(np.array([[True, False]])), "PNG"))
    assert (read.mode, list(read.tobytes())) == ("L", [255, 0])


def test_print_colours_become_screen_colours():
    image = Image.merge("CMYK", [Image.new("L", (8, 8), value) for value in (255, 0, 0, 0)])  # pure cyan
    for kind in ("JPEG", "TIFF"):
        red, green, blue = np.asarray(upright(reopened(image, kind))).mean((0, 1))
        assert red < 10
        assert min(green, blue) > 245


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (1, 0)), (3, (1, 2)), (4, (0, 2)), (5, (0, 0)), (6, (2, 0)), (7, (2, 1)), (8, (0, 1))],
)
def test_exif_orientation_is_applied(orientation, corner):
    stored = Image.new("L", (2, 3), 0)
    stored.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = upright(reopened(stored, "PNG", exif=exif))
    assert read.size == ((2, 3) if orientation < 5 else (3, 2))
    assert read.getpixel(corner) == 255
    assert upright(read).getpixel(corner) == 255, "turned twice"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_does_not_lose_the_image():
    read = upright(reopened(picture(0), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12"))
    assert read.size == (8, 8)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("L", (4, 4), value) for value in (10, 200)]
    read = upright(reopened(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert read.getpixel((0, 0)) in (10, (10, 10, 10))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_a_truncated_file_is_an_error_and_not_half_an_image(kind):
    whole = encoded(picture(0, (64, 64)), kind)
    with pytest.raises((DataError, OSError)):  # some formats are refused on opening
        upright(Image.open(io.BytesIO(whole[: len(whole) * 2 // 3])))


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    image = Image.new("L", (8, 8))
    monkeypatch.setattr("vitreous.data.decode.MOST_PIXELS", 63)
    assert MOST_PIXELS == Image.MAX_IMAGE_PIXELS
    with pytest.raises(DataError, match="8×8 pixels, more than the 63 allowed"):
        upright(image)


def test_floating_point_pixels_are_refused_with_what_works():
    with pytest.raises(DataError, match="save it with 8 or 16 bits a channel"):
        upright(reopened(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF"))


def test_channels_are_added_or_merged():
    assert to_channels(picture(0, mode="L"), 3).mode == "RGB"
    assert to_channels(picture(0), 1).mode == "L"
