"""One network that holds the weights of every model of a space: a genome is a path through it.

    supernet = Supernet(space)
    logits = supernet(images, genome)      exactly what the model cut out of it gives
    model = supernet.cut_out(genome)       an ordinary model with a copy of these weights

A path is made of the parts' own modules, whose weights are those kept here (`weights.py`), so there is no
second implementation of anything that could differ. Weights that a path does not use get no gradient: it is
None, not zero, so no optimizer decays or moves them. Single-path training is SPOS's (Guo et al., ECCV 2020),
sharing weights between options AutoFormer's (Chen et al., ICCV 2021); PSViT's own scheme is not known.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.models.vision_transformer import VisionTransformerModule, build
from vitreous.parts import Block, Part, TokenShape
from vitreous.parts.drop import set_drop_rates
from vitreous.searching.lattice import Lattice
from vitreous.searching.space import Genome, Space, Walk
from vitreous.searching.weights import JOINED, Source, sources
from vitreous.training.parallel import synchronize_batch_norm
from vitreous.training.world import World


@dataclass(frozen=True)
class _Place:
    """One piece of a path: where it stands, what it is, and the shape that it is given."""

    where: str
    part: Any
    shape: Any
    layer: int | None


class Supernet(nn.Module):
    """The weights of a space.

    Args:
        space: what is held.
        dropout, attention_dropout, drop_path: of the recipe, as `vitreous.build` takes them; the rule of the
            config spreads the last over the layers.
        world: processes that train it together, all of whose images BatchNorm then sees; None for this alone.

    Weights are drawn from torch's default generator, as the config's `init` says.
    """

    def __init__(
        self,
        space: Space,
        *,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        world: World | None = None,
    ) -> None:
        super().__init__()
        self.space, self._world = space, world or World()
        self.config = space.config
        self.depth = space.lattices[0].depth
        shares = space.config.drop_path.shares([True] * self.depth)
        self._rates = [
            {"dropout": dropout, "attention_dropout": attention_dropout, "drop_path": drop_path * share}
            for share in shares
        ]
        self._ends_rates = {"dropout": dropout, "attention_dropout": attention_dropout, "drop_path": 0.0}
        for slot in ("stem", "prefix", "position", "head"):
            self.add_module(slot, nn.Module())
        # behind the layers, so that optimizers take them for layers as well: the pools, each for all places
        self.layers = nn.ModuleList(nn.Module() for _ in range(self.depth + space.pools))
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._modules_made: dict[tuple[Any, ...], nn.Module] = {}
        for lattice in space.lattices:
            for place in _places(lattice):
                self._take_in(place)

    def forward(
        self, image: Float[Tensor, "batch channels height width"], genome: Genome
    ) -> Float[Tensor, "batch classes"]:
        """One logit a class of the model that the genome stands for; raises what `Space.walk` raises."""
        *before, head = self.path(genome)
        tokens: Any = image
        for module in before:
            tokens = module(tokens)
        logits: Tensor = head(tokens)
        return logits

    def path(self, genome: Genome) -> list[nn.Module]:
        """The modules of a model, from the stem to the head; their weights are the supernet's."""
        return [self._module(place) for place in _path(self.space.walk(genome))]

    def used(self, genome: Genome) -> set[str]:
        """Names of the weights on a path."""
        names: set[str] = set()
        for place in _path(self.space.walk(genome)):
            names |= {name for each in _sources(place) for name in self._names(each) if not each.buffer}
        return names

    def cut_out(self, genome: Genome) -> VisionTransformerModule:
        """The model of a genome by itself, with a copy of its weights, on the supernet's device and type."""
        walk = self.space.walk(genome)
        model = build(self.space.assembled(walk))
        state: dict[str, Tensor] = {}
        for place, prefixes in zip(_path(walk), _standalone(walk), strict=True):
            for each in _sources(place):
                kept = [self._kept(name) for name in self._names(each)]
                state[_renamed(each.name, prefixes)] = torch.cat(kept) if len(kept) > 1 else kept[0]
        first = next(self.parameters())
        model.to(first.device, first.dtype)
        model.load_state_dict({name: each.detach() for name, each in state.items()})
        return model.train(self.training)

    def train(self, mode: bool = True) -> "Supernet":
        """As any module; the modules of all paths follow."""
        if mode != self.training:  # there are some hundred of them, and this is asked for at every step
            for module in self._modules_made.values():
                module.train(mode)
            super().train(mode)
        return self

    def leave(self) -> None:
        """From here on this process uses it by itself, in its own order."""
        self._world = World()
        self._modules_made.clear()

    def _apply(self, fn: Any, recurse: bool = True) -> "Supernet":
        self._modules_made.clear()  # they are made anew from the moved weights
        super()._apply(fn, recurse)
        return self

    def _module(self, place: _Place) -> nn.Module:
        """The module at a place over the supernet's weights, made when it is first asked for."""
        key = (place.where, place.part, place.shape)
        made = self._modules_made.get(key)
        if made is None:
            made = self._modules_made[key] = self._bound(place)
        return made

    def _bound(self, place: _Place) -> nn.Module:
        module = _built(place)
        for each in _sources(place):
            path, _, last = each.name.rpartition(".")
            owner = module.get_submodule(path)
            if len(each.kept) == 1:
                kept = self._kept(self._names(each)[0])
                (owner._buffers if each.buffer else owner._parameters)[last] = kept  # type: ignore[assignment]
            else:
                outer = module.get_submodule(path.rpartition(".")[0])
                joined = getattr(outer, JOINED)
                if not isinstance(joined, _JoinedLinear):
                    joined = _JoinedLinear()
                    setattr(outer, JOINED, joined)
                joined.pieces[last] = [self._kept(name) for name in self._names(each)]
        synchronize_batch_norm(module, self._world)
        rates = self._ends_rates if place.layer is None else self._rates[place.layer]
        set_drop_rates(module, **rates)
        first = next(self.parameters())
        for owner in module.modules():  # what is computed and not stored follows the weights
            for name, buffer in owner._buffers.items():
                if buffer is not None and name in owner._non_persistent_buffers_set:
                    moved = buffer.to(first.device, first.dtype if buffer.is_floating_point() else None)
                    owner._buffers[name] = moved
        return module.train(self.training)

    def _take_in(self, place: _Place) -> None:
        """Keep the weights of a piece that are not there yet, drawn as the config says."""
        found = _sources(place)
        if all(name in self._shapes for each in found for name in self._names(each)):
            return
        module = _built(place)
        holder = nn.Module()
        holder.prefix, holder.position = nn.Module(), nn.Module()
        holder.layers = nn.ModuleList()
        slot = place.where.partition(".")[0]
        if slot == "layers":
            holder.layers.append(module)
        else:
            setattr(holder, slot, module)
        self.config.init.initialize(holder)
        state = dict(module.named_parameters()) | dict(module.named_buffers())
        exempt = {
            f"{name}.{each}" if name else each
            for name, inner in module.named_modules()
            for each in getattr(inner, "WITHOUT_DECAY", ())
        }
        for each in found:
            pieces = state[each.name].detach().split([shape[0] if shape else 1 for shape in each.shapes]) \
                if len(each.kept) > 1 else [state[each.name].detach()]  # fmt: skip
            for name, piece, shape in zip(self._names(each), pieces, each.shapes, strict=True):
                if name not in self._shapes:
                    self._keep(name, piece.clone(), shape, buffer=each.buffer, exempt=each.name in exempt)

    def _keep(self, name: str, value: Tensor, shape: tuple[int, ...], *, buffer: bool, exempt: bool) -> None:
        *path, last = name.split(".")
        owner: nn.Module = self
        for each in path:
            if each not in owner._modules:
                owner.add_module(each, nn.Module())
            owner = owner._modules[each]  # type: ignore[assignment]
        if buffer:
            owner.register_buffer(last, value)
        else:
            owner.register_parameter(last, nn.Parameter(value))
            if exempt:
                exempt_here = (*getattr(owner, "WITHOUT_DECAY", ()), last)
                owner.WITHOUT_DECAY = exempt_here  # type: ignore[assignment]
        self._shapes[name] = shape

    def _names(self, source: Source) -> list[str]:
        """The names of a source's tensors; those of another shape than the first of a name have their own."""
        named = []
        for name, shape in zip(source.kept, source.shapes, strict=True):
            if self._shapes.get(name, shape) != shape:
                path, _, last = name.rpartition(".")
                name = f"{path}.{last}_{'x'.join(map(str, shape))}"
            named.append(name)
        return named

    def _kept(self, name: str) -> Tensor:
        path, _, last = name.rpartition(".")
        kept: Tensor = getattr(self.get_submodule(path), last)
        return kept


