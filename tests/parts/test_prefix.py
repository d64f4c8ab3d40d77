import torch

from vitreous.parts import ClassToken, Tokens, TokenShape


def test_the_class_token_stands_first_and_is_the_same_for_every_image() -> None:
    module = ClassToken().build(TokenShape(8, (2, 2)))
    torch.nn.init.normal_(module.token)
    given = Tokens(torch.randn(3, 4, 8), (2, 2))
    tokens = module(given)
    assert torch.equal(tokens.x[:, :1], module.token.expand(3, 1, 8))
    assert torch.equal(tokens.x[:, 1:], given.x)


def test_each_class_token_adds_one_to_the_prefix() -> None:
    shape = ClassToken().out_shape(ClassToken().out_shape(TokenShape(8, (2, 2))))
    assert (shape.prefix, shape.tokens) == (2, 6)
