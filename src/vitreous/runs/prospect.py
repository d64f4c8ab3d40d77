"""What a training command would do now: start, go on from a step, say that it is finished, or refuse."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vitreous.errors import ConfigError
from vitreous.training.checkpoint import Checkpoint, load_newest
from vitreous.training.run_folder import find_place, in_use, read_state
from vitreous.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What would happen.

    Args:
        kind: in one word.
        sentence: in one sentence.
        folder: of the run, None where it is refused.
        checkpoint: that it would go on from.
        error: that it would end with.
    """

    kind: Literal["start", "continue", "finished", "refuse"]
    sentence: str
    folder: Path | None = None
    checkpoint: Checkpoint | None = None
    error: ConfigError | None = None


def look_ahead(settings: TrainSettings) -> Prospect:
    """What `train` would do with these settings; nothing is touched."""
    try:
        place = find_place(settings)
        if in_use(place.path):
            raise ConfigError(f"{place.path}: another process is training in this folder")
        if not place.continuing:
            moved = f", the run that is there moved to {place.aside}" if place.aside else ""
            return Prospect(kind="start", sentence=f"start in {place.path}{moved}", folder=place.path)
        state = read_state(place.path)
        if state.get("state") == "finished" and (place.path / "model" / "config.json").exists():
            sentence = f"nothing: {place.path} is finished; --fresh would train again"
            return Prospect(kind="finished", sentence=sentence, folder=place.path)
        checkpoint = load_newest(place.path / "checkpoints")
    except ConfigError as error:
        return Prospect(kind="refuse", sentence=f"refuse: {error}", error=error)
    if checkpoint is None:
        sentence = f"start over in {place.path}, where nothing was saved yet"
        return Prospect(kind="start", sentence=sentence, folder=place.path)
    step, total = checkpoint.state["step"], checkpoint.state["plan"]["total_steps"]
    return Prospect(
        kind="continue",
        sentence=f"continue {place.path} from step {step:,} of {total:,}",
        folder=place.path,
        checkpoint=checkpoint,
    )
