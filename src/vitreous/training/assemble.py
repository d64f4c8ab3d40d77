"""From a plan to the things that train: model, step, batches and augmentation."""

import dataclasses

import torch
from torch import nn

from vitreous.data.augment import Augmentation
from vitreous.data.batches import Batches, make_batches
from vitreous.data.images import ImageData
from vitreous.data.loading import Loading
from vitreous.data.sampling import Sampling
from vitreous.data.shard import Shard
from vitreous.data.shard_order import shards_for_order
from vitreous.data.statistics import training_storage
from vitreous.data.streams import stream_seed
from vitreous.models.mimetic import start_mimetic
from vitreous.models.vision_transformer import VisionTransformerModule, build
from vitreous.training.balance import class_weights
from vitreous.training.compilation import compiled
from vitreous.training.distillation import Distillation
from vitreous.training.fine_tuning import start
from vitreous.training.frozen import freeze_before_head
from vitreous.training.multi_label import MultiLabelObjective
from vitreous.training.network import network_of
from vitreous.training.objective import EveryPath, Objective
from vitreous.training.parallel import replicated, synchronize_batch_norm
from vitreous.training.plan import Plan
from vitreous.training.progressive import AtTwoSizes, at_two_sizes, small_config, small_first
from vitreous.training.settings import TrainSettings
from vitreous.training.sharded import Sharded
from vitreous.training.step import Forward, TrainStep
from vitreous.training.teacher import Teacher, read_teacher
from vitreous.training.teacher_cache import known_probabilities
from vitreous.training.world import World

SMALLEST_VALIDATION_BATCH = 128


def make_model(plan: Plan, settings: TrainSettings | None = None) -> tuple[nn.Module, Forward]:
    """The model on its device with its first weights, and what computes its logits (compiled or not).

    Args:
        plan: what to build.
        settings: of a new run, whose pretrained weights are read; None for one whose weights are in a
            checkpoint.
    """
    torch.manual_seed(stream_seed(plan.seed, "init"))
    rates = plan.recipe
    model = build(
        plan.config,
        dropout=rates.dropout,
        attention_dropout=rates.attention_dropout,
        drop_path=rates.drop_path,
    )
    if rates.init == "mimetic":
        start_mimetic(model)
    if settings is not None:
        start(model, settings, plan)
    if rates.train == "head":
        freeze_before_head(model)
    model.to(plan.device, torch.float64 if plan.precision == "float64" else None)
    network = network_of(plan, model)
    if rates.progressive_size is not None:
        network = _with_small_images(plan, model, network, rates.progressive_size)
    return model, compiled(network) if plan.compiled else network


def shared(plan: Plan, model: nn.Module, forward: Forward, world: World) -> Forward:
    """What computes the logits so that gradients, and statistics of norms, are those of the whole batch.

    Args:
        plan: says whether the model is kept whole or in parts.
        model: of `make_model`; taken apart in place where it is kept in parts.
        forward: of `make_model`; its BatchNorms are exchanged.
        world: the processes that train together; one alone needs nothing.

    Raises:
        ConfigError: parts of a network that cannot be taken apart.
    """
    if world.alone:
        return forward
    assert isinstance(forward, nn.Module)
    synchronize_batch_norm(forward, world)
    if plan.sharding == "fsdp":
        return Sharded(model, forward, world, averaged=plan.recipe.ema)
    return replicated(forward)


def _with_small_images(
    plan: Plan, model: VisionTransformerModule, network: nn.Module, shorter: int
) -> nn.Module:
    """The network for images of two sizes."""
    rates = plan.recipe
    with torch.random.fork_rng(devices=[]):  # these first weights are thrown away
        small = build(
            small_config(plan.config, shorter),
            dropout=rates.dropout,
            attention_dropout=rates.attention_dropout,
            drop_path=rates.drop_path,
        ).to(plan.device, torch.float64 if plan.precision == "float64" else None)
    tables = at_two_sizes(model, small)
    return AtTwoSizes(network, network_of(plan, small), full=model, small=small, tables=tables)


def make_objective(plan: Plan, data: ImageData, loading: Loading) -> Objective:
    """What a plan learns from a batch, on its device.

    Raises:
        ConfigError: a teacher that is not there, or of other classes.
    """
    recipe = plan.recipe
    weights = None
    if recipe.balance == "weights":
        weights = class_weights(torch.from_numpy(data.splits["train"].labels), len(plan.classes))
    objective = Objective(recipe.label_smoothing, weights)
    if data.multi_label:
        objective = MultiLabelObjective(recipe.label_smoothing)
    if plan.distilling.teacher is not None:
        objective = _distillation(plan, data, loading, weights)
    if recipe.mixed_depth != "none":
        objective = EveryPath(objective)
    return objective.to(plan.device)


