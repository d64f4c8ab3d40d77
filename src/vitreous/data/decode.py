"""Any image file to 8-bit grey or RGB, upright: the one place where pixel formats are understood.

Transparent pixels are laid over white; 16-bit grey is scaled by 255/65535 (never stretched to the
image's own range, which would make brightness meaningless); CMYK goes through Pillow's conversion,
which undoes Adobe's inversion; EXIF orientation is applied; an animation gives its first frame.
Floating-point pixels are refused: nothing in the file says which value is white.
"""

import contextlib

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vitreous.errors import DataError

GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"}
MOST_PIXELS = 89_478_485
"""Larger images are refused; Pillow suspects a decompression bomb from here on."""


def upright(image: Image.Image) -> Image.Image:
    """Read all pixels of an opened image, turn it upright, and make it 8 bits: mode `L` or `RGB`.

    Raises:
        DataError: pixels that cannot be read, or that have no fixed meaning; says why, not where.
    """
    if image.width * image.height > MOST_PIXELS:
        raise DataError(f"{image.width}×{image.height} pixels, more than the {MOST_PIXELS:,} allowed")
    try:
        image.load()
        # an unreadable EXIF block is no reason to lose a readable image
        with contextlib.suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
        return _eight_bit(image)
    except DataError:
        raise
    except Exception as error:  # readers raise OSError, SyntaxError, struct.error, zlib.error and more
        raise DataError(why_unreadable(error)) from error


def why_unreadable(error: Exception) -> str:
    """What a reader's exception says, for the brackets of a message that names the file itself."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image format that Pillow knows"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return str(error) or type(error).__name__


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise DataError("floating-point pixels; save it with 8 or 16 bits a channel")
    if image.mode.startswith("I"):
        deep = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
        return Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))
    if image.has_transparency_data:
        grey = _is_grey(image)
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("L" if grey else "RGB")
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if _is_grey(image) else "RGB")


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in GREY_MODES


def to_channels(image: Image.Image, channels: int) -> Image.Image:
    """An `L` or `RGB` image with 1 or 3 channels (grey by Pillow's ITU-R 601 weights)."""
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)
