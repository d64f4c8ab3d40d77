"""Attention inside equal slices of the tokens, which are shuffled before the later turns of a recursion.

    turn 0    y = concat(mixer(slice) for each slice)       slices[0] runs of consecutive tokens
    turn t    y = y′[π⁻¹],  y′ = the same for y[π]          slices[t] of them; π a random order, none for one

SReT's group attention (Shen, Liu, Xing, ECCV 2022, arXiv 2111.05297; released code): the products inside it
cost 1 / slices, several turns together come near one over all tokens, and the shuffle lets later slices hold
tokens of different earlier ones. It is full attention under the mask "same slice". The order is one for all
images and heads, and undone right after the mixer.

The slices are folded into the batch, which without a shuffle moves nothing in memory. Deviation: the
released code draws a new order in every call, in evaluation too, so that an image is not classified alike
twice. Here the order is drawn anew in training alone (torch's default generator); otherwise it is fixed,
computed from `seed`.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vitreous.errors import ConfigError
from vitreous.parts.macs import Macs
from vitreous.parts.part import Mixer
from vitreous.parts.tokens import Lent, Tokens, TokenShape


@dataclass(frozen=True, repr=False)
class Sliced(Mixer):
    """A mixer applied to each slice by itself.

    Args:
        mixer: works on a plain sequence: inside a slice there is no grid and no position.
        slices: how many, turn by turn; turns beyond the last number are as the last, so that (8,) is eight in
            all turns and never shuffled.
        seed: of the orders outside training, one for each turn that shuffles.
        prefix_in_each: prefix tokens join every slice, and what becomes of them there is averaged (ours);
            otherwise tokens with a prefix are refused.
    """

    mixer: Mixer
    slices: tuple[int, ...]
    seed: int = 1
    prefix_in_each: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.slices:
            raise ConfigError("Sliced.slices is (); it takes at least one number of slices, such as (8, 2)")

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The same, and the attention that the mixer lends inside its slices."""
        lent = self.mixer.out_shape(replace(self._inside(shape), lent=None)).lent
        if lent is None:
            return shape
        here = (self._count(shape.turn),) if self._count(shape.turn) > 1 else ()
        return replace(shape, lent=Lent(lent.heads, shape.tokens, (*lent.slices, *here)))

    def build(self, shape: TokenShape) -> nn.Module:
        """The mixer for one slice, and a fixed order for each turn that shuffles.

        Raises:
            ConfigError: slices that would not be equal, a prefix, a mixer that needs a grid, a position or a
                fixed place for each token, or lent attention that could not be shared.
        """
        self._check(shape)
        inside = self._inside(shape)
        try:
            mixer = self.mixer.build(inside)
        except ConfigError as error:
            raise ConfigError(
                "Sliced: a slice has no grid and no position, and shares attention only with layers in the "
                f"same slices, not shuffled: {error}"
            ) from None
        return SlicedModule(self, mixer, shape.tokens - shape.prefix)

    def macs(self, shape: TokenShape) -> Macs:
        """The mixer's in each slice of this turn."""
        return self.mixer.macs(self._inside(shape)) * self._count(shape.turn)

    def _count(self, turn: int) -> int:
        return self.slices[min(turn, len(self.slices) - 1)]

    def _shuffles(self, turn: int) -> bool:
        """As in the released code: not in the first turn, and not where one slice holds all tokens."""
        return min(turn, len(self.slices) - 1) > 0 and self._count(turn) > 1

    def _ever_shuffles(self) -> bool:
        return any(count > 1 for count in self.slices[1:])

    def _inside(self, shape: TokenShape) -> TokenShape:
        """One slice of this turn: a plain sequence, and attention that was lent in the same slices."""
        count, lent = self._count(shape.turn), shape.lent
        length = (shape.tokens - shape.prefix) // count
        same_slices = lent is not None and (lent.tokens, *lent.slices[-1:]) == (shape.tokens, count)
        if lent is not None and same_slices and not self._shuffles(shape.turn):
            lent = Lent(lent.heads, shape.prefix + length, lent.slices[:-1])
        loose = shape.shuffled or len(set(self.slices)) > 1 or self._ever_shuffles()
        return replace(shape, grid=None, sequence=length, position=None, lent=lent, shuffled=loose)

    def _check(self, shape: TokenShape) -> None:
        after = shape.tokens - shape.prefix
        if shape.prefix and not self.prefix_in_each:
            raise ConfigError(
                f"Sliced: {shape.prefix} prefix and {after} other tokens do not make equal slices, since the "
                "prefix belongs to none; NoPrefix() with MeanHead(classes), or prefix_in_each=True, works"
            )
        for count in self.slices:
            if after % count:
                fitting = [each for each in range(1, after + 1) if after % each == 0]
                *others, last = sorted(sorted(fitting, key=lambda each: (abs(each - count), -each))[:3])
                work = f"{', '.join(map(str, others))} and {last} do" if others else f"only {last} does"
                raise ConfigError(f"Sliced: {after} tokens do not split into {count} equal slices; {work}")
        if (
            self._ever_shuffles()
            and self.mixer.out_shape(replace(self._inside(shape), lent=None)).lent is not None
        ):
            raise ConfigError(
                f"Sliced: slices {self.slices} are shuffled, so that a later layer has other tokens in its "
                "slices and cannot share this attention; (8,) and (8, 1) are not shuffled"
            )