class _JoinedLinear(nn.Module):
    """One linear map whose rows are kept in pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: dict[str, list[Tensor]] = {}

    def forward(self, y: Tensor) -> Tensor:
        """The map."""
        bias = torch.cat(self.pieces["bias"]) if "bias" in self.pieces else None
        return F.linear(y, torch.cat(self.pieces["weight"]), bias)


def _built(place: _Place) -> nn.Module:
    """The piece by itself; its random numbers are nobody's."""
    with torch.random.fork_rng(devices=[]):
        module: nn.Module = place.part.build(place.shape)
    return module


@lru_cache(maxsize=4096)
def _sources(place: _Place) -> list[Source]:
    """What the weights of a piece are kept as."""
    with torch.device("meta"):
        module: nn.Module = place.part.build(place.shape)
    return sources(place.part, module, place.where)


def _path(walk: Walk) -> list[_Place]:
    """The pieces of a path, in order; a pool and its layer are two."""
    lattice, pieces = walk.lattice, walk.pieces
    found, shape = _before(lattice, pieces.position)
    stage = 0
    for number, (pool, layer) in enumerate(zip(pieces.pools, pieces.layers, strict=True)):
        if walk.edges[number].pool is not None:
            block = Block(pool)
            found.append(_Place(f"layers.{lattice.depth + stage}", block, shape, number))
            shape, stage = block.out_shape(shape), stage + 1
        found.append(_layer(number, layer, shape))
        shape = layer.out_shape(shape)
    found.append(_Place("head", lattice.ends.head, shape, None))
    return found


