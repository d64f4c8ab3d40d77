from dataclasses import replace

import torch
from torch import nn

from vitreous.parts import LayerNorm, Macs, MeanHead, SequencePoolHead, Tokens, TokenShape

SHAPE = TokenShape(6, (2, 3), prefix=1)


def built() -> nn.Module:
    module = SequencePoolHead(4, norm=LayerNorm(1e-5)).build(SHAPE)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def some_tokens() -> Tokens:
    return Tokens(torch.randn(3, 7, 6), (2, 3), 1)


def test_logits_read_the_weighted_mean_of_the_normalised_tokens() -> None:
    module, tokens = built(), some_tokens()
    y = module.norm(tokens.x[:, 1:])
    scores = (y @ module.attention.weight[0]).exp()
    pooled = torch.einsum("bt,btw->bw", scores / scores.sum(1, keepdim=True), y)
    torch.testing.assert_close(module(tokens), module.classifier(pooled), rtol=1e-4, atol=1e-5)


def test_shares_are_positive_and_sum_to_one() -> None:
    shares = built().weights(torch.randn(3, 6, 6))
    assert shares.shape == (3, 6, 1) and (shares > 0).all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(3, 1))


def test_without_a_preference_it_is_the_mean() -> None:
    module, tokens = built(), some_tokens()
    nn.init.zeros_(module.attention.weight)
    mean = MeanHead(4, norm=LayerNorm(1e-5)).build(SHAPE)
    kept = {name: weight for name, weight in module.state_dict().items() if "attention" not in name}
    mean.load_state_dict(kept)
    torch.testing.assert_close(module(tokens), mean(tokens))


def test_with_a_strong_preference_it_picks_one_token() -> None:
    module, tokens = built(), some_tokens()
    y = module.norm(tokens.x[:, 1:])
    with torch.no_grad():
        module.attention.weight.mul_(1e4)
    best = (y @ module.attention.weight[0]).argmax(dim=1)
    torch.testing.assert_close(module.pool(tokens), y[torch.arange(3), best])


def test_neither_the_prefix_nor_the_order_of_the_tokens_nor_the_bias_matters() -> None:
    module, tokens = built(), some_tokens()
    logits, other = module(tokens), tokens.x.clone()
    other[:, 0] += 1
    other[:, 1:] = other[:, 1:].flip(1)
    with torch.no_grad():
        module.attention.bias.add_(3)
    torch.testing.assert_close(module(replace(tokens, x=other)), logits)


def test_weights_and_mean_are_counted_for_each_token_but_the_prefix() -> None:
    assert SequencePoolHead(4).macs(SHAPE) == Macs(maps=2 * 6 * 6 + 6 * 4)
    assert SequencePoolHead(0).build(SHAPE)(some_tokens()).shape == (3, 6)
