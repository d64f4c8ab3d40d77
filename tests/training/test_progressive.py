"""Smaller images first: one set of weights at two sizes, and runs that change between them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vitreous.errors import ConfigError, StoppedError
from vitreous.interop.model_folder import load
from vitreous.interop.resize import resize_positions, resized_tables
from vitreous.models import VisionTransformer, build, config
from vitreous.models.lape import lape
from vitreous.models.sret import sret
from vitreous.parts import Attention, Block, FeedForward, ImageShape, MeanHead, Mix, RelativePosition
from vitreous.training.loop import Loop
from vitreous.training.progressive import (
    AtTwoSizes,
    SmallFirst,
    as_places,
    at_two_sizes,
    check_progressive,
    from_places,
    resizing,
    small_config,
    small_first,
)
from vitreous.training.recipe import Recipe
from vitreous.training.train import TrainResult

Run = Callable[..., TrainResult]
DEIT = config("deit_tiny", width=16, heads=2, depth=2, patch=4, image_size=32, classes=3)
SRET = sret(
    image=ImageShape(3, 32, 32), classes=3, head_width=8, heads=(1, 2), blocks=(1, 1), ratio=2, slices=None
)
RELATIVE = dataclasses.replace(
    DEIT, head=MeanHead(3), layers=(Block((Mix(Attention(2, relative=RelativePosition())), FeedForward(1))),)
)
FAMILIES = {
    "deit": DEIT,
    "sret": SRET,
    "relative": RELATIVE,
    "lape": lape(DEIT),
    "eit": config("eit_digits", image_size=16, classes=3, channels=3, width=16, depth=2, heads=2),
}


def two_sizes(described: VisionTransformer, shorter: int) -> tuple[torch.nn.Module, AtTwoSizes]:
    torch.manual_seed(0)
    full = build(described)
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    small = build(small_config(described, shorter))
    tables = at_two_sizes(full, small)
    return full, AtTwoSizes(full, small, full=full, small=small, tables=tables)


def images(described: VisionTransformer, shorter: int) -> torch.Tensor:
    return torch.randn(4, 3, shorter, shorter, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", FAMILIES)
def test_small_images_give_what_the_model_for_them_gives_with_resized_tables(name: str) -> None:
    described = FAMILIES[name]
    shorter = described.image.height * 3 // 4
    full, network = two_sizes(described, shorter)
    alone = build(small_config(described, shorter))
    alone.load_state_dict(resize_positions(full.state_dict(), described, small_config(described, shorter)))
    x = images(described, shorter)
    torch.testing.assert_close(network(x), alone.train()(x), rtol=0, atol=1e-6)
    x = images(described, described.image.height)
    assert torch.equal(network.eval()(x), full.eval()(x))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_weight_learns_from_small_images_and_there_are_no_others(name: str) -> None:
    described = FAMILIES[name]
    full, network = two_sizes(described, described.image.height // 2)
    network(images(described, described.image.height // 2)).square().sum().backward()
    owned = {id(each) for each in full.parameters()}
    assert {id(each) for each in network.parameters()} == owned
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in full.parameters())


def test_batch_statistics_are_those_of_the_one_model() -> None:
    full, network = two_sizes(SRET, 16)
    network(images(SRET, 16))
    seen = {name: each for name, each in full.state_dict().items() if name.endswith("num_batches_tracked")}
    assert seen and all(each == 1 for each in seen.values())


def test_a_compiler_sees_each_of_the_two_sizes_once() -> None:
    _, network = two_sizes(DEIT, 16)
    graphs: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(network, backend=backend, dynamic=False, fullgraph=True)
    for _ in range(3):
        for size in (16, 32):
            x = images(DEIT, size)
            torch.testing.assert_close(compiled(x), network(x), rtol=0, atol=1e-6)
    assert len(graphs) == 2


def test_the_size_is_a_function_of_the_step() -> None:
    recipe = Recipe(progressive_size=16, progressive_share=0.3)
    sizes = small_first(recipe, DEIT, 10)
    assert sizes == SmallFirst((16, 16), 3)
    x = images(DEIT, 32)
    assert [sizes(x, step).shape[-1] for step in range(5)] == [16, 16, 16, 32, 32]
    assert sizes(x, 3) is x
    wide = dataclasses.replace(DEIT, image=ImageShape(3, 32, 64))
    assert small_config(wide, 16).image == ImageShape(3, 16, 32)


@pytest.mark.parametrize(
    ("described", "recipe", "message"),
    [
        (DEIT, {"progressive_size": 32}, "progressive_size 32: a size below the full one of 32 px works"),
        (DEIT, {"progressive_size": 16, "progressive_share": 1.0}, "a share above 0 and below 1 works"),
        (DEIT, {"progressive_size": 18}, "progressive_size 18 does not fit deit_tiny: stem, PatchStem"),
        (
            config("mlp_mixer_small", image_size=64, classes=3),
            {"progressive_size": 32},
            "belongs to single tokens and cannot be shared between two sizes",
        ),
        (
            config("sret_tiny", image_size=224, classes=3),
            {"progressive_size": 176},
            "does not fit sret_tiny: layer 0, .*slices",
        ),
    ],
)
def test_a_size_that_does_not_fit_is_refused(
    described: VisionTransformer, recipe: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_progressive(Recipe(**recipe), described)


PROGRESSIVE: dict[str, Any] = {
    "image_size": 8,
    "recipe": {"dropout": 0.1, "drop_path": 0.1, "progressive_size": 4, "progressive_share": 0.5},
}


def test_a_run_of_two_sizes_that_was_cut_ends_with_the_same_bits(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = tiny_run(out=str(tmp_path / "straight"), **PROGRESSIVE)
    move = Loop._move
    for cut in (4, 8):  # before and behind the change of size at step 6

        def stop(loop: Loop, shown: Any, cut: int = cut) -> Any:
            if loop.step == cut:
                loop._save(must=True)
                raise StoppedError("cut", 75)
            return move(loop, shown)

        with monkeypatch.context() as patched:
            patched.setattr(Loop, "_move", stop)
            with pytest.raises(StoppedError):
                tiny_run(**PROGRESSIVE)
    done = tiny_run(**PROGRESSIVE)
    for one, other in zip(load(straight.run_dir).parameters(), load(done.run_dir).parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_given_time_counts_steps_of_both_sizes(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    call = AtTwoSizes.forward

    def watched(network: AtTwoSizes, x: torch.Tensor) -> Any:
        seen.append(tuple(x.shape[-2:]))
        return call(network, x)

    monkeypatch.setattr(AtTwoSizes, "forward", watched)
    done = tiny_run(**PROGRESSIVE | {"epochs": "auto", "time": "6s"})
    measured = seen.index((8, 8))
    assert (8, 8) in seen[:200] and (4, 4) in seen[measured:]  # both are measured, then trained
    assert "steps fit into 6s" in (done.run_dir / "config.yaml").read_text()


def test_guidance_by_maps_of_one_size_is_refused(tiny_run: Run) -> None:
    with pytest.raises(ConfigError, match=r"guidance.teacher and recipe.progressive_size do not go together"):
        tiny_run(guidance={"teacher": "cnn"}, recipe={"progressive_size": 4})


@pytest.mark.parametrize("name", ["deit", "sret", "relative"])
def test_the_matrix_that_resizes_tables_is_torchs_bicubic(name: str) -> None:
    full, network = two_sizes(FAMILIES[name], 24)
    small = network._models[1]
    for path in network._tables:
        table = full.get_parameter(path)
        assert isinstance(table, torch.Tensor)
        expected = resized_tables({path: table.detach()}, full, small)[path]
        found = from_places(resizing(full, small, path) @ as_places(table.detach()), expected.shape)  # type: ignore[arg-type]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_in_mixed_precision_tables_stay_as_precise_as_they_are() -> None:
    _, network = two_sizes(DEIT, 16)
    seen: list[torch.dtype] = []
    network._models[1].position.register_forward_pre_hook(
        lambda module, _: seen.append(module.table.weight.dtype)
    )
    with torch.autocast("cpu", torch.bfloat16):
        network(images(DEIT, 16))
    assert seen == [torch.float32]
