"""`vitreous convert`: weights that a paper's authors released become a model folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from vitreous.cli.options import Verb, parse
from vitreous.cli.pixels import image_size
from vitreous.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ConvertSettings:
    """A released checkpoint as a model folder, for `predict`, `evaluate` and `vitreous.load`.

    Args:
        authors_file: the checkpoint, of torch (`.pth`, `.pt`, `.tar`) or safetensors; no code in it is run.
        as_: what it is: a name from `vitreous models list`, or a paper's own.
        out: the model folder to write.
        image_size: pixels it was trained at where not the catalog's; one number, or `ROWSxCOLUMNS`.
        classes: file with the names of the classes, one a line or a JSON list, instead of class_0 and so on.
    """

    authors_file: str
    as_: str | None = None
    out: str | None = None
    image_size: str | None = None
    classes: str | None = None


VERB = Verb(
    name="convert",
    settings=ConvertSettings,
    example="vitreous convert deit_tiny_patch16_224-a1311bcf.pth --as deit_tiny --out deit",
    positionals=("authors_file",),
)


def run(words: Sequence[str]) -> int:
    """Parse, convert, print the check."""
    asked = parse(VERB, words)
    settings = asked.settings
    if settings.as_ is None or settings.out is None:
        missing = "--as NAME" if settings.as_ is None else "--out FOLDER"
        raise ConfigError(f"convert needs {missing}; for example: {VERB.example}")
    pixels = image_size(settings.image_size)
    from vitreous.interop.authors import convert, read_class_names

    classes = None if settings.classes is None else read_class_names(settings.classes)
    done = convert(settings.authors_file, settings.as_, out=settings.out, image_size=pixels, classes=classes)
    found, image = done.found, done.config.image
    if asked.as_json:
        told = {
            "model_dir": str(done.folder),
            "name": done.config.name,
            "classes": done.config.classes,
            "image_size": [image.height, image.width],
            "parameters": done.parameters,
            "found_under": found.place,
            "beside": found.beside,
            "names_matched": len(found.weights),
            "names_left_over": 0,
            "largest_logit": done.logits,
        }
        print(json.dumps(told))
        return 0
    size = f"{image.height}×{image.width} pixels"
    place = f"under {found.place!r}" if found.place else "at the top"
    beside = f", beside {', '.join(found.beside)}" if found.beside else ""
    print(f"read         {len(found.weights)} weights {place}{beside}")
    print(f"model        {done.config.name}, {done.config.classes} classes, {size}")
    print(f"parameters   {done.parameters:,}")
    print(f"names        {len(found.weights)} matched, 0 left over on either side")
    print(f"an image     finite logits, up to {done.logits:.3g}; the folder gives the same, bit for bit")
    print(done.folder)
    return 0
