"""Train an EIT on handwritten digits, score it on images it has never seen, and look at a few answers.

    make demo                      # sets everything up, then runs this
    python examples/digits.py      # in an environment that has vitreous

The images are scikit-learn's: 1,797 handwritten digits of 8×8 pixels (UCI, Alpaydin and Kaynak), a quarter
held out for the test. scikit-learn's support vector machine on the same split is printed beside the result:
at this size it is the method to beat, and it is honest to say so.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.svm import SVC

import vitreous as vt
from vitreous.data.images import ImageSplit, open_images
from vitreous.data.loading import Loading


def pixels(split: ImageSplit) -> np.ndarray:
    """The images as rows of grey values, 0 to 255: (images, rows * columns)."""
    return np.stack([np.asarray(split.image(i), dtype=np.float64).ravel() for i in range(len(split))])


def support_vector_machine(seed: int) -> float:
    """Test accuracy (0 to 1) of scikit-learn's SVC, trained on every image that is not in the test split."""
    images = open_images("digits", loading=Loading(), seed=seed, need=("train", "val", "test"))
    train, val, test = (images.splits[name] for name in ("train", "val", "test"))
    # gamma as in scikit-learn's own digits example (0.001 at grey values 0 to 16), rescaled to 0 to 255
    machine = SVC(gamma=0.001 * (16 / 255) ** 2)
    machine.fit(np.concatenate([pixels(train), pixels(val)]), np.concatenate([train.labels, val.labels]))
    return float(machine.score(pixels(test), test.labels))


def main() -> None:
    """Train, score, predict, and say where things are."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="runs/digits", help="run folder; an unfinished run is continued")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    result = vt.train(data="digits", model="eit_digits", out=arguments.out, seed=arguments.seed)
    took = json.loads((result.run_dir / "run.json").read_text())["wall_s"]  # also where it was continued

    scored = vt.evaluate(result.run_dir, split="test", out=Path(arguments.out) / "test")
    model = vt.load(result.run_dir)
    images = open_images("digits", loading=Loading(), seed=arguments.seed, need=("train", "val", "test"))
    test = images.splits["test"]
    answers = vt.predict(model, [test.image(i) for i in range(5)])

    print("\nFive held-out digits:")
    for i, answer in enumerate(answers):
        truth = images.classes[test.labels[i]]
        print(f"  is {truth}, read as {answer.label} with probability {answer.probability:.3f}")
    rival = support_vector_machine(arguments.seed)
    print(f"\nTest accuracy on {len(test)} held-out images")
    print(f"  EIT (eit_digits)     {100 * scored.metrics['test/top1']:.2f} %   trained in {took:.0f} s")
    print(f"  scikit-learn's SVC   {100 * rival:.2f} %   on the same split")
    print("\nWhere things are")
    print(f"  model     {result.model_dir}")
    print(f"  metrics   {Path(result.run_dir) / 'metrics.jsonl'}, {Path(arguments.out) / 'test'}")
    print(f"  pictures  {Path(result.run_dir) / 'figures'}, {Path(arguments.out) / 'test'}")
    print("\nNext: vitreous train --data FOLDER   (a folder of class folders with your own images)")


if __name__ == "__main__":
    main()
