"""ImageNet as it is unpacked: folders by WordNet number, and 50,000 validation images in one flat folder.

Folders `n01440764` get readable names, `tench`, in the order of their numbers, which is everybody's order of
the thousand classes. A name that two of the thousand share, and any class beyond them, keeps its number:
`crane (n03126707)`. Names are timm's table of WordNet lemmas.

The classes of flat validation images (`ILSVRC2012_val_00000001.JPEG`) are those of the development kit,
packed or unpacked, or of Kaggle's `LOC_val_solution.csv`, beside the data or up to three folders above. The
kit numbers classes in an order of its own; `meta.mat` says which WordNet number each is, as torchvision reads
it.
"""

import csv
import io
import re
import tarfile
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from vitreous.errors import DataError

WORDNET = re.compile(r"n\d{8}")
FLAT = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG", re.IGNORECASE)
KIT = "ILSVRC2012_devkit_t12"
META, TRUTH = "data/meta.mat", "data/ILSVRC2012_validation_ground_truth.txt"
KAGGLE = "LOC_val_solution.csv"


def readable_names(folders: Sequence[str]) -> tuple[str, ...]:
    """Class names for folders that are WordNet numbers; any others stay as they are."""
    if not folders or not all(WORDNET.fullmatch(each) for each in folders):
        return tuple(folders)
    return tuple(_readable(each) for each in folders)


def _readable(number: str) -> str:
    lemmas, counts = _lemmas()
    if number not in lemmas:
        return number
    name, one_of_the_thousand = lemmas[number]
    return name if one_of_the_thousand and counts[name] == 1 else f"{name} ({number})"


@cache
def _lemmas() -> tuple[dict[str, tuple[str, bool]], Counter[str]]:
    """First lemma of each WordNet number, whether it is of the thousand, and how often those have a name."""
    from timm.data.imagenet_info import ImageNetInfo

    found: dict[str, tuple[str, bool]] = {}
    for subset in ("imagenet-22k", "imagenet-1k"):
        info = ImageNetInfo(subset)
        for number in info.label_names():
            first = info.label_name_to_description(number).split(", ")[0]
            found[number] = first, subset == "imagenet-1k"
    return found, Counter(name for name, one_of_the_thousand in found.values() if one_of_the_thousand)


def flat_validation(root: Path, part: Path) -> dict[str, list[str]]:
    """The files of a flat validation folder by WordNet number; empty where it holds none.

    Args:
        root: the data folder.
        part: `val` in it.

    Raises:
        DataError: nobody says which classes they are.
    """
    files = sorted(each.name for each in part.iterdir() if FLAT.fullmatch(each.name))
    if not files:
        return {}
    classes = _classes(root)
    if classes is None:
        raise DataError(
            f"{part}: {len(files):,} ImageNet validation images without their classes; put "
            f"{KIT}.tar.gz, or {KIT} unpacked, or Kaggle's {KAGGLE} beside {root.name}"
        )
    found: dict[str, list[str]] = {}
    for name in files:
        number = name[15:23]
        if number not in classes:
            raise DataError(f"{part / name}: the list of classes ends at image {len(classes):,}")
        found.setdefault(classes[number], []).append(str(part / name))
    return dict(sorted(found.items()))


def _classes(root: Path) -> dict[str, str] | None:
    """WordNet number by number of the validation image (`00000001`), from the nearest file that tells."""
    for folder in (root, *root.absolute().parents[:3]):
        if (folder / KIT / META).is_file() and (folder / KIT / TRUTH).is_file():
            return _from_kit((folder / KIT / META).read_bytes(), (folder / KIT / TRUTH).read_text())
        if (folder / f"{KIT}.tar.gz").is_file():
            try:
                with tarfile.open(folder / f"{KIT}.tar.gz") as kit:
                    contents = [kit.extractfile(f"{KIT}/{name}") for name in (META, TRUTH)]
                    meta, truth = (each.read() for each in contents if each is not None)
            except (tarfile.TarError, KeyError, ValueError, OSError) as error:
                raise DataError(f"{folder / KIT}.tar.gz: cannot be read ({error})") from error
            return _from_kit(meta, truth.decode())
        if (folder / KAGGLE).is_file():
            with (folder / KAGGLE).open(newline="") as lines:
                return {row["ImageId"][-8:]: row["PredictionString"][:9] for row in csv.DictReader(lines)}
    return None


def _from_kit(meta: bytes, truth: str) -> dict[str, str]:
    from scipy.io import loadmat

    synsets = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
    # number, WordNet number, words, gloss, children, …; those with children are no classes
    names = {int(each[0]): str(each[1]) for each in synsets if each[4] == 0}
    return {f"{line:08}": names[int(number)] for line, number in enumerate(truth.split(), start=1)}
