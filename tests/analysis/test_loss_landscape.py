"""Losses around weights where the loss is known."""

import pytest
import torch
from torch import nn

from tests.models.entries import shrink
from vitreous.analysis.loss_landscape import direction, landscape, most_steps
from vitreous.errors import ConfigError
from vitreous.models import build


def quadratic(model: nn.Module) -> float:
    return float(model.weight.detach().square().sum())


def test_along_a_direction_the_loss_is_what_it_must_be() -> None:
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    along = direction(model, 0)["weight"]
    found = landscape(model, quadratic, span=0.5, steps=5)
    expected = [float((model.weight.detach() + a * along).square().sum()) for a in found.places]
    assert found.places == (-0.5, -0.25, 0.0, 0.25, 0.5)
    assert found.losses == pytest.approx(expected)


def test_a_plane_holds_the_line_in_its_middle() -> None:
    model = nn.Linear(4, 4)
    line = landscape(model, quadratic, steps=3)
    plane = landscape(model, quadratic, steps=3, dimensions=2)
    assert [row[1] for row in plane.losses] == pytest.approx(list(line.losses))


def test_filters_keep_their_norms_and_vectors_stay() -> None:
    model = build(shrink("sret_tiny"))
    found = direction(model, 0)
    weights = dict(model.named_parameters())
    for name, each in found.items():
        rows = tuple(range(1, each.ndim))
        own, theirs = (torch.linalg.vector_norm(one, dim=rows) for one in (each, weights[name]))
        assert torch.allclose(own, theirs, atol=1e-5)
    assert all(weights[name].ndim > 1 for name in found)
    assert len({weights[name].data_ptr() for name in found}) == len(found)  # a shared weight moves once


def test_the_weights_are_put_back_bit_for_bit_also_after_an_error() -> None:
    model = nn.Linear(5, 3)
    before = model.weight.detach().clone()
    landscape(model, quadratic, steps=3)
    assert torch.equal(model.weight, before)
    calls = []

    def breaks(given: nn.Module) -> float:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError
        return 0.0

    with pytest.raises(RuntimeError):
        landscape(model, breaks, steps=3)
    assert torch.equal(model.weight, before)


def test_the_cost_is_said_first_and_a_small_budget_names_what_fits(monkeypatch) -> None:
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr("vitreous.analysis.loss_landscape.time.perf_counter", lambda: next(clock))
    said: list[str] = []
    with pytest.raises(ConfigError, match="11 steps would take about 22 s of 15; 7 steps fit"):
        landscape(nn.Linear(2, 2), quadratic, budget_s=15, say=said.append)
    assert said == ["the loss landscape measures the loss 11 times: about 22 s"]
    assert most_steps(2.0, 5, 1) == 0 and most_steps(1.0, 25, 2) == 5


@pytest.mark.parametrize(("steps", "dimensions"), [(4, 1), (1, 1), (3, 3)])
def test_grids_that_miss_the_model_are_refused(steps: int, dimensions: int) -> None:
    with pytest.raises(ConfigError, match="odd steps from 3 in 1 or 2 work"):
        landscape(nn.Linear(2, 2), quadratic, steps=steps, dimensions=dimensions)
