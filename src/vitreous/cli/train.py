"""`vitreous train`: settings in, the path of the trained model out; or a plan, or a set of seeds."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from vitreous.cli.options import Parsed, Verb, parse
from vitreous.cli.printed_config import as_json, as_yaml
from vitreous.errors import ConfigError
from vitreous.training.processes import this_process
from vitreous.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class TrainCommand(TrainSettings):
    """A training run, a set of them, or only the plan of one.

    Args:
        dry_run: train nothing; tell what would be done, how long it takes, and what memory and disk it needs.
        seeds: train once with each seed, `0..4` or `0,3,7`, into OUT/seed-0 and so on, and report mean and
            standard deviation.
    """

    dry_run: bool = False
    seeds: str | None = None


VERB = Verb(
    name="train",
    settings=TrainCommand,
    example="vitreous train --data FOLDER --model eit_tiny --epochs 20",
    config_files=True,
    in_files=TrainSettings,
)


def run(words: Sequence[str]) -> int:
    """Parse, train, print."""
    asked = parse(VERB, words)
    names = [field.name for field in dataclasses.fields(TrainSettings)]
    settings = TrainSettings(**{name: getattr(asked.settings, name) for name in names})
    if asked.print_config:
        shown = Parsed(**{**vars(asked), "settings": settings})  # a file for Python's `train` too
        print(as_json(shown) if asked.as_json else as_yaml(shown), end="")
        return 0
    if not asked.settings.data:
        raise ConfigError(
            "train needs images: --data FOLDER with a folder for each class inside; "
            "for example: vitreous train --data flowers, or --data digits to try it out"
        )
    if asked.settings.dry_run and asked.settings.seeds is not None:
        raise ConfigError("--dry-run plans one run; leave --seeds out, a set takes as much for each seed")
    if asked.settings.seeds is not None and asked.sources.get("seed") == "flag":
        raise ConfigError("--seed and --seeds both say which seeds; --seeds alone works")
    if asked.settings.dry_run:
        from vitreous.cli.told_dry_run import tell
        from vitreous.runs.dry_run import plan_run

        planned = plan_run(settings=settings)
        print(json.dumps(planned.to_json())) if asked.as_json else tell(planned)
        return 0 if planned.prospect.error is None else planned.prospect.error.exit_code
    if asked.settings.seeds is not None:
        from vitreous.cli.told_seeds import tell_set
        from vitreous.runs.seeds import train_seeds

        trained = train_seeds(asked.settings.seeds, settings=settings)
        print(json.dumps(trained.to_json())) if asked.as_json else tell_set(trained)
        return 0
    from vitreous.training.train import train

    result = train(settings=settings)
    if not this_process().first:  # of several processes the first one tells
        return 0
    if asked.as_json:
        told = {"run_dir": str(result.run_dir), "model_dir": str(result.model_dir), "metrics": result.metrics}
        print(json.dumps(told))
    else:
        print(result.model_dir)
    return 0
