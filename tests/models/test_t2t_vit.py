"""T2T-ViT against the authors' code: a recorded small model, sizes, costs, names."""

import pytest
import torch

from tests.parity.recorded import assert_reproduced, recorded
from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError, VerifyError
from vitreous.interop.rename import load_theirs, to_ours, to_theirs
from vitreous.models import VisionTransformer, build, config
from vitreous.models.t2t_vit import authors_names, t2t_vit
from vitreous.parts import ImageShape

RUN = recorded("t2t_vit")


def recorded_model() -> VisionTransformer:
    side = RUN.sizes["image_size"]
    sizes = {name: value for name, value in RUN.sizes.items() if name != "image_size"}
    return t2t_vit(image=ImageShape(3, side, side), **sizes)


def test_the_recorded_model_gives_the_same_logits_loss_and_gradients() -> None:
    described = recorded_model()
    model = build(described)
    load_theirs(model, RUN.weights, authors_names(described))
    assert_reproduced(model, RUN, authors_names(described))


def test_the_fixed_position_is_compared_and_the_random_features_are_loaded() -> None:
    described = recorded_model()
    model, weights = build(described), RUN.weights
    assert "pos_embed" in weights and "position.table.weight" not in model.state_dict()
    load_theirs(model, weights, authors_names(described))
    stored = weights["tokens_to_token.attention1.w"]
    assert torch.equal(model.stem.performers[0].features, stored)
    assert model.stem.performers[0].features is not stored
    wrong = {**weights, "pos_embed": weights["pos_embed"].roll(1, 1)}
    with pytest.raises(VerifyError, match=r"position\.table\.weight differs from what the model computes"):
        load_theirs(model, wrong, authors_names(described))


# The released constructors' own counts, frozen position and random features left out; 4.31 M with them.
PARAMETERS = {"7": 4_255_694, "10": 5_834_702, "12": 6_887_374, "14": 21_465_806, "19": 39_085_070}
PARAMETERS["24"] = 64_000_974


@pytest.mark.parametrize("size", PARAMETERS)
def test_the_named_sizes_have_the_released_number_of_parameters(size: str) -> None:
    described = config(f"t2t_vit_{size}")
    assert cost(described).parameters == PARAMETERS[size]


def test_the_smallest_has_the_published_size_and_cost() -> None:
    described = config("t2t_vit_7")
    counted = cost(described)
    width, tokens = 256, 197
    frozen = tokens * width + 2 * 32 * 64
    assert counted.parameters + frozen == 4_310_222  # "4.31 M"
    assert counted.macs == 1_146_863_616  # "1.1 G"
    assert counted.by_layer[0].tokens == 196


def test_names_go_to_the_authors_and_back() -> None:
    described = config("t2t_vit_7")
    with torch.device("meta"):
        ours = build(described).state_dict()
    theirs = to_theirs(ours, authors_names(described))
    assert len(theirs) == 110  # the released module's 111 without the fixed position
    assert {"tokens_to_token.attention2.mlp.2.bias", "blocks.6.attn.qkv.weight"} <= set(theirs)
    assert "blocks.0.attn.qkv.bias" not in theirs
    assert list(to_ours(theirs, authors_names(described))) == list(ours)


def test_it_starts_as_released() -> None:
    torch.manual_seed(0)
    model = build(config("t2t_vit_7", depth=1, image_size=32))
    for linear in (model.stem.performers[1].kqv, model.layers[0].branches[0].mixer.qkv, model.stem.project):
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.prefix.token.std().item() == pytest.approx(0.02, rel=0.2)
    rows = model.stem.performers[0].features
    torch.testing.assert_close(rows @ rows.T, 32 * torch.eye(32), rtol=0, atol=1e-4)


def test_rectangles_run_and_another_grid_than_the_positions_is_refused() -> None:
    described = t2t_vit(image=ImageShape(1, 32, 64), classes=3, width=16, depth=1, heads=2, inner=8)
    model = build(described)
    assert model(torch.randn(2, 1, 32, 64)).shape == (2, 3)
    assert model(torch.randn(2, 1, 31, 63)).shape == (2, 3)  # the same grid of 2×4
    with pytest.raises(ConfigError, match="a grid of 2×4 tokens and the images give 4×2 tokens"):
        model(torch.randn(2, 1, 64, 32))
