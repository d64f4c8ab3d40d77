"""Every `auto`, turned into a value and one sentence that says why.

The model's are in `choose_model.py`, the teachers' in `choose_teachers.py`. All rules are ours. They look at
the data (how many images, how large, of what) and at the machine, and at nothing that is timed here, so that
the same data on the same machine always give the same run:

    device       CUDA before Apple's GPU before the CPU
    precision    bfloat16 where the hardware has it (CPU: AMX or AVX-512 BF16), else float32
    compile      where it gains more than it costs: images above 96 pixels on CPUs with AMX, and GPUs, on runs
                 long enough
    batch size   about 20 steps an epoch, a power of two, 16 to 128 (CPU) or 512 (GPU)
    lr           2e-3 · √(batch / 64), at most 2e-3: noise of Adam scales with the root (Malladi et al. 2022);
                 other optimizers in `optimizer_names.py`
    epochs       2500 / √images on a CPU, five times as many on a GPU, 10 to 300
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from vitreous.data.images import ImageData
from vitreous.errors import ConfigError
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.training.machine import Machine
from vitreous.training.optimizer_names import choose_moments, peak_lr
from vitreous.training.recipe import Recipe
from vitreous.training.settings import TrainSettings
from vitreous.training.time_budget import parse_time

T = TypeVar("T")
PASSES_TO_MIX = 10  # ours: with fewer, images that are mixed cost accuracy (docs/tried-and-failed.md)
LONG_ENOUGH_CPU_S = 600.0  # torch.compile costs a minute on two cores
LARGE_ENOUGH_PX = 97  # smaller images: convolutions and pools of a stem lose more than layers gain
LONG_ENOUGH_GPU_S = 180.0


@dataclass
class Reasons:
    """Collects why each value is what it is."""

    sentences: dict[str, str] = field(default_factory=dict)

    def choose(self, name: str, given: Any, automatic: Callable[[], tuple[T, str]]) -> T:
        """The given value, or the automatic one where it is `auto`."""
        if given != "auto":
            self.sentences[name] = "as given"
            return given  # type: ignore[no-any-return]
        value, self.sentences[name] = automatic()
        return value


def choose_device(settings: TrainSettings, machine: Machine, reasons: Reasons, processes: int = 1) -> str:
    """`cuda`, `mps` or `cpu`.

    Raises:
        ConfigError: a device that this machine lacks, or no device at all.
    """

    def automatic() -> tuple[str, str]:
        if machine.gpu:
            return "cuda", f"there is a GPU ({machine.gpu})"
        return ("mps", "there is an Apple GPU") if machine.mps else ("cpu", "there is no GPU")

    device = reasons.choose("device", settings.device, automatic)
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise ConfigError(f"device {device!r} is unknown; cpu, cuda, cuda:1, mps and auto work")
    if number and processes > 1:
        raise ConfigError(
            f"device {device!r} is one GPU and there are {processes} processes, which take one each; "
            f"{kind} works"
        )
    if (kind == "cuda" and not machine.gpu) or (kind == "mps" and not machine.mps):
        raise ConfigError(
            f"device {device!r} is not on this machine; cpu works, and auto takes what is there"
        )
    return device


def choose_precision(settings: TrainSettings, device: str, machine: Machine, reasons: Reasons) -> str:
    """`bfloat16` or `float32`.

    Raises:
        ConfigError: float16 without CUDA, whose small gradients need a scaler.
    """

    def automatic() -> tuple[str, str]:
        if device.startswith("cuda"):
            if machine.gpu_bfloat16:
                return "bfloat16", "this GPU computes it natively"
            return "float32", "this GPU has no bfloat16"
        if device == "cpu" and machine.cpu_bfloat16:
            unit = {"amx": "AMX", "avx512": "AVX-512 BF16"}[machine.cpu_bfloat16]
            return (
                "bfloat16",
                f"this CPU has {unit}, with which training is 2 to 3 times as fast as in float32",
            )
        return "float32", "bfloat16 would be emulated here" if device == "cpu" else "the safe choice on mps"

    precision = reasons.choose("precision", settings.precision, automatic)
    if precision == "float16" and not device.startswith("cuda"):
        raise ConfigError(
            f"precision float16 needs a CUDA device and this is {device}; bfloat16 and float32 work"
        )
    return precision


def choose_compile(
    settings: TrainSettings,
    device: str,
    precision: str,
    seconds: float,
    side: int,
    machine: Machine,
    reasons: Reasons,
) -> bool:
    """Whether to compile.

    Args:
        settings: of the run.
        device: resolved.
        precision: resolved.
        seconds: about how long the run takes.
        side: of the images, in pixels.
        machine: facts.
        reasons: gets the sentence.

    Raises:
        ConfigError: asked for where no compiler is.
    """
    able = machine.gpu_compiler if device.startswith("cuda") else machine.cpu_compiler

    def automatic() -> tuple[bool, str]:
        if not able:
            return False, "there is no compiler that torch.compile could use"
        if device == "mps":
            return False, "not measured on mps"
        if device == "cpu" and not (machine.cpu_bfloat16 == "amx" and precision == "bfloat16"):
            return False, "on CPUs without AMX it gained -5 to 20 % by model and costs a minute"
        if device == "cpu" and side < LARGE_ENOUGH_PX:
            return False, f"on CPUs, images of {side} pixels train at 0.7 to 1.2 times the speed compiled"
        enough = LONG_ENOUGH_CPU_S if device == "cpu" else LONG_ENOUGH_GPU_S
        if seconds < enough:
            return False, f"a run of about {seconds:.0f} s does not pay back the minute that it costs"
        return True, f"a run of about {seconds / 60:.0f} min pays back the minute that it costs"

    compiled = reasons.choose("compile", settings.compile, automatic)
    if compiled and not able:
        raise ConfigError(
            "compile needs a C++ compiler (for a GPU: Triton and a C compiler) and none is here; auto works"
        )
    return compiled


def choose_batch_size(
    settings: TrainSettings,
    images: int,
    config: VisionTransformer,
    device: str,
    reasons: Reasons,
    processes: int = 1,
) -> tuple[int, str | None]:
    """Images per step over all processes, and a sentence where the given number had to be reduced.

    Raises:
        ConfigError: not a positive number, or one that does not divide into the micro-batches.
    """
    most = 512 if device != "cpu" else 128
    if config.image.height * config.image.width > 96 * 96:
        most //= 4
    parts = settings.recipe.accumulate * processes
    why = "recipe.accumulate" + (f" × {processes} processes" if processes > 1 else "")

    def automatic() -> tuple[int, str]:
        wanted = 2 ** round(math.log2(max(images / 20, 1)))
        size = max(min(wanted, most), min(16, images))
        size = max(parts, size // parts * parts)
        return (
            size,
            f"about {images // size} steps an epoch over {images:,} images, at most {most} on {device}",
        )

    size = reasons.choose("batch_size", settings.batch_size, automatic)
    if size < 1 or parts < 1 or size % parts:
        raise ConfigError(
            f"batch size {size} does not divide into {parts} equal parts ({why}); "
            f"{max(1, round(size / max(parts, 1))) * max(parts, 1)} does"
        )
    if size <= images:
        return size, None
    reduced = images // parts * parts
    if not reduced:
        raise ConfigError(f"{images} training images do not divide into {parts} parts ({why}); fewer work")
    reasons.sentences["batch_size"] = f"all training images; {size} was asked for"
    return reduced, f"batch size {size} is more than the {images} training images; using {reduced}"


def choose_lr(settings: TrainSettings, batch_size: int, reasons: Reasons) -> float:
    """Peak learning rate.

    Raises:
        ConfigError: not above zero, or not given for an optimizer without a rule.
    """

    def automatic() -> tuple[float, str]:
        per_512 = settings.recipe.lr_per_512
        if per_512 is not None:
            return per_512 * batch_size / 512, f"{per_512:g} × {batch_size}/512, linear"
        lr, why = peak_lr(settings.recipe.optimizer, batch_size)
        if settings.pretrained is not None and settings.pretrained_by == "loading":
            return lr / 10, f"a tenth of {why}, since the weights are trained"
        return lr, why

    lr = reasons.choose("lr", settings.lr, automatic)
    if not lr > 0 or not math.isfinite(lr):
        raise ConfigError(f"lr {lr} is not a learning rate; a number above 0 such as 1e-3 works")
    return lr


def choose_epochs(settings: TrainSettings, images: int, device: str, reasons: Reasons) -> int:
    """Passes over the training images; not asked for where a time is given.

    Raises:
        ConfigError: fewer than 1.
    """

    def automatic() -> tuple[int, str]:
        scale = 2500 if device == "cpu" else 12500
        epochs = min(300, max(10, round(scale / math.sqrt(images))))
        return epochs, f"{scale} / √{images:,} images on {device}, within 10 to 300"

    epochs = reasons.choose("epochs", settings.epochs, automatic)
    if epochs < 1:
        raise ConfigError(f"epochs {epochs}: 1 or more work")
    return epochs


def choose_recipe(recipe: Recipe, config: VisionTransformer, data: ImageData, reasons: Reasons) -> Recipe:
    """The recipe with its crop, padding and flip resolved (mixing and `ema_decay` come with the length)."""
    largest = max(config.image.height, config.image.width)
    crop = reasons.choose(
        "recipe.crop",
        recipe.crop,
        lambda: (
            ("pad", f"{largest} px is small: objects fill it")
            if largest <= 96
            else ("resized", f"{largest} px")
        ),
    )
    padding = reasons.choose(
        "recipe.padding", recipe.padding, lambda: (max(1, largest // 8), f"an eighth of {largest} px")
    )
    flip = reasons.choose(
        "recipe.flip",
        recipe.flip,
        lambda: (
            not data.writing,
            "a mirrored letter is another one" if data.writing else "not known to be writing",
        ),
    )
    recipe = dataclasses.replace(recipe, crop=crop, padding=padding, flip=flip)  # type: ignore[arg-type]
    return choose_moments(recipe)


def choose_by_length(recipe: Recipe, total_steps: int, steps_per_epoch: int, reasons: Reasons) -> Recipe:
    """The recipe with what depends on the length of the run resolved: mixing, and the averages' decay."""
    if max(recipe.mixup, recipe.cutmix) > 0:
        passes = total_steps / steps_per_epoch
        enough = passes >= PASSES_TO_MIX
        why = f"{passes:.3g} passes over the images; mixing pays from {PASSES_TO_MIX} on"
        mixed = reasons.choose(
            "recipe.mix_probability", recipe.mix_probability, lambda: (0.5 if enough else 0.0, why)
        )
        recipe = dataclasses.replace(recipe, mix_probability=mixed)
    if not recipe.ema:
        return recipe
    window = max(1, total_steps // 20)
    decay = reasons.choose(
        "recipe.ema_decay",
        recipe.ema_decay,
        lambda: (round(1 - 1 / window, 6), f"averages about {window} steps, a twentieth of the run"),
    )
    return dataclasses.replace(recipe, ema_decay=decay)


def estimated_seconds(
    settings: TrainSettings, macs: int, samples: int, device: str, machine: Machine
) -> float:
    """About how long a run takes, for choices that only need its order of magnitude."""
    if settings.time is not None:
        return parse_time(settings.time)
    if device.startswith("cuda"):
        per_second = min(20e12 / (3 * macs), 30_000.0)  # small models wait for launches, not for arithmetic
    else:
        per_second = (25e9 if machine.cpu_bfloat16 is None else 75e9) * max(1, machine.threads) / (3 * macs)
    return samples / per_second
