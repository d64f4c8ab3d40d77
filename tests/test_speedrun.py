"""The speed run: models within their limits, and a recipe whose values all arrive."""

from pathlib import Path

import pytest
import torch
import yaml

import vitreous as vt
from vitreous.cli.main import main
from vitreous.training.parameter_groups import parameter_groups

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize(("name", "most"), [("hybrid_1m", 1_000_000), ("hybrid_3m", 4_000_000)])
def test_a_model_keeps_its_limit_and_muon_moves_almost_all_of_it(name: str, most: int) -> None:
    config = vt.config(name, classes=10)
    assert vt.cost(config).parameters <= most
    with torch.device("meta"):
        groups = parameter_groups(vt.build(config), weight_decay=0.05, muon=True)
    moved = sum(each.numel() for group in groups if group.get("use_muon") for each in group["params"])
    assert moved > 0.98 * vt.cost(config).parameters


def test_the_recipe_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--config", str(EXAMPLES / "speedrun.yaml"), "--data", "digits", "--print-config"]
    assert main(command) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    written = yaml.safe_load((EXAMPLES / "speedrun.yaml").read_text(encoding="utf-8"))
    del written["schema_version"]
    for key, value in written.items():
        assert value == (
            {name: shown[key][name] for name in value} if isinstance(value, dict) else shown[key]
        )
