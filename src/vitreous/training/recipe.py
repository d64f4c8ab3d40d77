"""What is done to a model while it trains: a frozen value, free of heavy imports."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimizer, schedule, augmentation and regularisation of a training run.

    The defaults are ours for small data sets. `auto` values are resolved from the data before the
    first step, printed with the reason, and frozen in the first checkpoint.

    Args:
        optimizer: `adamw`, `sgd`, `momentum` (SGD without Nesterov's), `muon`, `lion`, `lamb` or another name
            of timm's.
        weight_decay: decay of weights; biases, norms, class tokens and position tables have none.
        decay_tables: class tokens and position tables decay, too.
        init: how weights start: as the model's family has it, or with attention that imitates pretrained
            attention (`mimetic`; Trockman & Kolter 2023).
        train: `head` leaves everything before the head as it was pretrained.
        layer_decay: factor of the learning rate for each layer away from the head (above 0, 1 for none).
        betas: moment decays of AdamW and its like; `auto` is the optimizer's own, AdamW's 0.9 and 0.999.
        momentum: of SGD and Muon (0 to 1); `auto` is 0.9, Muon's 0.95.
        muon_lr_scale: learning rate of the weights that Muon moves, as a multiple of `lr`.
        schedule: how the learning rate falls after the warm-up.
        warmup: share of all steps spent raising the learning rate linearly from near zero (0 to 1).
        warmup_epochs: length of the warm-up in epochs, instead of a share.
        warmup_lr: learning rate that the warm-up starts from.
        final_lr: learning rate at the end, as a share of the peak (0 to 1).
        min_lr: learning rate at the end, instead of a share.
        cooldown_epochs: epochs at the end that keep the last learning rate.
        lr_moves: when the learning rate changes: at every `step`; at every `epoch`, as in timm's loop; or at
            every `late_epoch`, as in DeiT's, whose first two epochs both have `warmup_lr`.
        lr_per_512: peak learning rate of a batch of 512, which grows with the batch, where `lr` is auto.
        progressive_size: pixels of the shorter side that images are shrunk to in the first part of training;
            null for the full size throughout.
        progressive_share: share of all steps in that first part (0 to 1).
        accumulate: micro-batches of one optimizer step; the batch size counts all of them.
        clip_norm: largest gradient norm, 0 for no clipping.
        label_smoothing: 0 to 1.
        mixup: alpha of mixup's Beta distribution, 0 for none.
        cutmix: alpha of cutmix's Beta distribution, 0 for none.
        mix_probability: share of batches that are mixed (half by each where both are on); `auto` is a half in
            runs of ten passes over the images and more, and none in shorter ones.
        mix_epochs: epochs after which batches are mixed no longer; null for none.
        repeats: times that an image stands in its batch, augmented differently each time; an epoch keeps its
            number of samples, so it shows fewer different images.
        balance: `weights` multiplies the loss of each class by the inverse of its frequency, `sampler` shows
            each class equally often, `none` leaves classes as large as they are.
        crop: `pad` shifts the image by up to `padding` pixels; `resized` takes a random part of the image
            and scales it back; `none` leaves it; `auto` is `pad` up to 96 pixels, else `resized`.
        padding: pixels of the `pad` crop; `auto` is an eighth of the image size.
        smallest_crop: smallest share of the area that a `resized` crop keeps (0 to 1).
        flip: mirror half of the images left to right; `auto` is off for digits and other writing we know.
        randaugment: operations per image, 0 for none.
        randaugment_magnitude: strength of each operation, 0 to 30 (three times timm's figure).
        randaugment_set: `plain` holds torchvision's operations; `increasing` timm's `inc1`, which happen
            with probability 1/2 when they are drawn.
        randaugment_std: standard deviation of the strength of the `increasing` set, 0 to 30.
        erasing: probability that a rectangle of an image is replaced by noise (0 to 1).
        mixed_depth: of a recursive model, train a shallow path over the same weights beside the deep one:
            `one_turn` of each block, or a number of turns `drawn` for each step, so that every depth works.
        dropout: rate after projections and in feed-forward parts (0 to 1).
        attention_dropout: rate on attention maps and depthwise convolutions (0 to 1).
        drop_path: largest rate of stochastic depth, reached in the last layer (0 to 1).
        ema: average the weights over training and validate the average too.
        ema_decay: decay per step; `auto` averages over about the last twentieth of the run.
    """

    optimizer: str = "muon"
    weight_decay: float = 0.05
    decay_tables: bool = False
    init: Literal["default", "mimetic"] = "default"
    train: Literal["all", "head"] = "all"
    layer_decay: float = 1.0
    betas: tuple[float, float] | Literal["auto"] = "auto"
    momentum: float | Literal["auto"] = "auto"
    muon_lr_scale: float = 2.5
    schedule: Literal["cosine", "linear"] = "linear"
    warmup: float = 0.1
    warmup_epochs: float | None = None
    warmup_lr: float = 0.0
    final_lr: float = 0.0
    min_lr: float | None = None
    cooldown_epochs: float = 0.0
    lr_moves: Literal["step", "epoch", "late_epoch"] = "step"
    lr_per_512: float | None = None
    progressive_size: int | None = None
    progressive_share: float = 0.5
    accumulate: int = 1
    clip_norm: float = 1.0
    label_smoothing: float = 0.1
    mixup: float = 0.2
    cutmix: float = 1.0
    mix_probability: float | Literal["auto"] = "auto"
    mix_epochs: int | None = None
    repeats: int = 1
    balance: Literal["none", "weights", "sampler"] = "none"
    crop: Literal["auto", "pad", "resized", "none"] = "auto"
    padding: int | Literal["auto"] = "auto"
    smallest_crop: float = 0.35
    flip: bool | Literal["auto"] = "auto"
    randaugment: int = 1
    randaugment_magnitude: int = 5
    randaugment_set: Literal["plain", "increasing"] = "plain"
    randaugment_std: float = 1.5
    erasing: float = 0.25
    mixed_depth: Literal["none", "one_turn", "drawn"] = "none"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    drop_path: float = 0.0
    ema: bool = True
    ema_decay: float | Literal["auto"] = "auto"
