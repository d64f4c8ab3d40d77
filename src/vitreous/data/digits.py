"""scikit-learn's handwritten digits: the data set that is always there (1,797 images, 8×8, grey).

Grey values 0 to 16 become 0 to 255. The test split is a fixed stratified quarter (seed 0), so that
numbers on it compare between runs and with other software on the same split. Source: E. Alpaydin and
C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, by way of scikit-learn.
"""

import numpy as np
from PIL import Image

from vitreous.data.records import Source


class DigitRecords:
    """Some of the digits, by their number in scikit-learn's list."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, numbers: np.ndarray, part: str) -> None:
        self.names = tuple(str(digit) for digit in range(10))
        self.labels = labels.astype(np.int64)
        self.stamp = self.identity = f"scikit-learn digits {part}"
        self._pixels = pixels  # uint8 (n, 8, 8)
        self._numbers = numbers

    def key(self, i: int) -> str:
        """Number in scikit-learn's list."""
        return f"digit {self._numbers[i]}"

    def where(self, i: int) -> str:
        """The same for a message."""
        return f"scikit-learn digits, image {self._numbers[i]}"

    def open(self, i: int) -> Image.Image:
        """8×8 greyscale."""
        return Image.fromarray(self._pixels[i])


def digits() -> Source:
    """Train (1,347 images) and test (450)."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    train, test = train_test_split(
        np.arange(len(pixels)), test_size=0.25, stratify=bunch.target, random_state=0
    )
    parts = {
        part: DigitRecords(pixels[numbers], bunch.target[numbers], numbers, part)
        for part, numbers in (("train", np.sort(train)), ("test", np.sort(test)))
    }
    return Source(parts=dict(parts), writing=True)
