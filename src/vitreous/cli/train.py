"""`vitreous train`: settings in, the path of the trained model out."""

import json
from collections.abc import Sequence

from vitreous.cli.options import Verb, parse
from vitreous.cli.printed_config import as_json, as_yaml
from vitreous.errors import ConfigError
from vitreous.training.processes import this_process
from vitreous.training.settings import TrainSettings

VERB = Verb(
    name="train",
    settings=TrainSettings,
    example="vitreous train --data FOLDER --model eit_tiny --epochs 20",
    config_files=True,
)


def run(words: Sequence[str]) -> int:
    """Parse, train, print."""
    asked = parse(VERB, words)
    if asked.print_config:
        print(as_json(asked) if asked.as_json else as_yaml(asked), end="")
        return 0
    if not asked.settings.data:
        raise ConfigError(
            "train needs images: --data FOLDER with a folder for each class inside; "
            "for example: vitreous train --data flowers, or --data digits to try it out"
        )
    from vitreous.training.train import train

    result = train(settings=asked.settings)
    if not this_process().first:  # of several processes the first one tells
        return 0
    if asked.as_json:
        told = {"run_dir": str(result.run_dir), "model_dir": str(result.model_dir), "metrics": result.metrics}
        print(json.dumps(told))
    else:
        print(result.model_dir)
    return 0
