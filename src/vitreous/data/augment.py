"""Augmentation of whole batches on the device, a function of (seed, step, place in the batch) alone.

crop and flip (`crop.py`) → RandAugment → normalise → random erasing (`erase.py`) → mixup or cutmix.

RandAugment, MixUp and CutMix are torchvision's v2 transforms (timm's increasing RandAugment:
`increasing_augment.py`). RandAugment draws one set of
operations for all that it is given, so the batch is cut into chunks and each chunk draws its own: more
variety than one draw a batch, and a few dozen calls instead of one an image.

torchvision draws from torch's global generator. It is seeded from (seed, "augment", step) inside
`fork_rng`, so the caller's state is neither used nor changed, and step 1,234 augments alike whether a
run came there from the start or from a checkpoint.

Of several processes each augments its rows of the batch as one process would: crops, flips and rectangles
are drawn for the whole batch (a few numbers an image) and its own are taken out; each chunk has a seed of its
own, for the operations and for the noise that fills rectangles; mixing draws once a batch and reaches one
image back, which is handed in too (`shard.py`).
"""

import copy
import itertools
from collections.abc import Iterator

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torchvision.transforms import v2

from vitreous.data.crop import draw_windows, resized, shifted
from vitreous.data.erase import draw_rectangles, erase
from vitreous.data.increasing_augment import IncreasingRandAugment
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.shard import Shard
from vitreous.data.streams import stream_seed
from vitreous.errors import ConfigError

DRAWS = 16
"""Different draws of RandAugment's operations in a batch, and the fewest images that share one."""
CROPS, RECTANGLES, MIXING, CHUNKS = 0, 1, 2, 3  # added to the seed of a step; chunk k is CHUNKS + k


