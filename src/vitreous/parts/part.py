"""The five roles that a description can have, each an interface and nothing more.

    stem      image → Tokens             `out_shape(image)`, `build(image)`
    part      Tokens → Tokens            `out_shape(shape)`, `build(shape)`
    mixer     (y, tokens) → (y, tokens)  inside a `Mix`: y is the normalised input of that branch
    norm      y → y                      `build(width)`
    head      Tokens → logits            `build(shape)`, `classes`

A description knows its output shape without building anything, and refuses sizes that cannot work when it is
built: a `ConfigError` whose sentence starts with its own name; the backbone puts the layer's number in
front.
"""

from abc import abstractmethod
from dataclasses import dataclass

from torch import nn

from vitreous.parts.description import Description
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


@dataclass(frozen=True, repr=False)
class Part(Description):
    """Describes a step from tokens to tokens: a prefix, a position, a branch, a layer."""

    @abstractmethod
    def out_shape(self, shape: TokenShape) -> TokenShape:
        """The shape after this part."""

    @abstractmethod
    def build(self, shape: TokenShape) -> nn.Module:
        """A module Tokens → Tokens; raises ConfigError where the shape cannot work."""


@dataclass(frozen=True, repr=False)
class Mixer(Description):
    """Describes how tokens exchange information inside a `Mix`; the shape of y stays."""

    @abstractmethod
    def build(self, shape: TokenShape) -> nn.Module:
        """A module (y, tokens) → (y, tokens); raises ConfigError where the shape cannot work."""


@dataclass(frozen=True, repr=False)
class Norm(Description):
    """Describes a normalisation over the channels of a token."""

    @abstractmethod
    def build(self, width: int) -> nn.Module:
        """A module (…, width) → (…, width)."""


@dataclass(frozen=True, repr=False)
class Head(Description):
    """Describes how tokens become one logit a class."""

    classes: int

    @abstractmethod
    def build(self, shape: TokenShape) -> nn.Module:
        """A module Tokens → (batch, classes); raises ConfigError where the shape cannot work."""
