"""Which space at which image size: the given one, or one that fits the images.

    up to 96 px   hybrid_small_image: at equal MACs its winner is far above those of the other spaces
    beyond        psvit_2d_tiny at 224 px on a GPU, hybrid_small_image at 64 px on a CPU

Spaces for small images cut patches of 4 px or halve three times: images below 24 px are enlarged to 32, where
they are 64 or 16 tokens. Images are squares here. Ours; measured in docs/results.md.
"""

from vitreous.data.images import ImageData
from vitreous.parts import ImageShape
from vitreous.searching.named import HYBRID, named_space
from vitreous.searching.settings import SearchSettings
from vitreous.searching.space import Space
from vitreous.training.automatic import Reasons, choose_device
from vitreous.training.machine import look_at_machine
from vitreous.training.settings import TrainSettings

SMALL, LARGE = HYBRID, "psvit_2d_tiny"
FEWEST_PIXELS = 24  # 6 × 6 tokens, and 2 × 2 behind two pools


def choose_space(
    settings: SearchSettings, data: ImageData, device: str, reasons: Reasons
) -> tuple[str, Space]:
    """The name and the space, for the classes and channels of the data; `reasons` get a sentence for each.

    Raises:
        ConfigError: an unknown space, or a size that does not fit it.
    """
    scan, asked = data.scan, settings.image_size
    side = min(scan.heights[1], scan.widths[1])
    found = f"the images are {scan.heights[1]}×{scan.widths[1]} (median)"

    def automatic_space() -> tuple[str, str]:
        pixels, why = (side, found) if asked == "auto" else (asked, f"for {asked} px")
        if pixels <= 96:
            return SMALL, f"{why}: made for up to 96 px"
        if device == "cpu" and asked == "auto":
            return SMALL, f"{found}, but at 224 px a CPU would search for days"
        return LARGE, f"{why}: the smallest for large images"

    name = reasons.choose("space", settings.space, automatic_space)
    own = max(4, round(side / 4) * 4)

    def automatic_size() -> tuple[int, str]:
        if name.endswith((".py", ".json")):
            return own, found if own == side else f"{found}, rounded to a multiple of 4"
        if "small_image" not in name:
            larger = f" (images of {side} px are enlarged; {SMALL} takes them as they are)"
            return 224, f"the size that {name} is made for" + (larger if side <= 96 else "")
        if side > 96:
            return 64, f"{found}; 64 px keeps {name} affordable, --image-size 96 sees more"
        if side < FEWEST_PIXELS:
            return 32, f"{found}; enlarged: tokens stand for 4 px and more"
        return own, found if own == side else f"{found}, rounded to a multiple of 4"

    size = reasons.choose("image_size", asked, automatic_size)
    image = ImageShape(scan.channels, size, size)
    return name, named_space(name, image=image, classes=len(data.classes))


def device_of(settings: SearchSettings) -> str:
    """The device that a search will have; raises ConfigError where there is none such."""
    return choose_device(TrainSettings(device=settings.device), look_at_machine(), Reasons())