class SlicedModule(nn.Module):
    """The module behind `Sliced`; its buffer `order_1` is the order of turn 1 outside training, and so on."""

    def __init__(self, described: Sliced, mixer: nn.Module, tokens: int) -> None:
        super().__init__()
        self.mixer = mixer
        self.slices = described.slices
        generator = torch.Generator("cpu").manual_seed(described.seed)
        for turn, count in enumerate(self.slices):
            if turn > 0 and count > 1:
                # On the default device, which may be meta; the numbers are the CPU's everywhere.
                order = torch.empty(tokens, dtype=torch.int64)
                order.copy_(torch.randperm(tokens, generator=generator, device="cpu"))
                self.register_buffer(f"order_{turn}", order, persistent=False)

    def forward(
        self, y: Float[Tensor, "batch tokens width"], tokens: Tokens
    ) -> tuple[Float[Tensor, "batch tokens width"], Tokens]:
        """Each slice mixed, the tokens stand where they stood; raises ConfigError where they do not fit."""
        turn = min(tokens.turn, len(self.slices) - 1)
        slices, prefix = self.slices[turn], tokens.prefix
        if (y.shape[1] - prefix) % slices:
            raise ConfigError(
                f"Sliced: {y.shape[1] - prefix} tokens do not split into {slices} equal slices; resize the "
                "images to the size that the model was built for, or build it for this size"
            )
        order = self.order(turn, y.shape[1] - prefix) if turn > 0 and slices > 1 else None
        grid = y[:, prefix:] if prefix else y
        if order is not None:
            grid = grid.index_select(1, order)
        grid = grid.unflatten(1, (slices, -1)).flatten(0, 1)  # (batch · slices, tokens of a slice, width)
        if prefix:
            grid = torch.cat((y[:, :prefix].repeat_interleave(slices, dim=0), grid), dim=1)
        bias = None if tokens.bias is None else self._blocks(tokens.bias, order, prefix, slices, y.shape[0])
        inside = replace(tokens, x=grid, grid=None, position=None, bias=bias)
        mixed, left = self.mixer(grid, inside)
        mixed = mixed.unflatten(0, (-1, slices))
        grid = mixed[:, :, prefix:].flatten(1, 2)
        if order is not None:
            grid = grid.index_select(1, order.argsort())
        if prefix:
            grid = torch.cat((mixed[:, :, :prefix].mean(dim=1), grid), dim=1)
        return grid, replace(tokens, shared=left.shared)

    @staticmethod
    def _blocks(
        bias: Float[Tensor, "#batch #heads tokens tokens"],
        order: Int[Tensor, " places"] | None,
        prefix: int,
        slices: int,
        batch: int,
    ) -> Float[Tensor, "folded _ length length"]:
        """What a bias says about the tokens of each slice; windows that are shifted bring one."""
        number = torch.arange(bias.shape[-1], device=bias.device)
        members = (number[prefix:] if order is None else order + prefix).unflatten(0, (slices, -1))
        members = torch.cat((number[:prefix].expand(slices, -1), members), dim=1)
        blocks = bias[:, :, members[:, :, None], members[:, None]]  # (#batch, #heads, slices, length, length)
        return blocks.expand(batch, -1, -1, -1, -1).transpose(1, 2).flatten(0, 1)

    def order(self, turn: int, tokens: int) -> Int[Tensor, " tokens"]:
        """The token at each place of a turn that shuffles; raises ConfigError for another number of them."""
        fixed = self.get_buffer(f"order_{turn}")
        if len(fixed) != tokens:
            raise ConfigError(
                f"Sliced: the order outside training is of {len(fixed)} tokens and the images give {tokens}; "
                "resize the images to the size that the model was built for, or build it for this size"
            )
        return torch.randperm(tokens, device=fixed.device) if self.training else fixed
