"""Guidance by a small convolutional network: its loss, its training inside the run, and what is refused."""

import copy
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError, StoppedError
from vitreous.models.as_json import to_json
from vitreous.models.deit import deit
from vitreous.models.vision_transformer import build
from vitreous.parts import ImageShape
from vitreous.runs.dry_run import plan_run
from vitreous.training.check_settings import check_settings
from vitreous.training.guidance import Guide, GuidedObjective, squared_distance
from vitreous.training.network import WithMaps
from vitreous.training.objective import Objective, Shown
from vitreous.training.recipe import Recipe
from vitreous.training.settings import Guidance, TrainSettings
from vitreous.training.small_resnet import SmallResNet
from vitreous.training.step import TrainStep
from vitreous.training.train import train

pytestmark = pytest.mark.usefixtures("without_curves")

GREY = Preprocessing(channels=1, height=8, width=8, mean=(0.3,), std=(0.2,))
CONFIG = deit(image=ImageShape(1, 8, 8), classes=10, width=16, depth=3, heads=2, patch=2)
THREE = json.dumps(to_json(CONFIG))
GUIDED = {"teacher": "cnn", "depth": 8, "epochs": 1}


def step(weight: float = 2.5) -> TrainStep:
    torch.manual_seed(0)
    model = build(CONFIG)
    guide = Guide(SmallResNet(channels=1, classes=10, depth=8), GREY, GREY)
    objective = GuidedObjective(Objective(), guide, widths=(16, 16, 16), weight=weight)
    return TrainStep(
        model,
        Recipe(warmup=0.0, drop_path=0.0),
        lr=3e-3,
        total_steps=40,
        seed=0,
        forward=WithMaps(model, (0, 1, 2), apart=False),
        objective=objective,
    )


def shown() -> Shown:
    generator = torch.Generator().manual_seed(1)
    return Shown(torch.randn(8, 1, 8, 8, generator=generator), torch.arange(8))


@pytest.mark.parametrize(("depth", "parameters"), [(20, 272_474), (56, 855_770)])
def test_the_guide_is_the_residual_network_for_cifar_with_projections(depth, parameters):
    # He et al.: 0.27 M and 0.85 M with shortcuts without weights; the two projections and norms are the rest
    model = SmallResNet(channels=3, classes=10, depth=depth)
    assert sum(each.numel() for each in model.parameters()) == parameters
    maps = model.features(torch.randn(2, 3, 32, 32))
    assert [tuple(each.shape[1:]) for each in maps] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    layers = [each for each in model.modules() if isinstance(each, nn.Conv2d) and each.kernel_size == (3, 3)]
    assert len(layers) + 1 == depth


def test_the_distance_is_the_mean_square_at_the_larger_size():
    first, second = torch.randn(2, 4, 2, 8), torch.randn(2, 4, 4, 4)
    larger = [nn.functional.interpolate(each, (4, 8), mode="bilinear") for each in (first, second)]
    expected = (larger[0] - larger[1]).square().mean()
    torch.testing.assert_close(squared_distance(first, second), expected)
    assert squared_distance(first, first) == 0


def test_the_loss_falls_gradients_reach_pupil_and_projections_and_the_guide_stays():
    trainee = step()
    guide = trainee.objective.guide
    before = {name: value.clone() for name, value in guide.state_dict().items()}
    losses = []
    for number in range(20):
        losses.append(float(trainee.backward(shown(), number)[0]))
        assert all(each.grad is not None for each in trainee.model.parameters())
        assert all(each.grad.abs().sum() > 0 for each in trainee.objective.projections.parameters())
        trainee.update()
    assert losses[-1] < 0.7 * losses[0]
    assert all(torch.equal(value, before[name]) for name, value in guide.state_dict().items())
    assert all(each.grad is None for each in guide.parameters())


