"""What pooling joins and keeps apart."""

import torch
from torch import nn

from vitreous.analysis.kept_apart import kept_apart, windows_of
from vitreous.analysis.watch import backbone
from vitreous.insight.meters.meter import Finding, Means, Meter, Setting
from vitreous.models.vision_transformer import VisionTransformerModule
from vitreous.parts.merge_patches import MergePatchesModule
from vitreous.parts.token_pool import GridPoolModule, LinePoolModule
from vitreous.parts.tokens import Tokens

NAME = "pools"
TITLE = "What pooling keeps apart"
HOW = (
    "Before each pool: mean cosine of neighbours that fall into one window (joined) and into two "
    "(apart), and the share of an image's variance inside windows, which a mean would lose. Unrelated "
    "tokens lose 0.75 at 2 × 2; a pool that joins what is alike loses little."
)


IMAGES = 128
POOLS = (GridPoolModule, LinePoolModule, MergePatchesModule)


class Pools(Meter):
    """Looks at what enters each pool, a layer or a branch of one."""

    def finding(self, setting: Setting) -> Finding:
        """By pool."""
        model = backbone(setting.model)
        pools = [(name, each) for name, each in model.named_modules() if isinstance(each, POOLS)]
        if not pools or not isinstance(model, VisionTransformerModule):
            return Finding({}, "The model has none of this package's pools.")
        sums = Means()

        def look(name: str, module: nn.Module, tokens: Tokens) -> None:
            patches = tokens.x[:, tokens.prefix :]
            where = windows_of(module, patches.shape[1], tokens.grid)
            assert where is not None
            windows, pairs = (each.to(patches.device) for each in where)
            each = kept_apart(patches, windows, pairs)
            row = torch.tensor([[each.joined, each.apart, each.lost]])
            sums.add(name, row.expand(len(patches), -1))

        hooks = [
            each.register_forward_pre_hook(lambda module, inputs, name=name: look(name, module, inputs[0]))
            for name, each in pools
        ]
        try:
            with torch.no_grad():
                for images, _ in setting.batches(IMAGES):
                    setting.model(images)
        finally:
            for hook in hooks:
                hook.remove()
        found = {
            name: dict(zip(("joined", "apart", "lost"), sums.of(name).tolist(), strict=True))
            for name in sums.names
        }
        told = [
            f"{name} joins {each['joined']:.2f}, keeps {each['apart']:.2f} apart, loses {each['lost']:.2f}"
            for name, each in found.items()
        ]
        return Finding({"pools": found}, "; ".join(told) + ".")
