"""A batch that was not finite, once more: which module, with which values, in which precision.

Model, weights and batch come from `RUN/debug/step-…` (`training/divergence.py`). What else the loss asks for,
such as class weights, a teacher or a guide, is made again from the run's data; where these are gone it is
plain cross-entropy, and said.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from vitreous.data.batch import Batch
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.errors import ConfigError, VitreousError
from vitreous.training.assemble import make_model, make_objective, make_step
from vitreous.training.divergence import BESIDE, Look, look_again, look_at_validation
from vitreous.training.guide import guided, read_guide
from vitreous.training.objective import Objective, Shown
from vitreous.training.plan import Plan
from vitreous.training.surroundings import torch_as_planned

logger = logging.getLogger("vitreous")


@dataclass(frozen=True)
class Replay:
    """A step taken again.

    Args:
        folder: what was kept of it.
        step: its number.
        what: `loss`, `gradient norm`, or a validation loss.
        looks: in the run's precision first, then in float32.
    """

    folder: Path
    step: int
    what: str
    looks: tuple[Look, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        looks = [each.to_json() for each in self.looks]
        return {"folder": str(self.folder), "step": self.step, "what": self.what, "looks": looks}


def replay(run: str | Path, *, device: str | None = None) -> Replay:
    """Take the newest step of a run again that was not finite.

    Args:
        run: run folder, or one of its `debug/step-…`.
        device: by default the run's.

    Raises:
        ConfigError: nothing was kept there.
    """
    place = Path(run)
    kept = sorted(each.parent for each in place.glob("debug/**/divergence.json"))
    folder = place if (place / "divergence.json").exists() else kept[-1] if kept else None
    if folder is None:
        raise ConfigError(f"{place} holds no batch to replay: no loss or gradient in it was ever not finite")
    told = json.loads((folder / "divergence.json").read_text(encoding="utf-8"))
    plan = Plan.from_json(told["plan"] | ({"device": device} if device else {}))
    step, what = int(told["step"]), str(told["what"])
    precisions = list(dict.fromkeys((plan.precision, "float32")))
    with torch_as_planned(plan):
        model, forward = make_model(plan)
        weights = load_file(folder / "weights.safetensors", device=plan.device)
        beside = {name: weights.pop(name) for name in list(weights) if name.startswith(BESIDE)}
        model.load_state_dict(weights)
        batch = load_file(folder / "batch.safetensors", device=plan.device)
        if what.startswith("val"):
            shown = Batch(**batch)
            found = [look_at_validation(model, [shown], plan.preprocessing, each) for each in precisions]
            return Replay(folder, step, what, tuple(each[0] for each in found if each is not None))
        objective = _objective(plan, folder)
        for name, value in beside.items():
            objective.get_parameter(name.removeprefix(BESIDE)).data.copy_(value)
        trainee = make_step(plan, model, forward, objective)
        looks = [look_again(trainee, Shown(**batch), step, each) for each in precisions]
    return Replay(folder, step, what, tuple(looks))


def _objective(plan: Plan, folder: Path) -> Objective:
    import yaml

    run = next((each for each in folder.parents if (each / "config.input.yaml").exists()), folder)
    try:
        given = yaml.safe_load((run / "config.input.yaml").read_text(encoding="utf-8"))
        loading = Loading(**given["loading"])
        data = open_images(given["data"], loading=loading, seed=plan.seed, split_file=run / "split.csv")
        objective = make_objective(plan, data, loading)
        if plan.guidance.teacher is not None:
            objective = guided(plan, objective, read_guide(plan, run))
        return objective
    except (OSError, VitreousError) as error:
        taught = plan.distilling.teacher or plan.guidance.teacher
        if taught or plan.recipe.mixed_depth != "none":
            raise ConfigError(
                f"{run}: its loss needs more than labels, and what it needs cannot be opened ({error}); "
                "put it back"
            ) from error
        logger.warning(
            "the loss is plain cross-entropy here, since the run's data cannot be opened: %s", error
        )
        return Objective(plan.recipe.label_smoothing).to(plan.device)