def _places(lattice: Lattice) -> list[_Place]:
    """Every piece of every path, with what nobody may take."""
    found, _ = _before(lattice, lattice.ends.position)
    for number, edges in enumerate(lattice.edges):
        for state, ways in zip(lattice.states[number], edges, strict=True):
            for edge in ways.values():
                shape: TokenShape = state.shape
                if edge.pool is not None:
                    block = Block(edge.pool_parts)
                    found.append(_Place(f"layers.{lattice.depth + state.stage}", block, shape, number))
                    shape = block.out_shape(shape)
                found.append(_layer(number, edge.part, shape))
    found += [_Place("head", lattice.ends.head, state.shape, None) for state in lattice.states[-1]]
    return list(dict.fromkeys(found))


def _before(lattice: Lattice, position: Part) -> tuple[list[_Place], TokenShape]:
    ends, image = lattice.ends, lattice.image
    stem = ends.stem.out_shape(image)
    prefix = ends.prefix.out_shape(stem)
    block = position if isinstance(position, Block) else Block((position,))  # so that roles have equal names
    found = [
        _Place("stem", ends.stem, image, None),
        _Place("prefix", ends.prefix, stem, None),
        _Place("position", block, prefix, None),
    ]
    return found, position.out_shape(prefix)


def _layer(number: int, layer: Part, shape: TokenShape) -> _Place:
    return _Place(f"layers.{number}.at{shape.width}x{shape.tokens}", layer, shape, number)


def _standalone(walk: Walk) -> list[list[tuple[str, str]]]:
    """For each piece of `_path`, how its names begin in the model by itself: (beginning here, there)."""
    pieces = walk.pieces
    position = [("", "position.")] if isinstance(pieces.position, Block) else [("branches.0.", "position.")]
    found = [[("", "stem.")], [("", "prefix.")], position]
    for number, (pool, layer) in enumerate(zip(pieces.pools, pieces.layers, strict=True)):
        here = f"layers.{number}."
        if walk.edges[number].pool is None:
            found.append([("", here)])
            continue
        found.append([("", here)])
        if isinstance(layer, Block):
            places = range(len(layer.branches))
            found.append([(f"branches.{it}.", f"{here}branches.{it + len(pool)}.") for it in places])
        else:
            found.append([("", f"{here}branches.{len(pool)}.")])
    found.append([("", "head.")])
    return found


def _renamed(name: str, prefixes: list[tuple[str, str]]) -> str:
    for before, after in prefixes:
        if name.startswith(before):
            return after + name[len(before) :]
    raise AssertionError(name)
