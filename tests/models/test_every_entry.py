"""Claims for every name of the catalog that need the family's function: other images, other heads.

No name is left out. All other claims are in test_every_family.py; parameters and multiply-accumulates at full
size in tests/analysis/test_cost.py.
"""

import pytest
import torch

from tests.models.entries import ENTRIES, SHRUNK, shrink
from tests.models.test_every_family import images
from vitreous.models import build
from vitreous.models.catalog import CATALOG

every_entry = pytest.mark.parametrize("name", ENTRIES)


def test_every_family_says_how_it_is_shrunk() -> None:
    assert {entry.family for entry in CATALOG.values()} == set(SHRUNK)


@every_entry
@pytest.mark.parametrize("channels", [1, 5])
def test_images_of_any_number_of_channels_become_one_logit_a_class(name: str, channels: int) -> None:
    described = shrink(name, channels=channels)
    assert build(described)(images(described, 3)).shape == (3, 7)


@every_entry
def test_rectangles_become_one_logit_a_class(name: str) -> None:
    described = shrink(name, image_size=SHRUNK[CATALOG[name].family].rectangle)
    assert described.image.height != described.image.width
    assert build(described)(images(described)).shape == (2, 7)


@every_entry
def test_without_classes_a_model_gives_what_its_classifier_would_be_given(name: str) -> None:
    model, featuring = build(ENTRIES[name]).eval(), build(shrink(name, classes=0)).eval()
    kept = {key: value for key, value in model.state_dict().items() if ".classifier." not in key}
    featuring.load_state_dict(kept)
    batch = images(ENTRIES[name])
    features = featuring(batch)
    assert features.ndim == 2
    torch.testing.assert_close(model.head.classifier(features), model(batch))
