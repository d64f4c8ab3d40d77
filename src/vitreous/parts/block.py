"""The block: residual branches, one after another; their order is data.

    Mix          x ← add(x, DropPath(mixer(norm(x))))                              tokens exchange information
    FeedForward  x ← add(x, DropPath(dropout(W₂ · dropout(GELU(W₁ · norm(x))))))   each token by itself
    Block        its branches in order; (Mix(Attention(h)), FeedForward(4)) is the usual pre-norm block

Vaswani et al., arXiv 1706.03762; pre-norm as in Dosovitskiy et al., arXiv 2010.11929, equations 2 and 3.
GELU is the exact one (erf). W₁ widens to ⌊width · ratio⌋ channels; both maps have a bias. `add` is the plain
sum unless told otherwise.
"""

from dataclasses import dataclass, replace

from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts.drop import Dropout, DropPath
from vitreous.parts.macs import Macs
from vitreous.parts.norm import LayerNorm
from vitreous.parts.part import Mixer, Norm, Part, Sum
from vitreous.parts.residual import PlainSum
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class Mix(Part):
    """A residual branch in which a mixer lets tokens exchange information."""

    mixer: Mixer
    norm: Norm = LayerNorm()
    add: Sum = PlainSum()

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same, and what the mixer leaves behind: a residual sum keeps its shape."""
        return self.mixer.out_shape(shape)

    def build(self, shape: TokenShape) -> nn.Module:
        """Norm, mixer, sum."""
        return MixModule(self.norm.build(shape.width), self.mixer.build(shape), self.add.build())

    def macs(self, shape: TokenShape) -> Macs:
        """The mixer's."""
        return self.mixer.macs(shape)


class MixModule(nn.Module):
    """The module behind `Mix`."""

    def __init__(self, norm: nn.Module, mixer: nn.Module, add: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.mixer = mixer
        self.drop_path = DropPath()
        self.add = add

    def forward(self, tokens: Tokens) -> Tokens:
        """The residual sum; what the mixer leaves in the tokens beside x stays."""
        y, tokens = self.mixer(self.norm(tokens.x), tokens)
        return replace(tokens, x=self.add(tokens.x, self.drop_path(y)))


@dataclass(frozen=True, repr=False)
class FeedForward(Part):
    """A residual branch of two linear maps with a GELU between, `ratio` times as wide inside.

    Args:
        ratio: inner channels over width.
        norm: before the maps.
        add: how the branch comes back.
        may_drop: whether the recipe's drop path may drop this branch; SReT's projections are never dropped.
    """

    ratio: float
    norm: Norm = LayerNorm()
    add: Sum = PlainSum()
    may_drop: bool = True

    def hidden(self, shape: TokenShape) -> int:
        """⌊width · ratio⌋; raises ConfigError where that leaves no channel."""
        hidden = int(shape.width * self.ratio)
        if hidden < 1:
            raise ConfigError(
                f"FeedForward: a ratio of {self.ratio} leaves no channel of {shape.width}; "
                f"{1 / shape.width:.2g} and more do"
            )
        return hidden

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same: a residual sum keeps its shape."""
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """Norm, two linear maps, sum; raises ConfigError where the ratio leaves no channel inside."""
        drop_path = DropPath() if self.may_drop else nn.Identity()
        norm = self.norm.build(shape.width)
        return FeedForwardModule(norm, shape.width, self.hidden(shape), drop_path, self.add.build())

    def macs(self, shape: TokenShape) -> Macs:
        """2 · tokens · width · hidden."""
        return Macs(maps=2 * shape.tokens * shape.width * self.hidden(shape))


class FeedForwardModule(nn.Module):
    """The module behind `FeedForward`."""

    def __init__(
        self, norm: nn.Module, width: int, hidden: int, drop_path: nn.Module, add: nn.Module
    ) -> None:
        super().__init__()
        self.norm = norm
        self.widen = nn.Linear(width, hidden)
        self.activation = nn.GELU()
        self.drop = Dropout()
        self.narrow = nn.Linear(hidden, width)
        self.drop_path = drop_path
        self.add = add

    def forward(self, tokens: Tokens) -> Tokens:
        """The residual sum."""
        y = self.drop(self.activation(self.widen(self.norm(tokens.x))))
        return replace(tokens, x=self.add(tokens.x, self.drop_path(self.drop(self.narrow(y)))))


@dataclass(frozen=True, repr=False)
class Block(Part):
    """Branches in order, as one layer."""

    branches: tuple[Part, ...]

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The shape after the last branch."""
        for branch in self.branches:
            shape = branch.out_shape(shape)
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """The branches, each built for the shape that the one before leaves."""
        modules = []
        for branch in self.branches:
            modules.append(branch.build(shape))
            shape = branch.out_shape(shape)
        return BlockModule(modules)

    def macs(self, shape: TokenShape) -> Macs:
        """The sum over the branches."""
        total = Macs()
        for branch in self.branches:
            total += branch.macs(shape)
            shape = branch.out_shape(shape)
        return total


class BlockModule(nn.Module):
    """The module behind `Block`."""

    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, tokens: Tokens) -> Tokens:
        """One branch after the other."""
        for branch in self.branches:
            tokens = branch(tokens)
        return tokens
