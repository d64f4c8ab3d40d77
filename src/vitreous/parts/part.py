"""The six roles that a description can have, each an interface and nothing more.

    stem      image → Tokens             `out_shape(image)`, `build(image)`
    part      Tokens → Tokens            `out_shape(shape)`, `build(shape)`
    mixer     (y, tokens) → (y, tokens)  inside a `Mix`: y is the normalised input of that branch
    norm      y → y                      `build(width)`
    sum       (x, y) → x                 `build()`: how a residual branch y comes back
    head      Tokens → logits            `build(shape)`, `classes`

A description knows its output shape without building anything, and refuses sizes that cannot work when it is
built: a `ConfigError` whose sentence starts with its own name; the backbone puts the layer's number in
front. It also tells what it multiplies, in closed form (`macs`), which `analysis.cost` sums.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from torch import nn

from vitreous.parts.description import Description
from vitreous.parts.macs import Macs
from vitreous.parts.tokens import ImageShape, TokenShape


@dataclass(frozen=True, repr=False)
class Stem(Description):
    """Describes how an image becomes tokens."""

    @abstractmethod
    def out_shape(self, image: ImageShape) -> TokenShape:
        """The tokens that such an image gives; raises ConfigError where it gives none."""

    @abstractmethod
    def build(self, image: ImageShape) -> nn.Module:
        """A module (batch, channels, height, width) → Tokens."""

    @abstractmethod
    def macs(self, image: ImageShape) -> Macs:
        """Multiply-accumulates for one image."""


@dataclass(frozen=True, repr=False)
class Part(Description):
    """Describes a step from tokens to tokens: a prefix, a position, a branch, a layer."""

    @abstractmethod
    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The shape after this part."""

    @abstractmethod
    def build(self, shape: TokenShape) -> nn.Module:
        """A module Tokens → Tokens; raises ConfigError where the shape cannot work."""

    @abstractmethod
    def macs(self, shape: TokenShape) -> Macs:
        """Multiply-accumulates for one image."""


@dataclass(frozen=True, repr=False)
class Mixer(Description):
    """Describes how tokens exchange information inside a `Mix`; the shape of y stays.

    Its module may read everything of the tokens but their x: y stands in its place.
    """

    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The shape after the branch: the same, unless the mixer leaves something behind for later layers."""
        return shape

    @abstractmethod
    def build(self, shape: TokenShape) -> nn.Module:
        """A module (y, tokens) → (y, tokens); raises ConfigError where the shape cannot work."""

    @abstractmethod
    def macs(self, shape: TokenShape) -> Macs:
        """Multiply-accumulates for one image."""


@dataclass(frozen=True, repr=False)
class Norm(Description):
    """Describes a normalisation over the channels of a token."""

    @abstractmethod
    def build(self, width: int) -> nn.Module:
        """A module (…, width) → (…, width)."""


@dataclass(frozen=True, repr=False)
class Sum(Description):
    """Describes how a residual branch is added to what it branched from."""

    @abstractmethod
    def build(self) -> nn.Module:
        """A module (x, y) → the sum, all of one shape."""


@dataclass(frozen=True, repr=False)
class Head(Description):
    """Describes how tokens become one logit a class; with 0 classes, one feature vector an image.

    Its module has `pool`, Tokens → (batch, channels), and `classifier`, which maps these to logits and is the
    identity for 0 classes.
    """

    classes: int | Literal[0]

    def features(self, shape: TokenShape) -> int:
        """Channels that the classifier is given: what comes out with 0 classes."""
        return shape.width

    @abstractmethod
    def build(self, shape: TokenShape) -> nn.Module:
        """A module Tokens → (batch, classes); raises ConfigError where the shape cannot work."""

    @abstractmethod
    def macs(self, shape: TokenShape) -> Macs:
        """Multiply-accumulates for one image."""
