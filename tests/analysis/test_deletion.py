"""What a model reads is dear to grey out, what it does not read is not."""

import torch
from torch import Tensor, nn

from vitreous.analysis.deletion import deletion, greyed, most_marked


class Corner(nn.Module):
    """Class 1 for a bright upper left quarter."""

    def forward(self, images: Tensor) -> Tensor:
        bright = images[:, :, :4, :4].mean(dim=(1, 2, 3))
        return torch.stack((torch.zeros_like(bright), 4 * bright), dim=1)


def test_a_map_of_what_the_model_reads_costs_the_answer_and_chance_costs_its_share() -> None:
    images, classes = torch.ones(64, 1, 8, 8), torch.ones(64, dtype=torch.long)
    right, wrong = torch.zeros(2, 64, 2, 2)
    right[:, 0, 0] = 1
    wrong[:, 1, 1] = 1
    told = deletion(Corner(), images, right, classes, share=0.25)
    assert told.whole == float(torch.tensor(4.0).sigmoid()) and told.without_marked == 0.5
    assert deletion(Corner(), images, wrong, classes, share=0.25).without_marked == told.whole
    gone = (told.whole - told.without_random) / (told.whole - told.without_marked)
    assert 0.05 < gone < 0.5  # a quarter of the random places is the one that counts


def test_the_largest_values_are_marked_and_become_the_mean_pixel() -> None:
    maps = torch.arange(8.0).view(1, 2, 4)
    marked = most_marked(maps, 0.25)
    assert marked.flatten().tolist() == [False] * 6 + [True] * 2
    assert int(most_marked(maps, 0.01).sum()) == 1
    images = torch.ones(1, 3, 8, 8)
    changed = greyed(images, marked)
    assert (changed == 0).sum() == 3 * 4 * 4 and changed[0, :, 4:, 4:].abs().sum() == 0
