"""The page of `vitreous data show`: one HTML file that needs nothing else, or a picture of the same.

Images are inlined as PNG at their own size and enlarged without smoothing, colours follow the reader's
light or dark setting, and every image has a text for those who cannot see it.
"""

import base64
import io
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vitreous.errors import ConfigError
from vitreous.evaluation.data_views import DataViews, Shown, look_as_model
from vitreous.evaluation.pictures import Tile, draw_grid, shorten
from vitreous.redaction import redact
from vitreous.training.arguments import settings_from

ENDINGS = (".html", ".png")
SHOWN_SIDE = 96


def show_data(out: str | Path = "data.html", **arguments: Any) -> Path:
    """Draw images of each class as training and validation would show them to the model.

    Args:
        out: the page; `.html`, or `.png` for a picture of it.
        **arguments: `data`, `model`, `recipe` and all others of `vitreous.train`.

    Raises:
        ConfigError: settings that cannot be trained with, or an `out` that cannot be written.
        DataError: images that cannot be used.
    """
    path = Path(out)
    check_page(path)
    settings = settings_from(arguments)
    views = look_as_model(settings)
    title = f"{', '.join(Path(each).name for each in settings.data)} as the model sees it"
    if path.suffix.lower() == ".png":
        draw_grid(_tiles(views), path, title, columns=_columns(views))
    else:
        path.write_text(page_html(views, redact(title)), encoding="utf-8")
    return path


def check_page(path: Path) -> None:
    """Whether a page can be written there; raises ConfigError where not."""
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"--out {path}: {' or '.join(ENDINGS)} works")
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(f"--out {path} cannot be written: give a file in a folder that exists")


def page_html(views: DataViews, title: str) -> str:
    """The page as text."""
    from jinja2 import Environment

    template = files("vitreous.evaluation").joinpath("data_page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"png": _png, "width": _width, "redact": redact}
    return environment.from_string(template).render(views=views, title=title)


def _png(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _width(pixels: np.ndarray) -> int:
    """CSS pixels: small images enlarged, none wider than twice its height allows."""
    rows, columns = map(int, pixels.shape[:2])
    return round(min(SHOWN_SIDE * columns / rows, 2 * SHOWN_SIDE))


def _columns(views: DataViews) -> int:
    first = views.classes[0].train[0]
    return 3 + len(first.seen)


def _tiles(views: DataViews) -> list[Tile]:
    """A row for each class: a training image, its views, a validation image, its view."""
    tiles = []
    for each in views.classes:
        tiles += _row(each.train, f"{shorten(each.name, 14)}, train", _columns(views) - 2)
        tiles += _row(each.val, f"{shorten(each.name, 14)}, val", 2)
    return tiles


def _row(shown: tuple[Shown, ...], name: str, columns: int) -> list[Tile]:
    if not shown:
        return [Tile(Image.new("L", (1, 1), 255), (f"{name}: none",))] * columns
    first = shown[0]
    tiles = [Tile(Image.fromarray(first.stored.pixels), (name, first.stored.caption))]
    return tiles + [
        Tile(Image.fromarray(view.pixels), ("", shorten(view.caption, 22))) for view in first.seen
    ]
