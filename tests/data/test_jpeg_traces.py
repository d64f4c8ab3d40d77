"""JPEG leaves a comb in the cosine terms; nothing else does."""

import io

import numpy as np
import pytest
from PIL import Image

from vitreous.data.jpeg_traces import jpeg_traces


def _lumas(quality: int | None, shift: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    lumas = []
    for _ in range(60):
        small = random.integers(20, 236, (12, 12), dtype=np.uint8)
        image = Image.fromarray(small).resize((40, 40), Image.Resampling.BICUBIC)
        noisy = np.asarray(image) + random.normal(0, 4, (40, 40))
        image = Image.fromarray(np.clip(noisy, 5, 250).astype(np.uint8))
        if quality is not None:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=quality)
            image = Image.open(io.BytesIO(file.getvalue()))
        lumas.append(np.asarray(image)[shift:, shift:])
    return lumas


@pytest.mark.parametrize("quality", [30, 50, 75, 85, 90])
def test_the_quality_is_read_from_the_pixels(quality: int) -> None:
    found = jpeg_traces(_lumas(quality))
    assert found is not None and found.found and found.quality is not None
    assert abs(found.quality - quality) <= 2


def test_pictures_that_never_were_jpeg_have_no_comb() -> None:
    found = jpeg_traces(_lumas(None))
    assert found is not None and not found.found and found.score < 0.1


def test_a_shifted_grid_shows_nothing_so_cropped_copies_are_not_accused() -> None:
    found = jpeg_traces(_lumas(75, shift=1))
    assert found is not None and found.score < 0.1


def test_hard_edges_between_black_and_white_are_no_comb() -> None:
    random = np.random.default_rng(1)
    assert jpeg_traces([random.integers(0, 2, (32, 32)) * 255.0 for _ in range(99)]) is None


def test_too_few_blocks_give_no_answer() -> None:
    assert jpeg_traces(_lumas(75)[:3]) is None
    assert jpeg_traces([]) is None
    assert jpeg_traces([np.full((5, 5), 100.0)] * 500) is None
