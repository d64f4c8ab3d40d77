"""All that a run has decided: the settings with every `auto` replaced by a value, and the reason for each.

The plan is made once, before the first step. It is stored in every checkpoint and read back from there, so
that a continued run cannot decide anything anew, on another machine or after an update included.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from vitreous.data.preprocessing import Preprocessing
from vitreous.models.as_json import from_json, to_json
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.training.recipe import Recipe
from vitreous.training.settings import Distilling, Guidance


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does, in values.

    Args:
        config: the model.
        preprocessing: how images become its input.
        recipe: without `auto`.
        device: `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: `float32`, `bfloat16` or `float16`.
        compiled: whether the model goes through torch.compile.
        threads: of torch on the CPU; sums depend on how they are split.
        processes: how many trained together when this was written; any number can continue.
        sharding: `ddp` or `fsdp`, where there are several.
        batch_size: images per optimizer step, over all processes.
        lr: peak learning rate.
        seed: start of every random stream.
        steps_per_epoch: optimizer steps in a pass over the training images.
        total_steps: optimizer steps of the run.
        eval_steps: optimizer steps between validations.
        log_steps: optimizer steps between training events in `metrics.jsonl`.
        loading_path: `resident` or `streaming`.
        classes: names in output order.
        fingerprint: of the data.
        reasons: one sentence for each value that was chosen.
        distilling: without `auto`.
        guidance: without `auto`.
        taught_by: what the weights of a teacher are known by; empty without one.
    """

    config: VisionTransformer
    preprocessing: Preprocessing
    recipe: Recipe
    device: str
    precision: str
    compiled: bool
    threads: int
    processes: int = 1
    sharding: str = "ddp"
    batch_size: int
    lr: float
    seed: int
    deterministic: bool
    steps_per_epoch: int
    total_steps: int
    eval_steps: int
    log_steps: int
    loading_path: str
    classes: tuple[str, ...]
    fingerprint: str
    reasons: dict[str, str]
    distilling: Distilling = field(default_factory=Distilling)
    guidance: Guidance = field(default_factory=Guidance)
    taught_by: str = ""

    @property
    def epochs(self) -> float:
        """Passes over the training images."""
        return self.total_steps / self.steps_per_epoch

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives an equal plan back."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return plain | {
            "config": {"name": self.config.name, "source": self.config.source, "slots": to_json(self.config)},
            "preprocessing": self.preprocessing.to_json(),
            "recipe": dataclasses.asdict(self.recipe),
            "distilling": dataclasses.asdict(self.distilling),
            "guidance": dataclasses.asdict(self.guidance),
            "classes": list(self.classes),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Plan":
        """Inverse of `to_json`."""
        return cls(
            **values
            | {
                "config": from_json(values["config"]["slots"]),
                "preprocessing": Preprocessing.from_json(values["preprocessing"]),
                "recipe": Recipe(**_tuples(values["recipe"])),
                "distilling": Distilling(**values.get("distilling", {})),
                "guidance": Guidance(**_tuples(values.get("guidance", {}))),
                "classes": tuple(values["classes"]),
            }
        )


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Lists, which JSON has, as tuples, which settings have."""
    return {key: tuple(each) if isinstance(each, list) else each for key, each in values.items()}
