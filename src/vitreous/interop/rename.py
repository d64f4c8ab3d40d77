"""Weights under other people's names: a table of name beginnings, read both ways, with nothing left over.

A table is a tuple of pairs (theirs, ours): the beginnings of state-dict keys, up to a dot or the whole key,
such as `("blocks.0.attn.qkv.", "layers.0.branches.0.mixer.qkv.")`. The part of a key behind the beginning
stays. Tables live beside their models (`models/eit.py`, `models/deit.py`).

Two of their names may stand for one of ours: code that applies a block twice may save it twice (SReT). Both
must then hold the same values; on the way back both are written. A weight of theirs that our model computes
(a sinusoid, an index) is compared with it instead of loaded.
"""

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from vitreous.errors import ConfigError, VerifyError

Value = TypeVar("Value")
Table = tuple[tuple[str, str], ...]


def to_ours(state: Mapping[str, Value], table: Table) -> dict[str, Value]:
    """Keys under our names.

    Raises:
        ConfigError: a key that the table does not know, or two unequal weights under one name.
    """
    return _rename(state, table)


def to_theirs(state: Mapping[str, Value], table: Table) -> dict[str, Value]:
    """Keys under their names, each under all it has; raises ConfigError for a key the table does not know."""
    return _rename(state, tuple((ours, theirs) for theirs, ours in table))


def load_theirs(model: nn.Module, state: Mapping[str, Tensor], table: Table) -> None:
    """Copies weights under their names into a model.

    Raises:
        ConfigError: two unequal weights under one name.
        VerifyError: a weight that is left over on either side, has another shape, or is not what our model
            computes in its place.
    """
    unknown = [key for key in state if not any(key.startswith(theirs) for theirs, _ in table)]
    given = to_ours({key: weight for key, weight in state.items() if key not in unknown}, table)
    own = model.state_dict()
    computed = {name: value for name, value in model.named_buffers() if name not in own}
    left = [
        f"left over in {there}: {listed(names)}; "
        for there, names in (
            ("the model", sorted(own.keys() - given.keys())),
            ("the weights", sorted(unknown) + sorted(given.keys() - own.keys() - computed.keys())),
        )
        if names
    ]
    if left:
        raise VerifyError(f"{''.join(left)}this is another architecture")
    for name, weight in given.items():
        shape = (own | computed)[name].shape
        if not (weight.shape == shape or (name in computed and weight.numel() == shape.numel())):
            raise VerifyError(f"{name} is {tuple(weight.shape)} in the weights, {tuple(shape)} in the model")
    for name in computed.keys() & given.keys():
        theirs = given.pop(name).reshape(computed[name].shape)
        # Some released code rounds an angle before its sine: off by 3e-5 at the 576th token.
        if not torch.allclose(theirs, computed[name].to(theirs.dtype), rtol=0, atol=1e-4):
            raise VerifyError(f"{name} differs from what the model computes; this is another architecture")
    model.load_state_dict(given)


def _rename(state: Mapping[str, Value], table: Table) -> dict[str, Value]:
    renamed: dict[str, Value] = {}
    for key, value in state.items():
        # The longest beginning wins, so that `norm.` and `norm.inner.` may stand in one table.
        longest = max((len(before) for before, _ in table if key.startswith(before)), default=None)
        if longest is None:
            raise ConfigError(f"no name is known for the weight {key!r}")
        for before, after in table:
            if len(before) == longest and key.startswith(before):
                name = after + key.removeprefix(before)
                if name in renamed and not _same(renamed[name], value):
                    raise ConfigError(f"two unequal weights would get the name {name!r}")
                renamed[name] = value
    return renamed


def listed(names: list[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _same(first: object, second: object) -> bool:
    if isinstance(first, Tensor) and isinstance(second, Tensor) and first is not second:
        return torch.equal(first, second)
    return first is second
