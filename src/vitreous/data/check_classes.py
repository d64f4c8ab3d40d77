"""Checks of classes: names that fit between splits, ids that mean the same, and balance."""

from collections.abc import Mapping

import numpy as np

from vitreous.data.class_map import shifted_numbers
from vitreous.data.examine import Examined
from vitreous.data.findings import ERROR, OK, WARNING, Finding
from vitreous.data.label_agreement import agreement
from vitreous.data.labels import images_by_class, is_multi_label
from vitreous.wording import first_few, plural

UNBALANCED = 3.0
"""Images of the largest class over the smallest from which a model tends to forget the smallest."""
FEW = 10
LOW_TERMS = 8


def class_counts(splits: Mapping[str, Examined]) -> dict[str, dict[str, int]]:
    """Images by class name and split, the classes of the first split first, in its order."""
    table: dict[str, dict[str, int]] = {}
    for split, each in splits.items():
        counts = images_by_class(each.labels, len(each.records.names))
        for name, count in zip(each.records.names, counts.tolist(), strict=True):
            table.setdefault(name, dict.fromkeys(splits, 0))[split] += count
    return table


def check_class_maps(splits: Mapping[str, Examined], *, allow_missing: bool = False) -> list[Finding]:
    """Every split has the classes of training, and their ids mean the same pictures."""
    first_name, first = next(iter(splits.items()))
    table = class_counts(splits)
    known = {name for name, counts in table.items() if counts[first_name]}
    found = []
    if empty := [name for name in first.records.names if name not in known]:
        found.append(
            Finding(
                "classes",
                WARNING,
                f"{plural(len(empty), 'class')} named without a {first_name} image: {first_few(empty, 5)}",
                "they are left out of the model",
                tuple(empty),
            )
        )
    if alike := _alike(sorted(known)):
        found.append(
            Finding("classes", WARNING, f"class names that differ in spelling alone: {first_few(alike)}",
                    "merge them if they mean the same", tuple(alike))
        )  # fmt: skip
    for split, each in list(splits.items())[1:]:
        names = {name for name, counts in table.items() if counts[split]}
        if strange := sorted(names - known):
            found.append(
                Finding(
                    "classes",
                    ERROR,
                    f"{split} has {plural(len(strange), 'class')} that {first_name} lacks: "
                    f"{first_few(strange, 5)}{shifted_numbers(names, known)}",
                    "use the same class names in every split",
                    tuple(strange),
                )
            )
            continue
        if absent := [name for name in first.records.names if name in known - names]:
            found.append(
                Finding(
                    "classes",
                    ERROR if split == "val" and not allow_missing else WARNING,
                    f"{split} has no image of {plural(len(absent), 'class')}: {first_few(absent, 5)}",
                    "add some, or accept it with --loading.allow-missing-classes",
                    tuple(absent),
                )
            )
        found += _same_meaning(first, each)
    if not found:
        order = all(each.records.names == first.records.names for each in splits.values())
        apart = "" if order else "; splits number them differently, which is put right by name"
        found.append(Finding("classes", OK, f"{len(known)} classes, the same in every split{apart}"))
    return found


def _same_meaning(first: Examined, each: Examined) -> list[Finding]:
    """A permutation of ids shows in the pictures, where each has one class."""
    if is_multi_label(first.labels) or is_multi_label(each.labels):
        return []
    place = {name: at for at, name in enumerate(first.records.names)}
    labels = np.array([place.get(name, -1) for name in each.records.names])[each.labels]
    rows = each.rows[labels[each.rows] >= 0]
    if not len(rows) or not len(first.rows):
        return []

    def features(of: Examined, which: np.ndarray) -> np.ndarray:
        return of.terms[which, :LOW_TERMS, :LOW_TERMS].reshape(len(which), -1)

    told = agreement(
        features(first, first.rows), first.labels[first.rows], features(each, rows), labels[rows],
        len(first.records.names),
    )  # fmt: skip
    if told.agrees:
        return []
    names = first.records.names
    moved = [
        f"{names[at]} looks like {names[to]}" for at, to in enumerate(told.meaning)
        if at != to and (labels[rows] == at).any()
    ]  # fmt: skip
    return [
        Finding(
            "label meaning",
            ERROR,
            f"the labels of {each.split} seem to be exchanged: {first_few(moved)}; the nearest class mean of "
            f"{first.split} is right for {100 * told.as_labelled:.0f} % of its images, and for "
            f"{100 * told.reassigned:.0f} % with other ids",
            "look at `vitreous data show`, and correct the ids",
            tuple(moved),
        )
    ]


def _alike(names: list[str]) -> list[str]:
    spelled: dict[str, list[str]] = {}
    for name in names:
        spelled.setdefault(name.lower().strip().replace("_", " ").replace("-", " "), []).append(name)
    return [" and ".join(f"'{each}'" for each in same) for same in spelled.values() if len(same) > 1]


def check_balance(splits: Mapping[str, Examined]) -> Finding:
    """Images of the largest class over the smallest, in the first split."""
    split, first = next(iter(splits.items()))
    counts = images_by_class(first.labels, len(first.records.names))
    names = np.array(first.records.names)[counts > 0]
    counts = counts[counts > 0]
    least, most = int(counts.argmin()), int(counts.argmax())
    ratio = counts[most] / counts[least]
    if ratio == 1:
        return Finding("balance", OK, f"{plural(int(counts[0]), f'{split} image')} in every class")
    text = (
        f"{split}: largest {names[most]} with {counts[most]:,}, smallest {names[least]} with "
        f"{counts[least]:,} (ratio {ratio:.3g})"
    )
    if ratio >= UNBALANCED:
        evened = (
            "--recipe.balance sampler shows every class equally often, --recipe.balance weights weighs its "
            "loss; look at macro F1 rather than at accuracy"
        )
        several = "mean average precision and macro F1 count every class alike; look at these"
        return Finding("balance", WARNING, text, several if is_multi_label(first.labels) else evened)
    if counts[least] < FEW:
        return Finding("balance", WARNING, text, f"fewer than {FEW} images hardly make a class: add some")
    return Finding("balance", OK, text)
