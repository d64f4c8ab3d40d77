"""Probes see what the analyses see, cost the run nothing but time, and are refused where they cannot look."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models.entries import ENTRIES, shrink
from vitreous.analysis.head_distance import head_distances, head_spread
from vitreous.analysis.recording import record
from vitreous.analysis.spectrum import high_frequency_shares
from vitreous.errors import ConfigError
from vitreous.interop.model_folder import load
from vitreous.models import build
from vitreous.training.check_settings import check_settings
from vitreous.training.metrics_log import read_events
from vitreous.training.probes import PROBES, Probes
from vitreous.training.settings import Probing, TrainSettings
from vitreous.training.train import TrainResult

Run = Callable[..., TrainResult]


def test_a_probe_measures_what_its_analysis_measures() -> None:
    torch.manual_seed(0)
    model = build(shrink("deit_tiny"))
    images = torch.randn(20, 3, 16, 16)  # more than one batch
    found = Probes(("hfd", "head_diversity"), images, "float32").measure(model)
    assert model.training and list(found) == [
        f"probe/{n}/L0{layer}" for layer in (0, 1) for n in ("hfd", "head_diversity")
    ]
    with torch.no_grad(), record(model.eval(), features="inputs") as seen:
        model(images)
    first = seen.of("inputs")["layers.0"]
    shares = high_frequency_shares(first.patches.transpose(1, 2).unflatten(2, first.grid))
    assert found["probe/hfd/L00"] == pytest.approx(float(shares.mean()), abs=1e-5)
    spread = head_spread(head_distances(seen.maps["layers.1"], (4, 4)).mean(dim=0))
    assert found["probe/head_diversity/L01"] == pytest.approx(spread.deviation, abs=1e-5)


@pytest.mark.parametrize("described", ENTRIES.values(), ids=ENTRIES)
def test_every_model_can_be_probed_by_all(described) -> None:
    image = described.image
    model = build(described)
    found = Probes(PROBES, torch.randn(2, image.channels, image.height, image.width), "bfloat16").measure(
        model
    )
    assert found and all(value == value and abs(value) < 1e6 for value in found.values())
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())


def test_a_run_with_probes_ends_with_the_same_bits(tiny_run: Run, tmp_path: Path) -> None:
    plain = tiny_run(out=str(tmp_path / "plain"))
    probed = tiny_run(out=str(tmp_path / "probed"), probes="hfd,entropy", probing={"every": 2, "images": 10})
    first, second = (load(each.run_dir).model.state_dict() for each in (plain, probed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    events = [each for each in read_events(tmp_path / "probed" / "metrics.jsonl") if "val/loss" in each]
    assert [("probe/hfd/L01" in each, "probe/entropy/L00" in each) for each in events] == [
        (False,) * 2,
        (True,) * 2,
    ]
    assert 0 < events[-1]["probe/hfd/L00"] < 1 and events[-1]["time/probe_s"] > 0
    assert "probe/hfd/L00" in (tmp_path / "probed" / "metrics.csv").read_text().splitlines()[0]


def test_probes_may_be_added_to_a_run_that_continues(
    tiny: dict[str, Any], tiny_run: Run, tmp_path: Path
) -> None:
    tiny_run()
    assert tiny_run(probes="hfd").run_dir == tmp_path / "run"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"probes": "hfd,entrpy"}, "probes: entrpy is none; .*did you mean entropy"),
        ({"probes": "hfd", "probing": Probing(every=0)}, "probing.every 0: 1 or more work"),
        ({"probing": Probing(images=3)}, "probing is given and no probes"),
        ({"probes": "hfd", "sharding": "fsdp"}, "sharding fsdp keeps it in parts"),
    ],
)
def test_what_cannot_be_probed_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_settings(TrainSettings(data=["digits"], **changed))
