"""Weights under other people's names: a table of name beginnings, read both ways, with nothing left over.

A table is a tuple of pairs (theirs, ours): the beginnings of state-dict keys, up to a dot or the whole key,
such as `("blocks.0.attn.qkv.", "layers.0.branches.0.mixer.qkv.")`. The part of a key behind the beginning
stays. Tables live beside their models (`models/eit.py`, `models/deit.py`).
"""

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

from vitreous.errors import ConfigError, VerifyError

Value = TypeVar("Value")
Table = tuple[tuple[str, str], ...]


def to_ours(state: Mapping[str, Value], table: Table) -> dict[str, Value]:
    """Keys under our names; raises ConfigError for a key that the table does not know."""
    return _rename(state, table)


def to_theirs(state: Mapping[str, Value], table: Table) -> dict[str, Value]:
    """Keys under their names; raises ConfigError for a key that the table does not know."""
    return _rename(state, tuple((ours, theirs) for theirs, ours in table))


def load_theirs(model: nn.Module, state: Mapping[str, Tensor], table: Table) -> None:
    """Copies weights under their names into a model.

    Raises:
        ConfigError: a weight that the table does not know.
        VerifyError: a weight that is left over on either side, or has another shape.
    """
    given = to_ours(state, table)
    own = model.state_dict()
    for there, missing in (
        ("the model", own.keys() - given.keys()),
        ("the weights", given.keys() - own.keys()),
    ):
        if missing:
            raise VerifyError(
                f"left over in {there}: {', '.join(sorted(missing))}; this is another architecture"
            )
    for name, weight in given.items():
        if weight.shape != own[name].shape:
            raise VerifyError(
                f"{name} is {tuple(weight.shape)} in the weights, {tuple(own[name].shape)} in the model"
            )
    model.load_state_dict(given)


def _rename(state: Mapping[str, Value], table: Table) -> dict[str, Value]:
    renamed = {}
    for key, value in state.items():
        # The longest beginning wins, so that `norm.` and `norm.inner.` may stand in one table.
        fitting = [pair for pair in table if key.startswith(pair[0])]
        if not fitting:
            raise ConfigError(f"no name is known for the weight {key!r}")
        before, after = max(fitting, key=lambda pair: len(pair[0]))
        renamed[after + key.removeprefix(before)] = value
    if len(renamed) < len(state):
        raise ConfigError("two weights would get the same name; the table of names is wrong")
    return renamed
