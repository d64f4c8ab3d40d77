"""Which model at which image size: the given one, or one that fits the images.

    up to 16 px   eit_digits
    up to 24 px   eit_small_image
    up to 96 px   hybrid_1m; eit_small_image where a guide leads three layers
    beyond        eit_mini on a GPU, hybrid_1m at 64 px on a CPU

A model that is given as a value is never changed: where it does not fit the data, that is said. Ours.
"""

import math

from vitreous.data.images import ImageData
from vitreous.errors import ConfigError
from vitreous.interop.pretrained import Pretrained
from vitreous.models.catalog import config as catalog_config
from vitreous.models.described import fitted, read
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.training.automatic import Reasons
from vitreous.training.settings import TrainSettings

FEWEST_TOKENS = 16
FEWEST_PIXELS_OF_HYBRIDS = 25  # three halvings leave 4 × 4 tokens, of 24 pixels 3 × 3


def choose_model(
    settings: TrainSettings,
    data: ImageData,
    device: str,
    reasons: Reasons,
    pretrained: Pretrained | None = None,
) -> VisionTransformer:
    """The model at the image size, with the classes and channels of the data.

    With `pretrained` and without a model, the pretrained one.

    Raises:
        ConfigError: unknown model, or a size that does not fit it.
    """
    scan = data.scan
    side = min(scan.heights[1], scan.widths[1])
    found = f"the images are {scan.heights[1]}×{scan.widths[1]} (median)"
    asked_size = parse_image_size(settings.image_size)
    if pretrained is not None and settings.model == "auto":
        image = pretrained.config.image
        reasons.sentences["model"] = "the pretrained one"
        reasons.sentences["image_size"] = "the pretrained model's" if asked_size is None else "as given"
        return fitted(
            pretrained.config,
            image_size=asked_size or (image.height, image.width),
            classes=len(data.classes),
            channels=scan.channels,
        )
    described = read(settings.model)
    if described is not None:
        return _check_described(
            described, settings.model, asked_size, len(data.classes), scan.channels, reasons
        )

    def automatic_model() -> tuple[str, str]:
        pixels = side if asked_size is None else min(asked_size)
        why = found if asked_size is None else f"for {pixels} px"
        if pixels <= 16:
            return "eit_digits", f"{why}: made for 8 to 16 px"
        if pixels < FEWEST_PIXELS_OF_HYBRIDS:
            return "eit_small_image", f"{why}: takes small images as they are"
        if pixels <= 96 and settings.guidance.teacher is not None:
            return "eit_small_image", f"{why}, and a guide leads three layers"
        if pixels <= 96:
            return "hybrid_1m", f"{why}: learns small images fastest of what we measured"
        if device == "cpu" and asked_size is None:
            return "hybrid_1m", f"{found}, but at 224 px a CPU would train for days"
        return "eit_mini", f"{why}: the smallest EIT for large images"

    name = reasons.choose("model", settings.model, automatic_model)
    known = catalog_config(name, classes=len(data.classes), channels=scan.channels)

    def automatic_size() -> tuple[tuple[int, int], str]:
        native = known.image.height
        if native > 96:  # a model for photographs: its own size
            larger = f" (images of {side} px are enlarged; hybrid_1m takes them as they are)"
            return (native, native), f"the size that {name} is made for" + (larger if side <= 96 else "")
        if native <= 16:
            return (min(side, 16),) * 2, f"{found}; {name} is made for 8 to 16"
        if side > 96:
            return (64, 64), f"{found}; 64 px keeps {name} affordable, --image-size 96 sees more"
        fitting = max(16, round(side / 4) * 4)
        return (fitting, fitting), found if fitting == side else f"{found}, rounded to a multiple of 4"

    size = asked_size
    if size is None:
        size, reasons.sentences["image_size"] = automatic_size()
    else:
        reasons.sentences["image_size"] = "as given"
    reasons.sentences["channels"] = (
        "all images are greyscale" if scan.channels == 1 else "there are colour images"
    )
    return catalog_config(name, image_size=size, classes=len(data.classes), channels=scan.channels)


def parse_image_size(given: str | int) -> tuple[int, int] | None:
    """(rows, columns) of `32`, `"32"` or `"48x64"`; None for `auto`.

    Raises:
        ConfigError: anything else.
    """
    if given == "auto":
        return None
    parts = str(given).lower().replace("×", "x").split("x")
    if len(parts) not in (1, 2) or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(f"image size {given!r} is not a size; 32, 48x64 (rows x columns) and auto work")
    return int(parts[0]), int(parts[-1])


def token_warning(config: VisionTransformer) -> str | None:
    """A sentence where the model sees its images as too few tokens, else None."""
    shape = config.stem.out_shape(config.image)
    rows, columns = shape.grid or (shape.tokens, 1)
    if rows * columns >= FEWEST_TOKENS:
        return None
    height, width = config.image.height, config.image.width
    times = math.ceil(math.sqrt(FEWEST_TOKENS / (rows * columns)))
    return (
        f"{config.name} sees a {height}×{width} image as {rows}×{columns} = {rows * columns} tokens, "
        f"too few to learn from (at least {FEWEST_TOKENS}, better 64): use "
        f"--image-size {times * max(height, width)}, or "
        f"--model {'eit_digits' if max(height, width) <= 16 else 'eit_small_image'}, which cuts finer"
    )


def _check_described(
    config: VisionTransformer,
    model: str,
    size: tuple[int, int] | None,
    classes: int,
    channels: int,
    reasons: Reasons,
) -> VisionTransformer:
    image = config.image
    wrong = []
    if config.classes != classes:
        wrong.append(f"{config.classes} classes and the data {classes}")
    if image.channels != channels:
        wrong.append(f"{image.channels} channels and the data {channels}")
    if size is not None and size != (image.height, image.width):
        wrong.append(f"{image.height}×{image.width} px and --image-size says {size[0]}×{size[1]}")
    if wrong:
        raise ConfigError(f"the described model has {', '.join(wrong)}; change the description to fit")
    reasons.sentences |= {"model": "as described", "image_size": "of the described model"}
    return config
