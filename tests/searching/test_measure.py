"""Latency beside a reference, memory, rank correlation and the proxy that costs nothing."""

import pytest
import torch
from torch import nn

from tests.searching.spaces import tiny_psvit
from vitreous.searching import measure
from vitreous.searching.measure import Stopwatch
from vitreous.searching.worth import agreement, snip


class Takes(nn.Module):
    """Pretends to take some milliseconds, twice as many while the machine is slow."""

    slow = 1.0

    def __init__(self, ms: float) -> None:
        super().__init__()
        self.ms = ms


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stopwatch, "_once", lambda self, model: model.ms * Takes.slow)
    monkeypatch.setattr(Takes, "slow", 1.0)


def test_a_machine_that_slows_down_does_not_count_against_a_candidate(
    clocked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Stopwatch(Takes(4.0), torch.zeros(1), "float32")
    assert watch.reference_ms == 4.0 and watch.latency_ms(Takes(6.0)) == pytest.approx(6.0)
    monkeypatch.setattr(Takes, "slow", 2.5)
    assert watch.latency_ms(Takes(6.0)) == pytest.approx(6.0)
    again = Stopwatch(Takes(4.0), torch.zeros(1), "float32", reference_ms=watch.reference_ms)
    assert again.latency_ms(Takes(6.0)) == pytest.approx(6.0)


def test_every_measurement_is_repeated_beside_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def once(self: Stopwatch, model: nn.Module) -> float:
        asked.append("reference" if model is self._reference else "candidate")
        return 1.0

    monkeypatch.setattr(Stopwatch, "_once", once)
    Stopwatch(nn.Identity(), torch.zeros(1), "float32", 1.0).latency_ms(nn.Flatten())
    assert asked.count("candidate") == asked.count("reference") == measure.REPEATS + measure.WARM_UP
    assert asked[:4] == ["candidate", "reference", "reference", "candidate"]


def test_memory_is_the_weights_and_grows_with_the_batch() -> None:
    model = nn.Sequential(nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 8))
    weights = sum(each.nbytes for each in model.parameters())
    held = [
        Stopwatch(nn.Identity(), torch.zeros(batch, 256), "float32", 1.0).memory(model) for batch in (8, 64)
    ]
    assert held[0] > weights + 8 * 512 * 4 and held[1] > weights + 64 * 512 * 4 > held[0]


def test_kendalls_tau_of_equal_opposite_and_absent_order() -> None:
    equal = agreement(range(10), range(10))
    assert equal.tau == pytest.approx(1.0) == equal.low and equal.n == 10
    assert agreement(range(10), [-each for each in range(10)]).tau == pytest.approx(-1.0)
    assert agreement([1.0] * 8, range(8)).tau is None
    noisy = agreement([1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 4, 3, 6, 5, 8, 7])
    assert noisy.tau is not None and noisy.low is not None and noisy.low < noisy.tau < 1.0
    assert "+0.71" in str(noisy) and "(n = 8)" in str(noisy)


def test_the_proxy_is_positive_repeats_itself_and_leaves_the_random_state_alone() -> None:
    space = tiny_psvit()
    config = space.resolve(space.cheapest("macs"))
    images, labels = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 3])
    torch.manual_seed(0)
    first = snip(config, images, labels)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(1), drawn) and first > 0
    assert snip(config, images, labels) == first != snip(config, images, labels, seed=1)
