"""The optimizer over its parameter groups.

`adamw` is torch's (Loshchilov & Hutter 2019), its fused kernel where the device has one; `muon` is timm's
(Jordan et al. 2024), one object that moves hidden weights W along their orthogonalised momentum and all
others by AdamW:

    M ← μ·M + (1 − μ)·G,   W ← W − η·0.2·√max(rows, columns) · orthogonal((1 − μ)·G + μ·M)

five Newton-Schulz steps making it about orthogonal, kernels as matrices (out, in · height · width), with the
scale of Liu et al. 2025 (arXiv 2502.16982), at which an update is as large as AdamW's, so that both may have
one learning rate. Every other name is made by timm's factory. Which parameters stand in which group:
`parameter_groups.py`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from torch import nn

from vitreous.training.optimizer_names import MUON, choose_moments
from vitreous.training.parameter_groups import parameter_groups
from vitreous.training.recipe import Recipe


def make_optimizer(
    model: nn.Module, recipe: Recipe, *, lr: float, beside: Sequence[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """The recipe's optimizer over all parameters of `model` that are trained.

    Args:
        model: a model of `vitreous.build`, on its device.
        recipe: gives optimizer, weight decay, layer decay and moments.
        lr: peak learning rate.
        beside: parameters that an objective learns for itself; they decay as matrices do.
    """
    recipe, name = choose_moments(recipe), recipe.optimizer
    groups = parameter_groups(
        model,
        weight_decay=recipe.weight_decay,
        layer_decay=recipe.layer_decay,
        muon=name == MUON,
        decay_tables=recipe.decay_tables,
    )
    if beside:
        mark = {"use_fallback": True} if name == MUON else {}
        groups.append({"params": list(beside), "weight_decay": recipe.weight_decay, **mark})
    given: dict[str, Any] = {} if recipe.betas == "auto" else {"betas": recipe.betas}
    if name == "adamw":
        fused = next(model.parameters()).device.type in ("cpu", "cuda")
        return torch.optim.AdamW(groups, lr=lr, fused=fused, **given)
    if name == MUON:
        for group in groups:
            if group.get("use_muon"):
                group["nesterov"] = True
                group["lr_scale"] = group.get("lr_scale", 1.0) * recipe.muon_lr_scale
            else:
                group |= {"nesterov": False, "eps": 1e-8}  # plain AdamW with torch's epsilon
    assert recipe.momentum != "auto"
    return create_optimizer_v2(groups, name, lr=lr, momentum=recipe.momentum, **given)
