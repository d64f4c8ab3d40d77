"""`vitreous data`: what is wrong with a data set, and what a model will see of it."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vitreous.cli.options import Verb, parse
from vitreous.cli.printed_config import as_json, as_yaml
from vitreous.data.loading import Loading
from vitreous.errors import ConfigError, DataError, did_you_mean
from vitreous.evaluation.settings import ShowSettings

if TYPE_CHECKING:
    from vitreous.data.check import DataCheck

MOST_CLASSES = 30


@dataclass(frozen=True, kw_only=True)
class CheckSettings:
    """A look at every image of a data set, and at its splits beside each other.

    Args:
        data: folder of class folders or a tar of them, parquet files or a glob of them, WebDataset shards as
            `wds:PATTERN`, a Hugging Face data set as `hf:NAME`, `torch/<name>` of torchvision, or `digits`;
            several files or patterns may be given.
        strict: warnings count as errors: exit code 3 unless everything is in order.
        loading: how images are read.
    """

    data: list[str]
    strict: bool = False
    loading: Loading = field(default_factory=Loading)


CHECK = Verb(
    name="data check",
    settings=CheckSettings,
    example="vitreous data check photos",
    positionals=("data",),
)
SHOW = Verb(
    name="data show",
    settings=ShowSettings,
    example="vitreous data show photos --out photos.html",
    positionals=("data",),
    config_files=True,
)


def run(words: Sequence[str]) -> int:
    """`check DATA` or `show DATA`."""
    kinds = {"check": _check, "show": _show}
    first = words[0] if words else "--help"
    if first in kinds:
        return kinds[first](words[1:])
    if first in ("-h", "--help"):
        print("usage: vitreous data check DATA [options]\n       vitreous data show DATA [options]\n")
        print(f"For example: {CHECK.example}")
        return 0
    raise ConfigError(f"data {first}: check DATA and show DATA work{did_you_mean(first, kinds, most=1)}")


def _check(words: Sequence[str]) -> int:
    asked = parse(CHECK, words)
    settings = asked.settings
    from vitreous.data.check import check_data

    checked = check_data(settings.data, loading=settings.loading)
    failed = bool(checked.errors or (settings.strict and checked.warnings))
    if asked.as_json:
        told = {
            "ok": not failed,
            "errors": len(checked.errors),
            "warnings": len(checked.warnings),
            "images": checked.images,
            "classes": checked.counts,
            "findings": [dataclasses.asdict(each) for each in checked.findings],
        }
        print(json.dumps(told, ensure_ascii=False))
    else:
        _print(checked)
    return DataError.exit_code if failed else 0


def _show(words: Sequence[str]) -> int:
    asked = parse(SHOW, words)
    if asked.print_config:
        print(as_json(asked) if asked.as_json else as_yaml(asked), end="")
        return 0
    from vitreous.evaluation.data_page import show_data

    page = show_data(asked.settings.out, settings=asked.settings)
    print(json.dumps({"page": str(page)}) if asked.as_json else page)
    return 0


def _print(checked: "DataCheck") -> None:
    from vitreous.cli.tables import print_table
    from vitreous.wording import plural

    largest = max(max(counts.values()) for counts in checked.counts.values())
    first = next(iter(checked.images))
    names = list(checked.counts)
    if len(names) > MOST_CLASSES:
        names.sort(key=lambda name: checked.counts[name][first])
        half = MOST_CLASSES // 2
        print(f"The {half} smallest and {half} largest of {len(names):,} classes:")
        names = names[:half] + names[-half:]
    rows = [
        (
            name,
            *(f"{count:,}" for count in checked.counts[name].values()),
            f"{checked.counts[name][first] / max(1, largest):.2f}",
        )
        for name in names
    ]
    print_table(("class", *checked.images, "of the largest"), rows)
    print(f"\n{checked}\n")
    errors, warnings = len(checked.errors), len(checked.warnings)
    print(
        f"{plural(sum(checked.images.values()), 'image')}: {plural(errors, 'error')}, "
        f"{plural(warnings, 'warning')}" + ("; --json lists every image named" if errors + warnings else "")
    )
