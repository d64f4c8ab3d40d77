"""Position as each layer is told it, for every way of joining, and the control that needs no training."""

import math

import pytest
import timm
import torch

from tests.models.entries import ENTRIES, shrink
from vitreous.analysis.position_correlation import (
    chained_control,
    correlation,
    joining_weights,
    position_terms,
    summary,
)
from vitreous.models import build
from vitreous.models.lape import join


def test_the_identity_of_the_paper_is_exact() -> None:
    torch.manual_seed(0)
    z, w = torch.randn(2, 5, 8, dtype=torch.float64), torch.randn(1, 5, 8, dtype=torch.float64)
    gain, bias = torch.randn(8, dtype=torch.float64), torch.randn(8, dtype=torch.float64)

    def norm(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x, (8,), gain, bias, eps=1e-6)

    first, second, third = (each[..., None] for each in joining_weights(z, w, eps=1e-6))
    assert (norm(z + w) - (first * norm(z) + second * norm(w) + third * bias)).abs().max() < 1e-12
    assert third.max() <= 0


@pytest.mark.parametrize(("layer", "mean"), [(0, 0.21), (3, 0.53), (6, 0.77), (11, 0.94)])
def test_chained_norms_alone_make_position_global(layer: int, mean: float) -> None:
    assert chained_control(12, 196, 192)[layer] == pytest.approx(mean, abs=0.08)


def test_norms_side_by_side_do_not() -> None:
    assert max(chained_control(12, 196, 192, progressive=False)) < 0.35


def test_equal_rows_correlate_fully_and_centring_takes_an_offset_away() -> None:
    torch.manual_seed(0)
    offset = torch.randn(16, 32) + 5
    found = summary(offset, (4, 4))
    assert found.mean > 0.9 and abs(found.mean_centred) < 0.1
    assert torch.allclose(correlation(offset).diagonal(), torch.ones(16, dtype=torch.float64))
    assert math.isnan(summary(offset, None).neighbours)


@pytest.mark.parametrize(
    ("name", "joining", "layers"),
    [
        ("deit_tiny", "input", 2),
        ("deit_tiny_lape", "LaPE", 2),
        ("swin_tiny", "relative", 4),
        ("vit_lite_7_4", "input", 2),
        ("sret_tiny_lape", "LaPE", 6),
    ],
)
def test_every_layer_tells_its_position(name: str, joining: str, layers: int) -> None:
    model = build(shrink(name))
    with torch.no_grad():
        for each in model.parameters():
            each.add_(0.1 * torch.randn_like(each))
    terms = position_terms(model)
    assert len(terms) == layers and all(each.joining == joining for each in terms)
    assert len({each.name for each in terms}) == layers and model.training
    for told in terms:
        filled = told.term if told.term is not None else told.bias
        assert torch.isfinite(filled).all()


def test_lape_is_the_chain_of_its_norms() -> None:
    model = build(shrink("deit_tiny_lape"))
    torch.manual_seed(0)
    with torch.no_grad():
        for each in model.parameters():
            each.add_(0.1 * torch.randn_like(each))
    carried = model.position.table.weight
    for layer, term in zip(model.layers, position_terms(model), strict=True):
        carried = layer.branches[0].mixer.norm(carried)
        assert torch.allclose(carried[0, 1:], term.term, atol=1e-5)


@pytest.mark.parametrize(("joining", "said"), [("shared", "each block"), ("unshared", "own table")])
def test_tables_that_join_in_the_blocks_go_through_each_layers_norm(joining: str, said: str) -> None:
    model = build(join(shrink("deit_tiny"), joining))
    torch.manual_seed(0)
    with torch.no_grad():
        for each in model.parameters():
            each.add_(0.1 * torch.randn_like(each))
    terms = position_terms(model)
    assert [each.joining for each in terms] == [said] * 2
    norm = model.layers[1].branches[1].norm
    table = (model.position if joining == "shared" else model.layers[1].branches[0]).table.weight
    expected = torch.nn.functional.layer_norm(table, table.shape[-1:], norm.weight, norm.bias, 1e-5)
    assert torch.allclose(terms[1].term, expected[0, 1:], atol=1e-6)


def test_without_position_there_is_nothing_to_tell() -> None:
    assert position_terms(build(shrink("mlp_mixer_small"))) == []


@pytest.mark.parametrize("described", ENTRIES.values(), ids=ENTRIES)
def test_every_model_can_be_asked(described) -> None:
    for term in position_terms(build(described)):
        assert (term.term is None) != (term.bias is None)


def test_timms_table_goes_through_each_blocks_norm() -> None:
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2)
    terms = position_terms(model)
    assert [each.name for each in terms] == ["blocks.0", "blocks.1"] and terms[0].term.shape == (16, 192)
