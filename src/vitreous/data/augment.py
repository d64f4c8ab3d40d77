"""Augmentation of whole batches on the device, a function of (seed, step) alone.

crop and flip (`crop.py`) → RandAugment → normalise → random erasing (`erase.py`) → mixup or cutmix.

RandAugment, MixUp and CutMix are torchvision's v2 transforms. Its RandAugment draws one set of
operations for all that it is given, so the batch is cut into chunks and each chunk draws its own: more
variety than one draw a batch, and a few dozen calls instead of one an image.

torchvision draws from torch's global generator. It is seeded from (seed, "augment", step) inside
`fork_rng`, so the caller's state is neither used nor changed, and step 1,234 augments alike whether a
run came there from the start or from a checkpoint.
"""

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torchvision.transforms import v2

from vitreous.data.crop import draw_windows, resized, shifted
from vitreous.data.erase import erase
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.streams import stream_seed
from vitreous.errors import ConfigError

DRAWS = 16
"""Different draws of RandAugment's operations in a batch, and the fewest images that share one."""


class Augmentation:
    """What training does to a batch.

    Args:
        seed: seed of the run.
        size: rows and columns that the model takes.
        classes: number of classes.
        preprocessing: normalises; the one of the run.
        crop: `pad` shifts by up to `padding` pixels, `resized` scales a random window, `none` leaves the
            image, or its centre where it is stored larger.
        padding: pixels of the `pad` crop.
        smallest_crop: least share of the area of a `resized` crop, 0 to 1.
        flip: mirror half of the images left to right.
        randaugment: operations an image, 0 for none.
        randaugment_magnitude: strength, 0 to 30.
        erasing: probability of random erasing, 0 to 1.
        mixup: alpha of mixup, 0 for none.
        cutmix: alpha of cutmix, 0 for none.
        mix_probability: share of batches that are mixed.

    Raises:
        ConfigError: a value outside its range.
    """

    def __init__(
        self,
        *,
        seed: int,
        size: tuple[int, int],
        classes: int,
        preprocessing: Preprocessing,
        crop: str = "none",
        padding: int = 0,
        smallest_crop: float = 0.35,
        flip: bool = False,
        randaugment: int = 0,
        randaugment_magnitude: int = 5,
        erasing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        mix_probability: float = 1.0,
    ) -> None:
        if crop not in ("pad", "resized", "none"):
            raise ConfigError(f"recipe.crop is {crop!r}; pad, resized and none work")
        for name, value, most in (
            ("padding", padding, min(size)),
            ("randaugment", randaugment, 16),
            ("randaugment_magnitude", randaugment_magnitude, 30),
            ("erasing", erasing, 1),
            ("mixup", mixup, 100),
            ("cutmix", cutmix, 100),
            ("mix_probability", mix_probability, 1),
        ):
            if not 0 <= value <= most:
                raise ConfigError(f"recipe.{name} is {value}; 0 to {most} works")
        if not 0 < smallest_crop <= 1:
            raise ConfigError(f"recipe.smallest_crop is {smallest_crop}; above 0 and up to 1 works")
        self._seed = seed
        self._size = size
        self._preprocessing = preprocessing
        self._crop = crop
        self._padding = padding if crop == "pad" else 0
        self._smallest_crop = smallest_crop
        self._flip = flip
        self._erasing = erasing
        self._classes = classes
        self._mix_probability = mix_probability
        self._randaugment = (
            v2.RandAugment(num_ops=randaugment, magnitude=randaugment_magnitude) if randaugment else None
        )
        mixes = [
            kind(alpha=alpha, num_classes=classes)
            for kind, alpha in ((v2.MixUp, mixup), (v2.CutMix, cutmix))
            if alpha > 0
        ]
        self._mix = v2.RandomChoice(mixes) if mixes and mix_probability > 0 else None

    @property
    def mixes(self) -> bool:
        """Whether targets are probabilities (batch, classes) rather than labels (batch,)."""
        return self._mix is not None

    def __call__(
        self,
        images: UInt8[Tensor, "batch channels rows columns"],
        labels: Int64[Tensor, " batch"],
        step: int,
    ) -> tuple[
        Float32[Tensor, "batch channels height width"],
        Int64[Tensor, " batch"] | Float32[Tensor, "batch classes"],
    ]:
        """Augment the batch of a step.

        Args:
            images: as stored; on any device.
            labels: positions in the class map.
            step: which draw; equal steps give equal results, bit for bit.

        Returns:
            The images at the model's size, normalised, and the targets: the labels, or, where batches
            are mixed at all, probabilities.
        """
        seed = stream_seed(self._seed, "augment", step)
        with torch.random.fork_rng(devices=[]):
            generator = torch.default_generator.manual_seed(seed)
            images = self._cropped(images, generator)
            if self._randaugment is not None:
                chunks = images.split(max(DRAWS, -(-len(images) // DRAWS)))
                images = torch.cat([self._randaugment(chunk) for chunk in chunks])
            result = self._preprocessing.normalize(images)
            if self._erasing:
                noise = torch.Generator(result.device).manual_seed(seed)
                result = erase(result, self._erasing, generator, noise)
            if self._mix is None:
                return result, labels
            if torch.rand(()) < self._mix_probability:
                mixed: tuple[Tensor, Tensor] = self._mix(result, labels)
                return mixed
            return result, torch.nn.functional.one_hot(labels, self._classes).to(torch.float32)

    def _cropped(self, images: Tensor, generator: torch.Generator) -> Tensor:
        batch, device = len(images), images.device
        mirrored = (torch.rand(batch, generator=generator) < 0.5 * self._flip).to(device)
        if self._crop == "resized":
            stored = (images.shape[2], images.shape[3])
            windows = draw_windows(batch, stored, self._smallest_crop, generator)
            return resized(images, windows, mirrored, self._size)
        rows, columns = self._size
        top, left = (images.shape[2] - rows) // 2, (images.shape[3] - columns) // 2
        images = images[:, :, top : top + rows, left : left + columns]
        if not self._padding and not self._flip:
            return images
        offsets = torch.randint(2 * self._padding + 1, (2, batch), generator=generator).to(device)
        return shifted(images, offsets[0], offsets[1], mirrored, self._padding)
