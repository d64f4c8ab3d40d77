"""Windows: a mixer that works inside squares of the grid, and not across them.

    y ← unfold(mixer(fold(y)))                                the grid cut into window × window squares
    y ← roll(unfold(mixer(fold(roll(y, −shift)), mask)), shift)      with a shift, by that many tokens

Swin (Liu et al., arXiv 2103.14030, section 3.2, "W-MSA" and "SW-MSA"; released code microsoft/
Swin-Transformer). The windows stand in the batch, so the mixer inside sees images of one window and may be
any mixer. Shifted windows wrap around the edges of the grid; tokens that meet in one but were not neighbours
get −100 added to their scores (`Tokens.bias`), which is Swin's number and not −∞; a mixer without scores
refuses them. Along a side of the grid that is no longer than a window, the window is that side and nothing is
shifted, as in timm and, for squares, in the released code. Differs from timm: a grid that windows do not
divide is refused, not filled with zeros (the released code fails there).
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.part import Mixer
from vitreous.parts.tokens import Tokens, TokenShape

APART = -100.0  # added to the scores of tokens that a shift has brought together


@dataclass(frozen=True, repr=False)
class Windows(Mixer):
    """A mixer inside windows of the grid.

    Args:
        mixer: what happens in a window; it sees a grid of that size and no prefix.
        window: side of a window in tokens; it divides the sides of the grid that are longer.
        shift: by how many tokens the windows are moved along each axis, below `window`.
    """

    mixer: Mixer
    window: int
    shift: int | Literal[0] = 0

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same, and what the mixer lends: for windows that stand at the same places."""
        inside = self.inside(shape)
        lent = self.mixer.out_shape(inside).lent
        if lent is None or lent == inside.lent:
            return shape
        return replace(shape, lent=replace(lent, slices=(*lent.slices, self.window, self.shift)))

    def build(self, shape: TokenShape) -> nn.Module:
        """The mixer, built for one window.

        Raises:
            ConfigError: a prefix, no grid, a grid that windows do not divide, or a shift of a window or more.
        """
        if shape.prefix:
            raise ConfigError(
                f"Windows: the {shape.prefix} tokens before the grid stand in no window; NoPrefix() with a "
                "MeanHead does without them"
            )
        if self.shift >= self.window:
            raise ConfigError(
                f"Windows: a shift of {self.shift} is no part of a window of {self.window}; "
                f"0 to {self.window - 1} is"
            )
        if isinstance(self.mixer, Windows):
            raise ConfigError(
                f"Windows: windows of {self.mixer.window} inside windows of {self.window} are not needed; "
                "the smaller ones alone mix the same tokens"
            )
        inside = self.inside(shape)
        grid, size = shape.rows_and_columns("Windows"), inside.rows_and_columns("Windows")
        try:
            mixer = self.mixer.build(inside)
        except ConfigError as error:
            raise ConfigError(
                "Windows: a window has no position, and attention only from layers in the same windows: "
                f"{error}"
            ) from None
        return WindowsModule(mixer, grid, size, self.shift)

    def macs(self, shape: TokenShape) -> Macs:
        """The mixer's, for each window."""
        inside = self.inside(shape)
        return self.mixer.macs(inside) * (shape.tokens // inside.tokens)

    def inside(self, shape: TokenShape) -> TokenShape:
        """One window as the mixer sees it."""
        rows, columns = shape.rows_and_columns("Windows")
        size = (min(self.window, rows), min(self.window, columns))
        check_windows(size, (rows, columns))
        lent, here = shape.lent, (self.window, self.shift)
        return replace(
            shape,
            grid=size,
            prefix=0,
            position=None,
            lent=replace(lent, slices=lent.slices[:-2]) if lent and lent.slices[-2:] == here else None,
        )


def check_windows(size: tuple[int, int], grid: tuple[int, int]) -> None:
    """Raises ConfigError where windows of this size do not divide the grid."""
    if grid[0] % size[0] or grid[1] % size[1]:
        fitting = [each for each in range(1, min(grid) + 1) if grid[0] % each == grid[1] % each == 0]
        raise ConfigError(
            f"Windows: a grid of {grid[0]}×{grid[1]} tokens does not divide into windows of "
            f"{size[0]}×{size[1]}; windows of {', '.join(map(str, fitting))} do"
        )


class WindowsModule(nn.Module):
    """The module behind `Windows`."""

    mask: Tensor | None

    def __init__(self, mixer: nn.Module, grid: tuple[int, int], size: tuple[int, int], shift: int) -> None:
        super().__init__()
        self.mixer = mixer
        self.grid = grid
        self.size = size
        self.shift = shift
        self.register_buffer("mask", apart(grid, size, self._shifts(grid)), persistent=False)

    def forward(
        self, y: Float[Tensor, "batch tokens width"], tokens: Tokens
    ) -> tuple[Float[Tensor, "batch tokens width"], Tokens]:
        """Tokens mixed in their windows; raises ConfigError for a grid that windows do not divide."""
        grid = tokens.grid
        assert grid is not None  # build() has refused shapes without one
        check_windows(self.size, grid)
        if tokens.bias is not None:
            raise ConfigError(
                "Windows: they cannot stand inside windows that are shifted; take the shift away"
            )
        down, right = self._shifts(grid)
        mask = self.mask if grid == self.grid else apart(grid, self.size, (down, right), y)
        image = y.unflatten(1, grid)
        if mask is None:
            mixed, shared = self._mix(image, None, tokens)
        else:
            bias = mask[None].expand(y.shape[0], -1, -1, -1).flatten(0, 1)[:, None]
            # A gather would roll and fold in one copy, but its gradient scatters: far slower when compiled.
            mixed, shared = self._mix(image.roll((-down, -right), (1, 2)), bias, tokens)
            mixed = mixed.roll((down, right), (1, 2))
        return mixed.flatten(1, 2), replace(tokens, shared=shared)

    def _mix(
        self, image: Float[Tensor, "batch rows columns width"], bias: Tensor | None, tokens: Tokens
    ) -> tuple[Float[Tensor, "batch rows columns width"], tuple[Tensor, ...]]:
        """Each window through the mixer, and what the mixer lends."""
        folded = fold(image, self.size)
        inside = Tokens(folded, self.size, shared=tokens.shared, bias=bias, turn=tokens.turn)
        mixed, inside = self.mixer(folded, inside)
        return unfold(mixed, (image.shape[1], image.shape[2]), self.size), inside.shared

    def _shifts(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Down and right; a side that is one window stays."""
        return self.shift * (grid[0] > self.size[0]), self.shift * (grid[1] > self.size[1])


def fold(
    image: Float[Tensor, "batch rows columns width"], size: tuple[int, int]
) -> Float[Tensor, "folded area width"]:
    """Windows of an image one after the other, row by row, in the batch."""
    squares = image.unflatten(2, (-1, size[1])).unflatten(1, (-1, size[0]))
    folded: Tensor = squares.transpose(2, 3).flatten(3, 4).flatten(0, 2)
    return folded


def unfold(
    windows: Float[Tensor, "folded area width"], grid: tuple[int, int], size: tuple[int, int]
) -> Float[Tensor, "batch rows columns width"]:
    """The image that `fold` was given."""
    squares = windows.unflatten(1, size).unflatten(0, (-1, grid[0] // size[0], grid[1] // size[1]))
    image: Tensor = squares.transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return image


def apart(
    grid: tuple[int, int], size: tuple[int, int], shifts: tuple[int, int], like: Tensor | None = None
) -> Float[Tensor, "windows area area"] | None:
    """−100 for tokens that only a shift has brought into one window, else 0; None without a shift."""
    if not any(shifts):
        return None
    dtype = torch.get_default_dtype() if like is None else like.dtype
    device = None if like is None else like.device
    # Along each axis, what comes from the other edge of the grid is foreign to what was there.
    down, right = (
        (torch.arange(side, device=device) >= side - shift).to(dtype)
        for side, shift in zip(grid, shifts, strict=True)
    )
    region = 2 * down[:, None] + right
    regions = fold(region[None, :, :, None], size)[..., 0]
    return (regions[:, :, None] != regions[:, None]).to(dtype) * APART