def test_without_weight_the_gradient_of_the_pupil_is_the_ordinary_one():
    guided, plain = step(weight=0.0), step(weight=0.0)
    plain.objective, plain._forward = Objective(), plain.model
    guided.backward(shown(), 0)
    plain.backward(shown(), 0)
    for one, other in zip(guided.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_what_an_objective_learns_is_stored_and_loaded():
    first, second = step(), step()
    for number in range(3):
        first.backward(shown(), number)
        first.update()
    second.load(first.weights(), copy.deepcopy(first.optimizer_state()))
    for number in range(3, 5):
        for each in (first, second):
            each.backward(shown(), number)
            each.update()
    assert first.weights()["objective"].keys() == second.weights()["objective"].keys()
    for kind, weights in first.weights().items():
        assert all(torch.equal(value, second.weights()[kind][name]) for name, value in weights.items())


def delivered(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


def test_a_run_trains_its_guide_first_and_goes_on_bit_for_bit_from_either_part(
    tiny_run, monkeypatch, tmp_path
):
    arguments = {"epochs": 1, "model": THREE, "guidance": GUIDED, "recipe": {"dropout": 0.1}}
    whole = tiny_run(out=str(tmp_path / "whole"), **arguments)
    guide = load_file(whole.run_dir / "guidance" / "model.safetensors")
    assert guide.keys() == SmallResNet(channels=1, classes=10, depth=8).state_dict().keys()
    assert not (whole.run_dir / "guidance" / "checkpoints").exists()
    original, calls = TrainStep.backward, []

    def backward(self, shown, step):
        calls.append(step)
        if len(calls) in (4, 9):  # once in the guide's six steps, once in the model's
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, shown, step)

    with monkeypatch.context() as patched:
        patched.setattr(TrainStep, "backward", backward)
        with pytest.raises(StoppedError, match=r"a checkpoint in .*guidance; the same command continues"):
            tiny_run(**arguments)
        with pytest.raises(StoppedError):
            tiny_run(**arguments)
    parts = tiny_run(**arguments)
    assert delivered(whole.run_dir) == delivered(parts.run_dir)
    taken = arguments | {"guidance": {"teacher": str(whole.run_dir)}}
    again = tiny_run(out=str(tmp_path / "again"), **taken)
    assert delivered(whole.run_dir) == delivered(again.run_dir)
    written = train(config=again.run_dir / "config.yaml", out=tmp_path / "written")
    assert delivered(whole.run_dir) == delivered(written.run_dir)
    assert plan_run(out=str(tmp_path / "planned"), config=again.run_dir / "config.yaml").eta_s > 0
    with pytest.raises(ConfigError, match="was trained on other images, or on these with another validation"):
        tiny_run(out=str(tmp_path / "seed"), seed=1, **taken)


def test_a_run_in_float64_has_a_guide_in_float32(tiny_run):
    run = tiny_run(epochs=1, model=THREE, guidance=GUIDED, precision="float64").run_dir
    assert load_file(run / "guidance" / "model.safetensors")["conv.weight"].dtype == torch.float32


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weight": 1.0}, r"guidance\.weight is given and no guidance\.teacher"),
        ({"teacher": "cnn", "weight": 0.0}, r"guidance\.weight is 0\.0; above 0 works"),
        ({"teacher": "cnn", "depth": 18}, r"guidance\.depth is 18; 8, 14, 20 and so on"),
        ({"teacher": "runs/x", "depth": 20}, "are for a guide that is trained"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(TrainSettings(data=["digits"], guidance=Guidance(**given)))


def test_a_head_that_is_trained_alone_cannot_be_guided():
    settings = TrainSettings(data=["digits"], recipe=Recipe(train="head"), guidance=Guidance(teacher="cnn"))
    with pytest.raises(ConfigError, match="guidance is about features"):
        check_settings(settings)


def test_layers_and_guides_that_there_are_not_are_refused(tiny_run, tmp_path):
    with pytest.raises(ConfigError, match=r"guidance\.layers 0, 0, 2: three different layers in order"):
        tiny_run(model=THREE, guidance=GUIDED | {"layers": (0, 0, 2)})
    with pytest.raises(ConfigError, match="holds no guide"):
        tiny_run(model=THREE, guidance={"teacher": str(tmp_path)})
    with pytest.raises(ConfigError, match="guidance needs three layers with a grid"):
        tiny_run(guidance=GUIDED)
