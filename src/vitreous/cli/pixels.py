"""An image size as it is typed: `32` for a square, `32x64` for rows and columns."""

from vitreous.errors import ConfigError


def image_size(text: str | None) -> int | tuple[int, int] | None:
    """The size in pixels; None where none was given; raises ConfigError for anything else."""
    if text is None:
        return None
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise ConfigError(
            f"--image-size is {text}; pixels such as 32, or rows and columns such as 32x64, work"
        )
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))
