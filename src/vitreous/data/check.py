"""`vitreous data check`: what is wrong with a data set, before anything is trained on it.

    checked = check_data("photos")
    print(checked.errors)          # findings that would falsify results
    print(checked.counts["cat"])   # {"train": 812, "val": 90}

Nothing is written, and nothing stops at the first problem: every check answers.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from vitreous.data.check_classes import check_balance, check_class_maps, class_counts
from vitreous.data.check_duplicates import check_duplicates
from vitreous.data.check_images import check_jpeg, check_pixels, check_readable, check_sizes
from vitreous.data.examine import examine
from vitreous.data.findings import ERROR, MARKS, WARNING, Finding
from vitreous.data.loading import Loading
from vitreous.data.sources import find_source
from vitreous.errors import DataError

ORDER = ("train", "all", "val", "test")


@dataclass(frozen=True, eq=False)
class DataCheck:
    """The answers of all checks.

    Args:
        images: by split, unreadable ones included.
        counts: images by class name and split.
        findings: one or more a check, in a fixed order.
    """

    images: dict[str, int]
    counts: dict[str, dict[str, int]]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that would falsify results."""
        return tuple(each for each in self.findings if each.level == ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that cost accuracy or make comparisons unfair."""
        return tuple(each for each in self.findings if each.level == WARNING)

    def __str__(self) -> str:
        lines = []
        for each in self.findings:
            lines.append(f"{MARKS[each.level]} {each.check:<24}  {each.text}")
            lines += [f"{'':<28}→ {each.advice}"] if each.advice else []
        return "\n".join(lines)


def check_data(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, loading: Loading | None = None
) -> DataCheck:
    """Look at every image of every split that a data set names, and compare the splits.

    Args:
        data: as for training.
        loading: how images are read; images that are to be skipped and classes that may be missing are
            warnings then, not errors.

    Raises:
        DataError: nothing there, or no image in it can be read.
        ConfigError: settings that cannot be used.
    """
    given = [str(data)] if isinstance(data, str | os.PathLike) else [str(each) for each in data]
    loading = loading or Loading()
    source = find_source(given, loading)
    names = sorted(source.parts, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    every = {name: examine(name, source.parts[name]) for name in names}
    images = {name: len(each.readable) for name, each in every.items()}
    readable = {name: each for name, each in every.items() if len(each.rows)}
    if not readable:
        first = next(iter(every.values()))
        why = next(iter(first.reasons.items()), None)
        raise DataError(
            f"{' '.join(given)}: none of its images can be read"
            + (f"; {first.where(why[0])}: {why[1]}" if why else "")
        )
    findings = [
        check_readable(every, skip=loading.skip_unreadable),
        *check_class_maps(every, allow_missing=loading.allow_missing_classes),
        check_balance(every),
        *check_sizes(readable),
        *check_pixels(readable),
        *check_jpeg(readable),
        *check_duplicates(readable),
    ]
    return DataCheck(images, class_counts(every), tuple(findings))
