"""The authors' EIT training logs as the reference curves that are shipped, `eit_<size>_imagenet`.

The figures are top-1 accuracies of the raw weights at nine epochs of the logs that the authors published
beside their code (their epoch e is e + 1 epochs done). Between them the curve is a straight line.

The band is ours. The logs are one run each, so nothing is known about the spread over seeds; over the last
ten epochs they move by 0.05 to 0.12 points (standard deviation). We allow 1 point at a logged epoch, and
between two of them, where the accuracies rise from a to b, (b − a)·t·(1 − t) more at the share t of the way:
a quarter of the rise in the middle, since the true curve bends.

    python benchmarks/eit_reference_curves.py
"""

from itertools import pairwise

from vitreous.training.on_track import SHIPPED, Curve, Point

EPOCHS_DONE = (1, 10, 20, 50, 100, 150, 200, 250, 300)
TOP1 = {
    "mini": (0.09, 30.85, 43.98, 51.68, 55.77, 59.17, 62.57, 67.18, 69.992),
    "tiny": (0.10, 37.31, 52.53, 60.01, 63.85, 67.30, 71.63, 75.78, 77.912),
    "base": (0.11, 41.03, 55.88, 64.78, 67.74, 71.36, 75.07, 78.64, 80.620),
    "large": (0.10, 42.11, 58.62, 65.92, 70.21, 73.29, 76.97, 80.10, 81.772),
}
ALLOWED = 1.0
STEPS_BETWEEN = 5


def points(accuracies: tuple[float, ...]) -> tuple[Point, ...]:
    """(epochs done, value, low, high) as fractions, with the band of the docstring."""
    found: list[Point] = []
    for (begin, a), (end, b) in pairwise(zip(EPOCHS_DONE, accuracies, strict=True)):
        for step in range(STEPS_BETWEEN):
            t = step / STEPS_BETWEEN
            found.append(point(begin + t * (end - begin), a + t * (b - a), (b - a) * t * (1 - t)))
    return (*found, point(EPOCHS_DONE[-1], accuracies[-1], 0.0))


def point(epoch: float, percent: float, more: float) -> Point:
    width = ALLOWED + more
    return epoch, percent / 100, max(0.0, percent - width) / 100, (percent + width) / 100


def main() -> None:
    for size, accuracies in TOP1.items():
        curve = Curve(
            name=f"eit_{size}_imagenet",
            source="one run of EIT's authors, top-1 of the raw weights in their published log",
            band="ours: 1 point at the nine logged epochs, between them up to a quarter of the rise more",
            conditions={"model": f"eit_{size}", "epochs": 300, "classes": 1000, "image_size": "224x224"},
            points=points(accuracies),
        )
        path = SHIPPED / f"{curve.name}.json"
        path.write_text(curve.to_text(), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
