"""How a position table joins the tokens.

    AddPosition     x ← dropout(x + table)         once, before the layers: the usual way
    NoPosition      x ← dropout(x)                 convolutions carry position (EIT), or none is wanted
    CarryPosition   x ← dropout(x), and the table travels beside the tokens for parts that ask for it (`LaPE`)
    JoinPosition    x ← x + carried table          at the start of a block: LaPE's "shared PE"; it accumulates

Dosovitskiy et al., arXiv 2010.11929, section 3.1; the last two Yu et al., ICCV 2023, figure 2. An
`AddPosition` at the start of each block gives each a table of its own: LaPE's "unshared PE". The recipe's
dropout acts once, in the position slot: a table that joins later has `may_drop=False`.
"""

from dataclasses import dataclass, replace

from torch import nn

from vitreous.errors import ConfigError
from vitreous.parts.drop import Dropout
from vitreous.parts.macs import Macs
from vitreous.parts.part import Part
from vitreous.parts.position_table import Table
from vitreous.parts.tokens import Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class AddPosition(Part):
    """The table added to the tokens.

    Args:
        table: the positions.
        may_drop: whether the recipe's dropout follows.
    """

    table: Table
    may_drop: bool = True

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same."""
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """Table and sum."""
        return AddPositionModule(self.table.build(shape), Dropout() if self.may_drop else nn.Identity())

    def macs(self, shape: TokenShape) -> Macs:
        """None."""
        return Macs()


class AddPositionModule(nn.Module):
    """The module behind `AddPosition`."""

    def __init__(self, table: nn.Module, drop: nn.Module) -> None:
        super().__init__()
        self.table = table
        self.drop = drop

    def forward(self, tokens: Tokens) -> Tokens:
        """The table added; raises ConfigError for tokens of another grid."""
        return replace(tokens, x=self.drop(tokens.x + self.table(tokens)))


@dataclass(frozen=True, repr=False)
class CarryPosition(Part):
    """The table carried beside the tokens; it replaces a table that was carried before.

    Args:
        table: the positions.
        may_drop: whether the recipe's dropout acts on the tokens here.
    """

    table: Table
    may_drop: bool = True

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same, with a position as wide as the tokens."""
        return replace(shape, position=shape.width)

    def build(self, shape: TokenShape) -> nn.Module:
        """Table and the recipe's dropout, which acts on the tokens alone."""
        return CarryPositionModule(self.table.build(shape), Dropout() if self.may_drop else nn.Identity())

    def macs(self, shape: TokenShape) -> Macs:
        """None."""
        return Macs()


class CarryPositionModule(nn.Module):
    """The module behind `CarryPosition`."""

    def __init__(self, table: nn.Module, drop: nn.Module) -> None:
        super().__init__()
        self.table = table
        self.drop = drop

    def forward(self, tokens: Tokens) -> Tokens:
        """The same tokens with a position; raises ConfigError for tokens of another grid."""
        return replace(tokens, x=self.drop(tokens.x), position=self.table(tokens))


@dataclass(frozen=True, repr=False)
class JoinPosition(Part):
    """The carried position added to the tokens, as the first branch of a block."""

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same."""
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """A sum; raises ConfigError where no position is carried."""
        check_carried("JoinPosition", shape)
        return JoinPositionModule()

    def macs(self, shape: TokenShape) -> Macs:
        """None."""
        return Macs()


class JoinPositionModule(nn.Module):
    """The module behind `JoinPosition`."""

    def forward(self, tokens: Tokens) -> Tokens:
        """The sum."""
        assert tokens.position is not None  # build() has refused shapes without one
        return replace(tokens, x=tokens.x + tokens.position)


def check_carried(who: str, shape: TokenShape) -> None:
    """Raises ConfigError where no position as wide as the tokens is carried."""
    if shape.position is None:
        raise ConfigError(
            f"{who}: no position is carried here; a CarryPosition(LearnedTable()) before it, and after each "
            "pool, carries one"
        )
    if shape.position != shape.width:
        raise ConfigError(
            f"{who}: the carried position has {shape.position} channels and the tokens here have "
            f"{shape.width}; put {who} around the whole mixer, not inside a slice of its channels"
        )


@dataclass(frozen=True, repr=False)
class NoPosition(Part):
    """Tokens as they are, after the recipe's dropout."""

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same."""
        return shape

    def build(self, shape: TokenShape) -> nn.Module:
        """Only the dropout."""
        return NoPositionModule()

    def macs(self, shape: TokenShape) -> Macs:
        """None."""
        return Macs()


class NoPositionModule(nn.Module):
    """The module behind `NoPosition`."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = Dropout()

    def forward(self, tokens: Tokens) -> Tokens:
        """The same tokens."""
        return replace(tokens, x=self.drop(tokens.x))
