"""`vitreous analyze`: models and images in, what happens inside them out."""

import json
from collections.abc import Sequence

from vitreous.cli.options import Verb, parse
from vitreous.insight.settings import AnalyzeSettings

VERB = Verb(
    name="analyze",
    settings=AnalyzeSettings,
    example="vitreous analyze runs/flowers timm/deit_tiny_patch16_224 --out analysis",
    positionals=("models",),
)


def run(words: Sequence[str]) -> int:
    """Parse, look, print a sentence for each analysis and model."""
    asked = parse(VERB, words)
    settings = asked.settings
    from vitreous.insight.analyze import analyze
    from vitreous.insight.listed import ANALYSES

    result = analyze(
        settings.models,
        settings.data,
        only=[each.strip() for each in settings.only.split(",")] if settings.only else None,
        out=settings.out,
        split=settings.split,
        images=settings.images,
        device=settings.device,
        seed=settings.seed,
        control=settings.control,
        budget_s=settings.budget_s,
        steps=settings.steps,
        dimensions=settings.dimensions,
    )
    if asked.as_json:
        print(json.dumps(result.to_json() | {"folder": str(result.folder)}, ensure_ascii=False))
        return 0
    print(f"{result.images:,} images of {result.data}, {result.device}")
    for each in result.models:
        print(f"\n{each.name}: {each.facts['parameters']:,} parameters")
        for note in each.notes:
            print(f"  {note}")
        for name, sentence in each.shows.items():
            print(f"  {ANALYSES[name].title}\n    {sentence}")
    for told in result.between.values():
        print(f"\n{told['shows']}")
    print(f"\n{result.folder}")
    return 0
