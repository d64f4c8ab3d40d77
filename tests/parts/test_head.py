import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.parts import ClassTokenHead, Tokens, TokenShape

SHAPE = TokenShape(8, (2, 2), prefix=1)


def test_norming_the_class_token_alone_equals_norming_all_tokens() -> None:
    module = ClassTokenHead(5).build(SHAPE)
    x = torch.randn(3, 5, 8)
    expected = module.classifier(module.norm(x)[:, 0])
    torch.testing.assert_close(module(Tokens(x, (2, 2), 1)), expected)


def test_pre_logits_are_a_linear_map_and_a_tanh() -> None:
    module = ClassTokenHead(5, pre_logits=24).build(SHAPE)
    x = torch.randn(3, 5, 8)
    expected = module.classifier(torch.tanh(module.pre_logits(module.norm(x[:, 0]))))
    torch.testing.assert_close(module(Tokens(x, (2, 2), 1)), expected)


def test_only_the_class_token_is_read() -> None:
    module = ClassTokenHead(5).build(SHAPE)
    x = torch.randn(3, 5, 8)
    other = x.clone()
    other[:, 1:] += 1
    assert torch.equal(module(Tokens(x, (2, 2), 1)), module(Tokens(other, (2, 2), 1)))


def test_a_head_without_a_class_token_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"there is no class token to read; a ClassToken\(\) as prefix makes one"
    ):
        ClassTokenHead(5).build(TokenShape(8, (2, 2)))
