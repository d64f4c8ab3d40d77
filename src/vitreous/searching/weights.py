"""Where the weights of a layer are kept in a supernet: under what it is and where it stands.

A layer's weights belong to its number and to the tokens that it is given, (layer, stage) in a PSViT: tokens
differ in width from stage to stage. Inside a layer they belong to the role, so that options that differ
elsewhere share what they have in common (AutoFormer's weight entanglement, Chen et al., ICCV 2021):

    attention of its own, sliced, shared     one value and one output map; queries and keys apart from the
                                             values, since a sharing layer has none
    with a LaPE or without, once or twice    the same weights; a LaPE has a norm beside them
    norms, feed-forward                      one for all ways in which tokens meet before

Weights of another shape are other weights. Ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from vitreous.parts import (
    Attention,
    Block,
    ChannelSplit,
    LaPE,
    Mix,
    Recursive,
    SharedAttention,
    Sliced,
    Transposed,
)
from vitreous.parts.description import Description

Shape = tuple[int, ...]
JOINED = "qkv"


@dataclass(frozen=True)
class Source:
    """Where one tensor of a module comes from: names in the supernet, one after another along rows."""

    name: str
    kept: tuple[str, ...]
    shapes: tuple[Shape, ...]
    buffer: bool = False


def sources(part: Description, module: nn.Module, where: str) -> list[Source]:
    """For each weight and stored buffer of a module, what it is kept as.

    Args:
        part: the description.
        module: built from it.
        where: name of the place, `layers.3.at96x16`.
    """
    labels = sorted(_labels(part, "", where), key=lambda pair: -len(pair[0]))
    stored = set(module.state_dict())
    named: list[tuple[str, Tensor, bool]] = [(name, it, False) for name, it in module.named_parameters()]
    named += [(name, each, True) for name, each in module.named_buffers() if name in stored]
    found = []
    for name, tensor, buffer in named:
        prefix, label = next(pair for pair in labels if name.startswith(pair[0]))
        rest = name[len(prefix) :]
        shape = tuple(tensor.shape)
        if label.endswith("attention") and rest.startswith(f"{JOINED}."):
            width = shape[0] // 3
            kind = rest.removeprefix(f"{JOINED}.")
            kept = (f"{label}.query_key.{kind}", f"{label}.value.{kind}")
            found.append(Source(name, kept, ((2 * width, *shape[1:]), (width, *shape[1:]))))
        else:
            found.append(Source(name, (f"{label}.{rest}",), (shape,), buffer))
    return found


def _labels(part: Description, prefix: str, label: str) -> Iterator[tuple[str, str]]:
    """Prefixes of names inside the module, and what they are called in the supernet."""
    if isinstance(part, Block):
        numbers: dict[str, int] = {}
        for place, branch in enumerate(part.branches):
            kind = type(branch).__name__
            number = numbers[kind] = numbers.get(kind, -1) + 1
            yield from _labels(branch, f"{prefix}branches.{place}.", f"{label}.{kind}{number}")
    elif isinstance(part, Recursive):
        yield from _labels(part.block, f"{prefix}block.", label)
        yield f"{prefix}between.", f"{label}.between"
    elif isinstance(part, Mix):
        yield prefix, label
        yield from _labels(part.mixer, f"{prefix}mixer.", label)
    elif isinstance(part, Transposed):
        yield from _labels(part.part, f"{prefix}part.", f"{label}.part")
    elif isinstance(part, LaPE):
        yield prefix, f"{label}.lape"
        yield from _labels(part.mixer, f"{prefix}mixer.", label)
    elif isinstance(part, Sliced):
        yield from _labels(part.mixer, f"{prefix}mixer.", label)
    elif isinstance(part, ChannelSplit):
        for place, (_, mixer) in enumerate(part.slices):
            yield from _labels(mixer, f"{prefix}mixers.{place}.", f"{label}.split{place}")
    elif isinstance(part, Attention | SharedAttention):
        yield prefix, f"{label}.attention"
    else:
        yield prefix, label if prefix else f"{label}.{type(part).__name__}"
