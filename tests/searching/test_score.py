"""Scores: right answers of a path on the choice images, stopped early where hopeless, norms recalibrated."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from tests.searching.spaces import tiny_psvit
from vitreous.data.batch import Batch
from vitreous.data.preprocessing import Preprocessing
from vitreous.parts import ConvStem
from vitreous.searching.score import Scorer, _hopeless
from vitreous.searching.space import Space
from vitreous.searching.supernet import Supernet

PLAIN = Preprocessing(height=8, width=8, channels=1, mean=(0.5,), std=(0.25,))


class Few:
    """Three batches of noise."""

    def __init__(self, labels: torch.Tensor | None = None) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randint(256, (60, 1, 8, 8), dtype=torch.uint8, generator=generator)
        self.labels = torch.randint(10, (60,), generator=generator) if labels is None else labels

    def all(self) -> Iterator[Batch]:
        for rows in torch.arange(60).split(20):
            yield Batch(self.images[rows], self.labels[rows], rows)

    def from_step(self, step: int) -> Iterator[Batch]:
        return self.all()


def scorer(space: Space, labels: torch.Tensor | None = None, **options: object) -> Scorer:
    torch.manual_seed(0)
    return Scorer(Supernet(space), Few(labels), PLAIN, precision="float32", **options)


def test_the_score_is_the_share_of_right_answers_of_the_model_cut_out() -> None:
    space = tiny_psvit()
    genome = space.cheapest("macs")
    one = scorer(space)
    with torch.no_grad():
        answers = one.net.cut_out(genome)(PLAIN.normalize(Few().images)).argmax(1)
    right = answers.clone()
    right[:15] = (right[:15] + 1) % 10
    score = scorer(space, right).score(genome)
    assert score.top1 == 0.75 and score.images == 60 and not score.stopped


def test_a_hopeless_candidate_is_stopped_and_a_near_one_is_not() -> None:
    space = tiny_psvit()
    genome = space.cheapest("macs")
    one = scorer(space, chunk=20)
    stopped = one.score(genome, least=0.95)
    assert stopped.stopped and stopped.images == 20
    assert not one.score(genome, least=one.score(genome).top1).stopped
    assert not one.score(genome).stopped


def test_batch_norm_gets_the_statistics_of_the_path() -> None:
    space = Space(replace(tiny_psvit(depth=4).config, stem=ConvStem((8,))))
    one = scorer(space, calibration=Few())
    genome = space.cheapest("macs")
    one.score(genome)
    mean = next(each for name, each in one.net.named_buffers() if name.endswith("running_mean"))
    first = mean.clone()
    with torch.no_grad():
        module = one.net.path(genome)[0]
        conv = next(each for each in module.modules() if isinstance(each, torch.nn.Conv2d))
        shown = conv(PLAIN.normalize(Few().images))
    assert torch.allclose(first, shown.mean(dim=(0, 2, 3)), atol=1e-5)
    one.score(space.dearest("macs"))
    one.score(genome)
    assert torch.equal(mean, first)  # whatever was scored in between


def test_scores_do_not_depend_on_how_many_images_are_looked_at_at_once() -> None:
    space = tiny_psvit()
    genome = space.dearest("macs")
    scores = {scorer(space, chunk=chunk).score(genome).top1 for chunk in (7, 20, 60, 500)}
    assert len(scores) == 1


def test_images_that_were_seen_are_no_longer_uncertain() -> None:
    assert not _hopeless(100, 200, 100_000, 0.6)  # one of 3.5 hundredths is still possible
    assert _hopeless(100, 200, 250, 0.6)  # the other 50 cannot all be so much better
