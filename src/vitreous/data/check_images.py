"""Checks of pictures one by one: unreadable, odd sizes, odd brightness, JPEG under another name.

The thresholds are ours; `benchmarks/data_check.py` shows what they say of real sets.
"""

from collections.abc import Mapping

import numpy as np

from vitreous.data.examine import Examined
from vitreous.data.findings import ERROR, OK, WARNING, Finding
from vitreous.data.jpeg_traces import JpegTraces, jpeg_traces
from vitreous.wording import first_few, plural

LONG = 3.0
"""Aspect ratio from which a centred square shows less than a third of a picture."""
SMALL = 16
DIFFERENT_BRIGHTNESS = 0.1
CIFAR_10 = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
CIFAR_STATISTICS = {
    10: ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    100: ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
LOSSY = {"JPEG", "MPO", "JPEG2000", "AVIF", "WEBP"}


def check_readable(splits: Mapping[str, Examined], *, skip: bool = False) -> Finding:
    """Every file decodes to its last pixel; with `skip` those that do not are left out, which is said."""
    bad = [
        f"{each.where(row)} ({reason})" for each in splits.values() for row, reason in each.reasons.items()
    ]
    total = sum(len(each.readable) for each in splits.values())
    if not bad:
        return Finding("readable", OK, f"all {total:,} images decode to their last pixel")
    return Finding(
        "readable",
        WARNING if skip else ERROR,
        f"{len(bad):,} of {plural(total, 'image')} cannot be read: {first_few(bad, 5)}",
        "repair or remove them, or leave them out with --loading.skip-unreadable",
        tuple(bad),
    )


def check_sizes(splits: Mapping[str, Examined]) -> list[Finding]:
    """Spread of sizes, long and tiny pictures, grey among colour."""
    found = []
    sides = [(each, each.rows, each.height[each.rows], each.width[each.rows]) for each in splits.values()]
    height, width = (np.concatenate([side[at] for side in sides]) for at in (2, 3))
    grey = np.concatenate([each.grey[rows] for each, rows, _, _ in sides])
    same = len(np.unique(height)) == len(np.unique(width)) == 1
    spread = f"all {height[0]}×{width[0]}" if same else _spread(height, width)
    kind = "greyscale" if grey.all() else "colour"
    if grey.any() and not grey.all():
        kind += f", {int(grey.sum()):,} of them stored as greyscale"
    found.append(Finding("sizes", OK, f"{spread} pixels, {kind}"))
    long = [
        f"{each.where(row)} ({h}×{w})"
        for each, rows, heights, widths in sides
        for row, h, w in zip(rows, heights, widths, strict=True)
        if max(h, w) >= LONG * min(h, w)
    ]
    if long:
        found.append(
            Finding(
                "shapes",
                WARNING,
                f"{plural(len(long), 'image')} at least {LONG:.0f} times as long as wide: {first_few(long)}",
                "a model sees the centred square alone: cut them to what matters",
                tuple(long),
            )
        )
    typical = float(np.median(np.minimum(height, width)))
    tiny = [
        f"{each.where(row)} ({h}×{w})"
        for each, rows, heights, widths in sides
        for row, h, w in zip(rows, heights, widths, strict=True)
        if min(h, w) < min(SMALL, typical / 2)
    ]
    if tiny:
        found.append(
            Finding(
                "small images",
                WARNING,
                f"{plural(len(tiny), 'image')} far smaller than the others: {first_few(tiny)}",
                "enlarged, they show nothing: look at them, icons and placeholders are usual",
                tuple(tiny),
            )
        )
    return found


def _spread(height: np.ndarray, width: np.ndarray) -> str:
    low, mid, high = (
        f"{int(np.quantile(height, at, method='nearest'))}×{int(np.quantile(width, at, method='nearest'))}"
        for at in (0, 0.5, 1)
    )
    return f"{low} to {high} (median {mid})"


def check_pixels(splits: Mapping[str, Examined]) -> list[Finding]:
    """One colour only, the wrong range, normalised before, splits of different brightness."""
    found = []
    mean, deviation = statistics(next(iter(splits.values())))
    figures = f"mean {_numbers(mean)}, deviation {_numbers(deviation)} of 0 to 1"
    flat = [
        f"{each.where(row)} (all {int(each.lowest[row])})"
        for each in splits.values()
        for row in each.rows
        if each.lowest[row] == each.highest[row]
    ]
    if flat:
        found.append(
            Finding(
                "one colour",
                WARNING,
                f"{plural(len(flat), 'image')} of one value alone: {first_few(flat)}",
                "nothing can be learned from them: remove or replace them",
                tuple(flat),
            )
        )
    found += [problem for each in splits.values() for problem in _range_problems(each)]
    means = {name: float(statistics(each)[0].mean()) for name, each in splits.items() if len(each.rows)}
    dark, bright = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    spread = {name: float(each.mean[each.rows].std()) / 255 for name, each in splits.items()}
    certain = 6 * max(spread[name] / max(1, len(splits[name].rows)) ** 0.5 for name in means)
    if means[bright] - means[dark] > max(DIFFERENT_BRIGHTNESS, certain):
        found.append(
            Finding(
                "brightness",
                ERROR,
                f"{bright} is far brighter than {dark}: mean {means[bright]:.3f} beside {means[dark]:.3f}",
                "the splits were prepared differently; prepare them alike",
            )
        )
    if not found:
        found.append(Finding("pixel values", OK, figures))
    return found


def statistics(examined: Examined) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation a channel of a split, 0 to 1, every image counting alike: (3,) each."""
    mean, square = examined.colour / max(1, len(examined.rows))
    return mean / 255, np.sqrt(np.maximum(square - mean**2, 0)) / 255


def _range_problems(each: Examined) -> list[Finding]:
    rows = each.rows
    if len(rows) < 2:
        return []
    highest, lowest = int(each.highest[rows].max()), int(each.lowest[rows].min())
    if highest <= 1:
        return [
            Finding(
                "pixel range",
                ERROR,
                f"{each.split}: no pixel is above {highest} of 255, as if 0 to 1 had been saved as 8 bits",
                "save the images again from the original, times 255",
            )
        ]
    if highest - lowest < 32:
        return [
            Finding(
                "pixel range",
                WARNING,
                f"{each.split}: all pixels lie between {lowest} and {highest} of 255",
                "save the images again from the original: most of their shades are lost",
            )
        ]
    mean, deviation = each.mean[rows], each.deviation[rows]
    alike = mean.std() < 1 and deviation.std() < 1 and len(np.unique(each.digest[rows])) > len(rows) // 2
    if alike:
        return [
            Finding(
                "normalised",
                WARNING,
                f"{each.split}: every image has mean {mean.mean():.0f} and deviation "
                f"{deviation.mean():.0f}, as if each had been normalised on its own",
                "pictures given to predict must be prepared in the same way, or use the originals",
            )
        ]
    return []


def check_jpeg(splits: Mapping[str, Examined]) -> list[Finding]:
    """Pictures that went through JPEG, told by their pixels; copies of CIFAR are recognised."""
    traces = {name: jpeg_traces(each.corners) for name, each in splits.items()}
    seen = {name: each for name, each in traces.items() if each and each.found}
    first = next(iter(splits.values()))
    if not seen:
        told = any(traces.values())
        text = "no traces of JPEG in the pixels" if told else "images too small or too few to tell"
        return [Finding("compression", OK, text)]
    if clean := [name for name, each in traces.items() if each and not each.found]:
        return [
            Finding(
                "compression",
                WARNING,
                f"{first_few(seen)} went through JPEG ({_quality(seen)}) and {first_few(clean)} did not",
                "the splits were prepared differently; a model can see it",
            )
        ]
    cifar = _is_cifar(first)
    if cifar:
        return [
            Finding(
                "compression",
                WARNING,
                f"this is {cifar} after JPEG ({_quality(seen)}), told by the pixels, not the original",
                "published numbers are measured on the lossless original and 2 to 3 points higher: compare "
                "only runs on this copy with each other",
            )
        ]
    lossless = sum(n for each in splits.values() for kind, n in each.formats.items() if kind not in LOSSY)
    if lossless:
        return [
            Finding(
                "compression",
                WARNING,
                f"{plural(lossless, 'image')} in lossless files went through JPEG before ({_quality(seen)})",
                "fine detail is lost: use the originals where there are any, and compare numbers only on "
                "this copy",
            )
        ]
    return [Finding("compression", OK, f"JPEG, {_quality(seen)}")]


def _quality(seen: Mapping[str, JpegTraces]) -> str:
    return f"quality about {next(iter(seen.values())).quality}"


def _is_cifar(each: Examined) -> str | None:
    """`CIFAR-10` or `CIFAR-100` by image size and class names, or mean and deviation; else None."""
    rows, names = each.rows, each.records.names
    if not len(rows) or each.grey[rows].all() or set(each.height[rows]) | set(each.width[rows]) != {32}:
        return None
    if {name.lower() for name in names} == CIFAR_10:
        return "CIFAR-10"
    mean, deviation = statistics(each)
    for classes, expected in CIFAR_STATISTICS.items():
        near = max(np.abs(mean - expected[0]).max(), np.abs(deviation - expected[1]).max())
        if near < 0.01 and len(names) in (classes, 20):
            return f"CIFAR-{classes}"
    return None


def _numbers(values: np.ndarray) -> str:
    if np.ptp(values) < 1e-9:
        return f"{values[0]:.3f}"
    return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"
