"""Recorded runs of the authors' code, and the claim that a model of ours reproduces one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from vitreous.interop.rename import Table, to_theirs


@dataclass(frozen=True)
class Recorded:
    """One file of this folder; its README says what the tensors are."""

    sizes: dict[str, Any]
    tensors: dict[str, Tensor]

    def under(self, beginning: str) -> dict[str, Tensor]:
        """The tensors whose name begins so, under the rest of their name."""
        begins = f"{beginning}."
        return {
            name.removeprefix(begins): each for name, each in self.tensors.items() if name.startswith(begins)
        }

    @property
    def weights(self) -> dict[str, Tensor]:
        return self.under("weights")


def files(pattern: str) -> list[str]:
    """Names of the recorded runs that match."""
    return sorted(each.stem for each in Path(__file__).parent.glob(f"{pattern}.safetensors"))


def recorded(name: str) -> Recorded:
    with safe_open(Path(__file__).parent / f"{name}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return Recorded(json.loads(file.metadata()["config"]), tensors)


def assert_reproduced(model: nn.Module, run: Recorded, names: Table) -> None:
    """Logits and loss to 1e-5, the gradient norm of every parameter to a thousandth; weights are loaded."""
    logits = model.eval()(run.tensors["input"])
    torch.testing.assert_close(logits, run.tensors["logits"], rtol=0, atol=1e-5)
    loss = nn.functional.cross_entropy(logits, run.tensors["target"])
    assert loss.item() == pytest.approx(run.tensors["loss"].item(), abs=1e-5)
    loss.backward()
    gradients = to_theirs(dict(model.named_parameters()), names)
    norms = run.under("gradient_norm")
    assert len(norms) == len(list(model.parameters())) and norms.keys() <= gradients.keys()
    for name, norm in norms.items():
        gradient = gradients[name].grad
        assert gradient is not None, name
        assert abs(gradient.norm() - norm) <= 1e-3 * norm + 1e-6, name