class Augmentation:
    """What training does to a batch.

    Args:
        seed: seed of the run.
        size: rows and columns that the model takes.
        classes: number of classes, or columns of what is mixed in place of labels.
        preprocessing: normalises; the one of the run.
        crop: `pad` shifts by up to `padding` pixels, `resized` scales a random window, `none` leaves the
            image, or its centre where it is stored larger.
        padding: pixels of the `pad` crop.
        smallest_crop: least share of the area of a `resized` crop, 0 to 1.
        flip: mirror half of the images left to right.
        randaugment: operations an image, 0 for none.
        randaugment_magnitude: strength, 0 to 30.
        randaugment_set: `plain` is torchvision's, `increasing` timm's.
        randaugment_std: standard deviation of the strength of the `increasing` set.
        erasing: probability of random erasing, 0 to 1.
        mixup: alpha of mixup, 0 for none.
        cutmix: alpha of cutmix, 0 for none.
        mix_probability: share of batches that are mixed.
        mix_steps: batches are mixed up to this step; None for all.
        shard: which rows of the batches are handed in; all of them by default. Where batches are mixed, the
            image before comes first.

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
        randaugment_set: str = "plain",
        randaugment_std: float = 1.5,
        erasing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        mix_probability: float = 1.0,
        mix_steps: int | None = None,
        shard: Shard | None = None,
    ) -> None:
        if crop not in ("pad", "resized", "none"):
            raise ConfigError(f"recipe.crop is {crop!r}; pad, resized and none work")
        for name, value, most in (
            ("padding", padding, min(size)),
            ("randaugment", randaugment, 16),
            ("randaugment_magnitude", randaugment_magnitude, 30),
            ("randaugment_std", randaugment_std, 30),
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
        self._shard = shard or Shard()
        self._size = size
        self._preprocessing = preprocessing
        self._crop = crop
        self._padding = padding if crop == "pad" else 0
        self._smallest_crop = smallest_crop
        self._flip = flip
        self._erasing = erasing
        self._classes = classes
        self._mix_probability = mix_probability
        self._mix_steps = mix_steps
        self._randaugment: v2.RandAugment | None = None
        if randaugment and randaugment_set == "increasing":
            self._randaugment = IncreasingRandAugment(randaugment, randaugment_magnitude, randaugment_std)
        elif randaugment:
            self._randaugment = v2.RandAugment(num_ops=randaugment, magnitude=randaugment_magnitude)
        mixes = [
            kind(alpha=alpha, num_classes=classes)
            for kind, alpha in ((v2.MixUp, mixup), (v2.CutMix, cutmix))
            if alpha > 0
        ]
        self._mixes = v2.RandomChoice(mixes) if mixes else None

    @property
    def mixes(self) -> bool:
        """Whether targets are probabilities (batch, classes) rather than labels (batch,)."""
        return self._mix is not None

    def mixing_at(self, probability: float) -> "Augmentation":
        """The same with another share of mixed batches, of which there are none without mixup and cutmix."""
        other = copy.copy(self)
        other._mix_probability = probability
        return other

    @property
    def _mix(self) -> v2.RandomChoice | None:
        return self._mixes if self._mix_probability > 0 else None

    def __call__(
        self,
        images: UInt8[Tensor, "batch channels rows columns"],
        labels: Int64[Tensor, " batch"],
        step: int,
    ) -> tuple[
        Float32[Tensor, "own channels height width"],
        Int64[Tensor, " own"] | Float32[Tensor, "own classes"],
    ]:
        """Augment the batch of a step.

        Args:
            images: as stored; on any device. This process's rows of the batch, after `Shard.extra` ones that
                only mixing needs.
            labels: positions in the class map; or floats (batch, classes), mixed as probabilities are.
            step: which draw; equal steps give equal results, bit for bit.

        Returns:
            The images at the model's size, normalised, and the targets: the labels, or, where batches
            are mixed at all, probabilities.
        """
        whole = (len(images) - self._shard.extra) * self._shard.size
        places = torch.from_numpy(self._shard.places(whole))
        seed = stream_seed(self._seed, "augment", step)
        with torch.random.fork_rng(devices=[]):
            images = self._cropped(images, places, seed)
            if self._randaugment is not None:
                images = self._operated(images, places, seed)
            result = self._preprocessing.normalize(images)
            if self._erasing:
                result = self._erased(result, places, seed)
            return self._mixed(result, labels, seed, mixing=self._mix_steps is None or step < self._mix_steps)

    def _cropped(self, images: Tensor, places: Tensor, seed: int) -> Tensor:
        generator, batch, device = _seeded(seed, CROPS), self._whole(places), images.device
        mirrored = (torch.rand(batch, generator=generator) < 0.5 * self._flip)[places].to(device)
        if self._crop == "resized":
            stored = (images.shape[2], images.shape[3])
            top, left, height, width = draw_windows(batch, stored, self._smallest_crop, generator)
            windows = (top[places], left[places], height[places], width[places])
            return resized(images, windows, mirrored, self._size)
        rows, columns = self._size
        top_row, first = (images.shape[2] - rows) // 2, (images.shape[3] - columns) // 2
        images = images[:, :, top_row : top_row + rows, first : first + columns]
        if not self._padding and not self._flip:
            return images
        offsets = torch.randint(2 * self._padding + 1, (2, batch), generator=generator)[:, places].to(device)
        return shifted(images, offsets[0], offsets[1], mirrored, self._padding)

    def _operated(self, images: Tensor, places: Tensor, seed: int) -> Tensor:
        assert self._randaugment is not None
        done = []
        for chunk, inside in self._chunks(places):
            _seeded(seed, CHUNKS + chunk)
            done.append(self._randaugment(images[inside]))
        return torch.cat(done)

    def _erased(self, images: Tensor, places: Tensor, seed: int) -> Tensor:
        shape = (images.shape[2], images.shape[3])
        hit, box = draw_rectangles(self._whole(places), shape, self._erasing, _seeded(seed, RECTANGLES))
        generator, length = torch.Generator(images.device), self._chunk_length(places)
        noise = []
        for chunk, inside in self._chunks(places):
            of_chunk = hit[chunk * length : (chunk + 1) * length]
            own = places[inside] - chunk * length
            own = own[of_chunk[own]]
            if len(own):  # all of the chunk's, as every process that has a part of it draws them
                generator.manual_seed((seed + CHUNKS + chunk) % 2**63)
                size = (int(of_chunk.sum()), *images.shape[1:])
                drawn = torch.randn(size, generator=generator, device=images.device, dtype=images.dtype)
                noise.append(drawn[(of_chunk.cumsum(0) - 1)[own].to(images.device)])
        filling = torch.cat(noise) if noise else images[:0]
        return erase(images, (hit[places], box[:, places]), filling)

    def _mixed(self, images: Tensor, labels: Tensor, seed: int, *, mixing: bool) -> tuple[Tensor, Tensor]:
        extra = self._shard.extra
        if self._mix is None:
            return images[extra:], labels[extra:]
        _seeded(seed, MIXING)
        if torch.rand(()) < self._mix_probability and mixing:
            images, targets = self._mix(images, labels)
        elif labels.ndim == 2:
            targets = labels
        else:
            targets = torch.nn.functional.one_hot(labels, self._classes).to(torch.float32)
        return images[extra:], targets[extra:]

    def _whole(self, places: Tensor) -> int:
        """Images of the whole batch."""
        return (len(places) - self._shard.extra) * self._shard.size

    def _chunk_length(self, places: Tensor) -> int:
        return max(DRAWS, -(-self._whole(places) // DRAWS))

    def _chunks(self, places: Tensor) -> Iterator[tuple[int, slice]]:
        """Number of each chunk of the batch that images are handed in of, and where they lie."""
        numbers = (places // self._chunk_length(places)).tolist()
        edges = [0, *(i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1]), len(numbers)]
        for first, last in itertools.pairwise(edges):
            yield numbers[first], slice(first, last)


def _seeded(seed: int, which: int) -> torch.Generator:
    """torch's global generator, at the start of one of a step's draws."""
    return torch.default_generator.manual_seed((seed + which) % 2**63)
