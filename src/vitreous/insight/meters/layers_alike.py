"""CKA between layers; between models, `between` in `analyze.py` uses what this keeps."""

import torch
from torch import Tensor

from vitreous.analysis.cka import FEWEST, cka_matrix
from vitreous.analysis.seen import BLOCK, Features
from vitreous.insight.chart import Matrix
from vitreous.insight.meters.meter import Finding, Meter, Setting, short_name, spaced

NAME = "cka"
TITLE = "Layers that represent alike (CKA)"
HOW = (
    "How alike two layers represent the same images, blind to rotation and scale; 1 is the same, about "
    "0 is unrelated. Blocks of equal colour are stages in which little changes. Between two models it "
    "says where one reaches what the other has."
)
MOST_LAYERS = 48


class LayersAlike(Meter):
    """Keeps one vector an image and layer: the mean of its patches."""

    kinds = (BLOCK,)

    def __init__(self) -> None:
        self.kept: dict[str, list[Tensor]] = {}

    def features(self, seen: Features) -> None:
        """The mean patch."""
        if seen.kind == BLOCK:
            self.kept.setdefault(seen.name, []).append(seen.patches.float().mean(dim=1).cpu())

    def vectors(self) -> dict[str, Tensor]:
        """(images, width) by layer."""
        return {name: torch.cat(self.kept[name]) for name in spaced(list(self.kept), MOST_LAYERS)}

    def finding(self, setting: Setting) -> Finding:
        """A matrix over layers."""
        vectors = self.vectors()
        images = len(next(iter(vectors.values())))
        if images < FEWEST:
            return Finding({}, f"CKA needs at least {FEWEST} images and was given {images}.")
        each = list(vectors.values())
        matrix = cka_matrix(each, each)
        near = [float(matrix[n, n + 1]) for n in range(len(matrix) - 1)]
        names = tuple(map(short_name, vectors))
        shows = "There is one layer."
        if near:
            place = min(range(len(near)), key=near.__getitem__)
            mean, most = sum(near) / len(near), list(vectors)[place + 1]
            shows = f"From layer to layer it is {mean:.2f} on average; most changes in {most}."
        rows = tuple(tuple(row) for row in matrix.tolist())
        chart = Matrix(
            title="CKA of layers", rows=names, columns=names, values=rows, low=0, high=1, x="layer", y="layer"
        )
        return Finding({"layers": list(vectors), "cka": matrix.tolist(), "images": images}, shows, (chart,))
