"""`config.yaml`: the settings with every `auto` replaced, each choice with its reason behind it as a comment.

It is a config file as any other: `vitreous train --config config.yaml` starts the same run elsewhere.
"""

import dataclasses
import json

import yaml

from vitreous.training.plan import Plan
from vitreous.training.settings import TrainSettings

AS_GIVEN = ("as described", "the pretrained one")


def resolved_yaml(settings: TrainSettings, plan: Plan) -> str:
    """The text of `config.yaml`.

    Args:
        settings: as given.
        plan: what came of them.
    """
    image = plan.config.image
    # of several processes each has a GPU of its own, and this one's is not that of all
    device = plan.device if plan.processes == 1 else plan.device.partition(":")[0]
    timed = settings.time is not None
    resolved = dataclasses.replace(
        settings,
        out=None,
        fresh=False,
        model=settings.model if plan.reasons.get("model") in AS_GIVEN else plan.config.name,
        epochs="auto" if timed else round(plan.epochs),
        batch_size=plan.batch_size,
        lr=plan.lr,
        precision=plan.precision,  # type: ignore[arg-type]
        device=device,
        image_size=f"{image.height}x{image.width}",
        compile=plan.compiled,
        recipe=plan.recipe,
        distilling=plan.distilling,
        guidance=plan.guidance,
        loading=dataclasses.replace(settings.loading, path=plan.loading_path),  # type: ignore[arg-type]
    )
    plain = json.loads(json.dumps(dataclasses.asdict(resolved)))
    lines = []
    section = ""
    for line in yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=10_000).splitlines():
        key = line.split(":")[0]
        name = f"{section}.{key.strip()}" if line.startswith(" ") else key
        if line.endswith(":") and not line.startswith(" "):
            section = key
        reason = plan.reasons.get(name)
        lines.append(f"{line}  # {reason}" if reason and reason != "as given" else line)
    return "\n".join(lines) + "\n"