def _distillation(plan: Plan, data: ImageData, loading: Loading, weights: torch.Tensor | None) -> Objective:
    given = plan.distilling
    assert given.teacher is not None and given.alpha != "auto"
    teacher: Teacher | None = read_teacher(
        given.teacher,
        plan.preprocessing,
        plan.classes,
        setting="distilling.teacher",
        precision=plan.precision,
    ).to(plan.device)
    assert teacher is not None
    key, known = teacher.key, None
    if given.cache:
        known = known_probabilities(
            teacher,
            data.splits["train"],
            temperature=given.temperature,
            flip=bool(plan.recipe.flip),
            loading=loading,
            device=plan.device,
        )
        teacher = None
    objective = Distillation(
        plan.recipe.label_smoothing,
        weights,
        kind=given.kind,
        temperature=given.temperature,
        alpha=given.alpha,
        teacher=teacher,
        known=known,
    )
    objective.taught_by = key
    return objective


def make_step(
    plan: Plan,
    model: nn.Module,
    forward: Forward | None = None,
    objective: Objective | None = None,
    world: World | None = None,
) -> TrainStep:
    """The optimizer step that a plan describes, over a built model on its device."""
    return TrainStep(
        model,
        plan.recipe,
        lr=plan.lr,
        total_steps=plan.total_steps,
        steps_per_epoch=plan.steps_per_epoch,
        seed=plan.seed,
        precision=plan.precision,
        ema_decay=float(plan.recipe.ema_decay) if plan.recipe.ema else None,
        forward=forward,
        objective=objective,
        world=world,
        sizes=small_first(plan.recipe, plan.config, plan.total_steps),
    )


def make_augmentation(plan: Plan, world: World | None = None) -> Augmentation:
    """The augmentation that a plan describes, of this process's part of the batches."""
    recipe, image = plan.recipe, plan.config.image
    return Augmentation(
        seed=plan.seed,
        size=(image.height, image.width),
        classes=len(plan.classes) * (2 if plan.distilling.cache else 1),
        preprocessing=plan.preprocessing,
        crop=recipe.crop,
        padding=int(recipe.padding),
        smallest_crop=recipe.smallest_crop,
        flip=bool(recipe.flip),
        randaugment=recipe.randaugment,
        randaugment_magnitude=recipe.randaugment_magnitude,
        randaugment_set=recipe.randaugment_set,
        randaugment_std=recipe.randaugment_std,
        erasing=recipe.erasing,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
        # auto: the length is not known yet, and a step that is only measured needs no mixing
        mix_probability=0.0 if recipe.mix_probability == "auto" else recipe.mix_probability,
        mix_steps=None if recipe.mix_epochs is None else recipe.mix_epochs * plan.steps_per_epoch,
        shard=_part_of_batches(plan, world),
    )


def make_train_batches(plan: Plan, data: ImageData, loading: Loading, world: World | None = None) -> Batches:
    """Batches of the training images, stored at the size that augmentation starts from."""
    split = data.splits["train"]
    labels = split.labels if plan.recipe.balance == "sampler" else None
    return make_batches(
        split,
        plan.preprocessing,
        batch_size=plan.batch_size,
        seed=plan.seed,
        device=plan.device,
        loading=_as_planned(plan, loading),
        train=True,
        storage=training_storage(plan.preprocessing, plan.recipe.crop),
        sampling=Sampling(plan.recipe.repeats, labels, shards_for_order(split, loading)),
        shard=_part_of_batches(plan, world),
    )


def make_val_batches(plan: Plan, data: ImageData, loading: Loading, world: World | None = None) -> Batches:
    """All validation images in order, or this process's share of them."""
    world = world or World()
    split = data.splits["val"]
    at_once = max(plan.batch_size // world.size, SMALLEST_VALIDATION_BATCH) * world.size
    return make_batches(
        split,
        plan.preprocessing,
        batch_size=min(at_once, len(split)),
        seed=plan.seed,
        device=plan.device,
        loading=_as_planned(plan, loading),
        train=False,
        shard=world.shard(),
    )


def _part_of_batches(plan: Plan, world: World | None) -> Shard:
    recipe = plan.recipe
    # not by mix_probability, which may be known only after the first batches
    return (world or World()).shard(before=max(recipe.mixup, recipe.cutmix) > 0)


def _as_planned(plan: Plan, loading: Loading) -> Loading:
    return dataclasses.replace(loading, path=plan.loading_path)  # type: ignore[arg-type]
