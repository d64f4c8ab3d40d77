"""The distilled head: two classifiers, their mean, and what it asks of the prefix."""

import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.parts import ClassTokenHead, DistilledHead, Tokens, TokenShape

SHAPE = TokenShape(16, (4, 5), prefix=2)


def test_the_logits_are_the_mean_of_two_heads_each_with_a_token_of_its_own() -> None:
    torch.manual_seed(0)
    head = DistilledHead(7).build(SHAPE)
    tokens = Tokens(torch.randn(3, SHAPE.tokens, 16), SHAPE.grid, SHAPE.prefix)
    single = ClassTokenHead(7).build(SHAPE)
    single.norm.load_state_dict(head.norm.state_dict())
    apart = []
    for place, weights in ((0, head.classifier), (1, head.classifier.distillation)):
        with torch.no_grad():
            single.classifier.weight.copy_(weights.weight)
            single.classifier.bias.copy_(weights.bias)
        apart.append(single(Tokens(tokens.x.roll(-place, 1), SHAPE.grid, SHAPE.prefix)))
    torch.testing.assert_close(head.apart(tokens), tuple(apart))
    torch.testing.assert_close(head(tokens), (apart[0] + apart[1]) / 2)


def test_gradient_of_the_mean_reaches_both_classifiers() -> None:
    head = DistilledHead(7).build(SHAPE)
    head(Tokens(torch.randn(3, SHAPE.tokens, 16), SHAPE.grid, SHAPE.prefix)).square().sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in head.parameters())


def test_one_prefix_token_is_not_enough() -> None:
    with pytest.raises(ConfigError, match=r"DistilledTokens\(\) as prefix makes both"):
        DistilledHead(7).build(TokenShape(16, (4, 5), prefix=1))
