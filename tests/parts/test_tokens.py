import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest
import torch
from torch.utils import _pytree as pytree

from vitreous.parts import Tokens, TokenShape


def test_tokens_counts_the_prefix_and_the_grid() -> None:
    assert TokenShape(8, (4, 5)).tokens == 20
    assert TokenShape(8, (4, 5), prefix=2).tokens == 22


def test_tokens_cannot_be_changed_in_place() -> None:
    tokens = Tokens(torch.zeros(1, 4, 8), (2, 2))
    with pytest.raises(FrozenInstanceError):
        tokens.prefix = 1  # type: ignore[misc]


def test_torch_takes_tokens_apart_and_puts_them_together() -> None:
    tokens = Tokens(torch.zeros(1, 5, 8), (2, 2), prefix=1)
    doubled = pytree.tree_map_only(torch.Tensor, lambda x: x + 1, tokens)
    assert isinstance(doubled, Tokens)
    assert torch.equal(doubled.x, tokens.x + 1)
    assert (doubled.grid, doubled.prefix, doubled.shared) == ((2, 2), 1, ())


def test_importing_the_module_twice_is_harmless() -> None:
    program = (
        "import sys, vitreous.parts.tokens\n"
        "del sys.modules['vitreous.parts.tokens']\n"
        "import vitreous.parts.tokens as again\n"
        "import importlib; importlib.reload(again)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_tokens_cross_the_border_of_an_exported_program(without_shape_checks: None) -> None:
    class Doubled(torch.nn.Module):
        def forward(self, tokens: Tokens) -> Tokens:
            return Tokens(tokens.x * 2, tokens.grid, tokens.prefix)

    tokens = Tokens(torch.ones(1, 5, 8), (2, 2), prefix=1)
    exported = torch.export.export(Doubled(), (tokens,))
    assert torch.equal(exported.module()(tokens).x, tokens.x * 2)
