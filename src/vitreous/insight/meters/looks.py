"""Where attention looks: maps of heads and query points on images, and rollout."""

from typing import Any

import torch
from torch import Tensor

from vitreous.analysis.entropy import entropy
from vitreous.analysis.recording import record
from vitreous.analysis.rollout import rollout, since_last_pool
from vitreous.insight.chart import Images
from vitreous.insight.meters.meter import MOST_TOKENS, Finding, Meter, Setting, spaced

NAME = "attention"
TITLE = "Where attention looks"
HOW = (
    "What the query token takes from where, head by head and layer by layer, over a few images: "
    "brighter is more. The query is the class token where there is one, and the middle patch else. "
    "Rollout multiplies the maps through the layers; a head that pools by weights has a map of them. "
    "Where a model looks is not why it answers."
)
IMAGES, LAYERS = 4, 6


class Looks(Meter):
    """Recorded on a few images alone."""

    def finding(self, setting: Setting) -> Finding:
        """Small maps, as 0 to 255."""
        images = setting.few[:IMAGES]
        with torch.no_grad(), record(setting.model, features=None) as seen:
            setting.model(images)
        maps = {
            name: each
            for name, each in seen.maps.items()
            if each.over == "tokens" and each.grid is not None and each.tokens <= MOST_TOKENS
        }
        if not maps:
            told = (
                seen.notes[0]
                if seen.notes
                else f"maps of more than {MOST_TOKENS:,} tokens, or without a grid, are not drawn"
            )
            return Finding({}, f"Nothing to draw: {told}.")
        layers = []
        for name in spaced(list(maps), LAYERS):
            each = maps[name]
            grid = each.grid
            assert grid is not None
            dense = each.dense()
            middle = each.prefix + (grid[0] // 2) * grid[1] + grid[1] // 2
            queries = {"middle patch": middle} | ({"class token": 0} if each.prefix else {})
            layers.append(
                {
                    "layer": name,
                    "grid": list(grid),
                    "maps": {
                        query: _scaled(dense[:, :, place, each.prefix :]) for query, place in queries.items()
                    },
                }
            )
        last = list(maps.values())
        begin = since_last_pool([each.tokens for each in last])
        rolled = rollout([each.dense() for each in last[begin:]])
        end = last[-1]
        assert end.grid is not None
        rows, columns = end.grid
        query = 0 if end.prefix else (rows // 2) * columns + columns // 2
        flow = rolled[:, query, end.prefix :]
        first = list(maps)[begin]
        scaled = _scaled(flow[:, None])
        found: dict[str, Any] = {"layers": layers, "rollout": scaled, "rollout_from": first}
        found["grid"] = [rows, columns]
        mass = flow / flow.sum(dim=1, keepdim=True).clamp_min(1e-12)
        even = torch.log(torch.tensor(float(mass.shape[1])))
        whole = 100 * float((entropy(mass) / even).mean())
        shows = f"Rollout from {first} has {whole:.0f} % of the entropy of looking everywhere alike."
        pictures = tuple((f"image {n}", _grey(one[0], columns)) for n, one in enumerate(scaled))
        charts = [Images(title="Rollout", pictures=pictures, columns=IMAGES)]
        pool = seen.maps.get("head")
        if pool is not None and pool.grid is not None:
            found["head"] = _scaled(pool.dense()[:, :, 0])
            wide = pool.grid[1]
            pictures = tuple((f"image {n}", _grey(one[0], wide)) for n, one in enumerate(found["head"]))
            charts.append(Images(title="What the head pools", pictures=pictures, columns=IMAGES))
        return Finding(found, shows, tuple(charts))


def _grey(values: list[int], columns: int) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """A row of values as pixels."""
    pixels = [(each, each, each) for each in values]
    return tuple(tuple(pixels[begin : begin + columns]) for begin in range(0, len(pixels), columns))


def _scaled(values: Tensor) -> list[list[list[int]]]:
    """(batch, heads, patches) as 0 to 255 by the largest of each."""
    top = values.amax(dim=-1, keepdim=True).clamp_min(1e-12)
    scaled: list[list[list[int]]] = (values / top * 255).round().int().tolist()
    return scaled
