"""All that a user can set of a training run: frozen values, free of heavy imports."""

from dataclasses import dataclass, field
from typing import Literal

from vitreous.data.loading import Loading
from vitreous.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Saving:
    """When checkpoints are written.

    Args:
        every_s: seconds between checkpoints; one is always written at the first and the last step and
            when the run is told to stop.
        keep: how many of the newest checkpoints stay on disk.
        in_parts: with `sharding: fsdp`, each process writes its part of a checkpoint, instead of the first
            one the whole.
    """

    every_s: float = 120.0
    keep: int = 2
    in_parts: bool = False


@dataclass(frozen=True, kw_only=True)
class Distilling:
    """What is learned from another model.

    Args:
        teacher: run folder, model folder, `timm:NAME` (downloads its weights) or `timm:NAME@FILE`; its
            classes are those of the data.
        kind: `soft` learns the teacher's probabilities, `hard` its likeliest class.
        temperature: divides the logits of both before their softmax; for `soft` only.
        alpha: share of the teacher in the loss, the labels have the rest; `auto` is 1 for `soft`, and 0.5 for
            `hard` and wherever the model has a distillation token.
        cache: ask the teacher once about each image instead of about every augmented view.
    """

    teacher: str | None = None
    kind: Literal["soft", "hard"] = "soft"
    temperature: float = 1.0
    alpha: float | Literal["auto"] = "auto"
    cache: bool = False


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """Which validation is the best, and when to stop because none gets better.

    Args:
        patience: validations in a row without an improvement after which training ends; null for never.
        metric: what is compared: `auto` is `val/top1`, or `val/map` where an image may have any number of
            classes; `val/top5`, `val/f1_macro`, `val/loss` and others work. The best weights by it are the
            model that is delivered.
        least: smallest improvement that counts; accuracies are from 0 to 1.
    """

    patience: int | None = None
    metric: str = "auto"
    least: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Probing:
    """How often and on how many images probes look inside.

    Args:
        every: validations from one measurement to the next.
        images: of the validation split, evenly over it.
    """

    every: int = 1
    images: int = 64


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """Features of a small convolutional network that the model's features follow while it trains.

    Args:
        teacher: `cnn` trains one on the same images first; a run folder gives the one that was trained there.
        weight: of the distance between the features, beside the loss.
        layers: three layers of the model, counted from 0, that follow its three stages; `auto` is the first,
            the middle and the last that have a grid.
        depth: layers of the network that is trained: 8, 14, 20 and so on to 56.
        epochs: passes over the training images for it; `auto` is a third of the run's, or a fifth of its
            time.
    """

    teacher: str | None = None
    weight: float = 2.5
    layers: tuple[int, int, int] | Literal["auto"] = "auto"
    depth: int = 56
    epochs: int | Literal["auto"] = "auto"


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """A training run. `auto` is resolved from data and machine, and printed with its reason.

    Args:
        data: folder of class folders or a tar of them, parquet files or a glob of them, WebDataset shards as
            `wds:PATTERN`, a Hugging Face data set as `hf:NAME`, `torch/<name>` of torchvision, or `digits`;
            several files or patterns may be given.
        model: name from `vitreous models`, a JSON file of a model, or `auto`.
        out: run folder; by default a new one under `runs/`, or the newest unfinished one with equal settings.
        epochs: passes over the training images.
        time: training time that the whole schedule is fitted into, such as `90s`, `30m` or `2h`,
            instead of epochs.
        batch_size: images per optimizer step.
        lr: peak learning rate.
        seed: start of every random stream, 0 or more.
        precision: `bfloat16` and `float16` are automatic mixed precision over float32 weights; `float64` is
            slow and for proofs.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`.
        devices: processes to start on this machine, one for each GPU or for each share of the cores; torchrun
            and srun say it themselves.
        sharding: how several processes share the model: `ddp` keeps it whole in each, `fsdp` gives each a
            part of weights, gradients and optimizer (for models that are large for their devices).
        timeout_s: how long a step waits for another process before the run ends.
        image_size: pixels; one number for a square, `ROWSxCOLUMNS` for a rectangle.
        compile: run the model through torch.compile.
        deterministic: refuse operations whose result may differ between runs on a GPU (slower).
        eval_every: epochs between validations; the last epoch is always validated.
        fresh: move an existing run folder aside instead of continuing it.
        pretrained: weights to start from: a run or model folder, a checkpoint file of `model`'s authors, or
            `timm:NAME`.
        pretrained_by: `loading` takes them as they are; `selection` cuts a larger model to size.
        probes: what is measured inside the model after validations, separated by commas: `hfd`,
            `head_diversity`, `token_similarity`, `entropy`; without effect on the run.
        reference: known curve that every validation is compared with, without effect on the run: a name
            such as `eit_mini_imagenet`, or a file of `vitreous runs reference`.
        log: whom the metrics are also written for, into the run folder and without effect on the run:
            `tensorboard`.
    """

    data: list[str] = field(default_factory=list)
    model: str = "auto"
    out: str | None = None
    epochs: int | Literal["auto"] = "auto"
    time: str | None = None
    batch_size: int | Literal["auto"] = "auto"
    lr: float | Literal["auto"] = "auto"
    seed: int = 0
    precision: Literal["auto", "float32", "bfloat16", "float16", "float64"] = "auto"
    device: str = "auto"
    devices: int = 1
    sharding: Literal["ddp", "fsdp"] = "ddp"
    timeout_s: float = 600.0
    image_size: str | int = "auto"
    compile: bool | Literal["auto"] = "auto"
    deterministic: bool = False
    eval_every: int = 1
    fresh: bool = False
    pretrained: str | None = None
    pretrained_by: Literal["loading", "selection"] = "loading"
    probes: str | None = None
    reference: str | None = None
    log: Literal["tensorboard"] | None = None
    recipe: Recipe = field(default_factory=Recipe)
    loading: Loading = field(default_factory=Loading)
    saving: Saving = field(default_factory=Saving)
    stopping: Stopping = field(default_factory=Stopping)
    distilling: Distilling = field(default_factory=Distilling)
    guidance: Guidance = field(default_factory=Guidance)
    probing: Probing = field(default_factory=Probing)
