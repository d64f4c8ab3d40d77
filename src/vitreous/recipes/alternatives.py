"""Settings that say one thing in two ways: of these, the one that was said last counts.

So `--time 30m` goes with a recipe of 300 epochs, and `--recipe.warmup 0.1` is not overruled in silence by a
recipe's `warmup_epochs`.
"""

from collections.abc import Iterable
from typing import Any

PAIRS = (
    ("epochs", "time"),
    ("lr", "recipe.lr_per_512"),
    ("recipe.warmup", "recipe.warmup_epochs"),
    ("recipe.final_lr", "recipe.min_lr"),
)
OTHER = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}


def overruled(below: dict[str, Any], said: Iterable[str]) -> dict[str, Any]:
    """What stays of the settings below a layer, by dotted names: all but those said there in another way.

    Args:
        below: settings, or anything by their names.
        said: names of the settings of the layer; two of a pair may both be there.
    """
    names = set(said)
    gone = {OTHER[name] for name in names if name in OTHER} - names
    return {name: value for name, value in below.items() if name not in gone}
