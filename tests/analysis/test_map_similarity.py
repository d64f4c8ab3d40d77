"""Measures of two maps on maps whose answer is known, and the trap that needs a control."""

import math

import pytest
import torch

from vitreous.analysis.map_similarity import MapSimilarity, divergences, matched


def random_maps(batch: int = 4, heads: int = 3, tokens: int = 12, sharp: float = 3.0) -> torch.Tensor:
    return (sharp * torch.randn(batch, heads, tokens, tokens)).softmax(dim=-1)


def measured(*layers: torch.Tensor) -> MapSimilarity:
    meter = MapSimilarity([f"layers.{number}" for number in range(len(layers))])
    meter.add(layers)
    return meter


def test_a_map_is_like_itself_in_every_measure() -> None:
    torch.manual_seed(0)
    maps = random_maps()
    found = measured(maps, maps.clone()).result()
    for name in ("pearson", "matched", "cosine"):
        assert getattr(found, name)[0, 1] == pytest.approx(1.0, abs=1e-5)
    assert found.jsd[0, 1] == pytest.approx(0, abs=1e-6) and found.tv[0, 1] == pytest.approx(0, abs=1e-6)


def test_heads_in_another_order_are_matched() -> None:
    torch.manual_seed(0)
    maps = random_maps()
    found = measured(maps, maps[:, [2, 0, 1]]).result()
    assert found.matched[0, 1] == pytest.approx(1.0, abs=1e-5) and abs(found.pearson[0, 1]) < 0.2
    assert found.matched[1, 0] == pytest.approx(1.0, abs=1e-5)


def test_matching_finds_the_best_pairing_not_the_greedy_one() -> None:
    corr = torch.tensor([[0.9, 0.8], [0.8, 0.1]]).view(1, 2, 1, 2)
    assert matched(corr).item() == pytest.approx(0.8)


def test_rows_that_share_nothing_are_as_far_apart_as_can_be() -> None:
    first, second = torch.eye(6)[None, None], torch.eye(6).roll(1, 1)[None, None]
    jsd, tv = divergences(torch.stack((first, second), dim=1))
    assert jsd[0, 0, 1].item() == pytest.approx(math.log(2)) and tv[0, 0, 1].item() == pytest.approx(1)


def test_nearly_uniform_maps_are_alike_in_all_but_correlation() -> None:
    """Random initialisation, the trap: cosine, JSD and TV say "identical" and mean nothing."""
    torch.manual_seed(0)
    found = measured(*(random_maps(8, 3, 50, sharp=0.05) for _ in range(2))).result()
    assert found.cosine[0, 1] > 0.99 and found.jsd[0, 1] < 0.002 and found.tv[0, 1] < 0.05
    assert abs(found.pearson[0, 1]) < 0.02 and found.entropy.min() > 0.999


def test_entropy_is_zero_for_one_token_and_one_for_all() -> None:
    uniform, single = torch.full((1, 1, 5, 5), 0.2), torch.eye(5)[None, None]
    assert measured(uniform, single).result().entropy.tolist() == pytest.approx([1, 0], abs=1e-6)


def test_batches_add_up_and_distances_are_means_of_diagonals() -> None:
    torch.manual_seed(0)
    layers = [random_maps(6) for _ in range(3)]
    whole = measured(*layers).result()
    pieces = MapSimilarity(["a", "b", "c"])
    pieces.add([each[:4] for each in layers])
    pieces.add([each[4:] for each in layers])
    for name in ("pearson", "matched", "cosine", "jsd", "tv", "entropy"):
        assert torch.allclose(getattr(whole, name), getattr(pieces.result(), name), atol=1e-6), name
    expected = float(whole.pearson[0, 1] + whole.pearson[1, 2]) / 2
    assert whole.by_distance("pearson") == {1: pytest.approx(expected), 2: pytest.approx(whole.pearson[0, 2])}


def test_the_dear_measures_see_the_first_images_only() -> None:
    meter = MapSimilarity(["a", "b"], images_apart=5)
    for _ in range(2):
        meter.add([random_maps(4), random_maps(4)])
    assert (meter.result().images, meter.result().images_apart) == (8, 5)
