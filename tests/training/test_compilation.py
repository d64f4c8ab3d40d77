import pytest
import torch

from vitreous.models import VisionTransformer, build, config
from vitreous.models.recursive import recursive
from vitreous.parts import Recursive
from vitreous.training import compilation
from vitreous.training.compilation import compiled


def small(times: int) -> VisionTransformer:
    host = config("deit_tiny", image_size=16, patch=4, width=16, heads=2, depth=2, classes=3)
    return recursive(host, times=times)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # inside torch itself
@pytest.mark.parametrize(("times", "whole"), [(2, True), (12, False)])
def test_many_turns_compile_the_block_and_few_the_model(
    times: int, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.testing import CompileCounter

    torch.compiler.reset()
    counter = CompileCounter()
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *given, **told: real(*given, **told, backend=counter))
    model = build(small(times)).eval()
    images = torch.randn(2, 3, 16, 16)
    expected, names = model(images), list(model.state_dict())
    forward = compiled(model)
    assert (forward is not model) == whole
    torch.testing.assert_close(forward(images), expected)
    assert list(model.state_dict()) == names
    # Two blocks of twelve turns are compiled a few times at most, never once a turn.
    assert 1 <= counter.frame_count <= 4


def test_the_limit_lies_above_every_model_of_the_paper() -> None:
    turns = [layer.times for layer in config("sret_tiny").layers if isinstance(layer, Recursive)]
    assert max(turns) <= compilation.MANY_TURNS < 6
