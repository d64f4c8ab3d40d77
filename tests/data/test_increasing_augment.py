import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.auto_augment import _RAND_INCREASING_TRANSFORMS, AugmentOp

from vitreous.data.augment import Augmentation
from vitreous.data.increasing_augment import SPACE, IncreasingRandAugment
from vitreous.data.preprocessing import Preprocessing

TIMM = {"Posterize": "PosterizeIncreasing", "Solarize": "SolarizeIncreasing", "Color": "ColorIncreasing"}
TIMM |= {name: f"{name}Increasing" for name in ("Contrast", "Brightness", "Sharpness")}
TIMM |= {"TranslateX": "TranslateXRel", "TranslateY": "TranslateYRel"}
COLOURS = ["AutoContrast", "Equalize", "Invert", "Posterize", "Solarize", "SolarizeAdd"]
COLOURS += ["Color", "Contrast", "Brightness", "Sharpness"]


def smooth():
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic").clamp(0, 1)
    return (fine * 200 + 20).to(torch.uint8)


def test_the_set_is_timms():
    assert {TIMM.get(name, name) for name in SPACE} == set(_RAND_INCREASING_TRANSFORMS)


@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_operation_at_27_of_30_is_timms_at_9_of_10_to_one_level(name):
    image = smooth()
    picture = Image.fromarray(image[0].permute(1, 2, 0).numpy())
    theirs = np.asarray(AugmentOp(TIMM.get(name, name), prob=1, magnitude=9)(picture)).astype(int)
    strengths, signed = SPACE[name]
    values = strengths(31, 32, 32)
    strength = 0.0 if values is None else float(values[27])
    ours = [
        IncreasingRandAugment(2, 27, 1.5).operate(image, name, sign * strength)[0].permute(1, 2, 0).numpy()
        for sign in ((1, -1) if signed else (1,))  # timm draws the sign
    ]
    assert min(np.abs(theirs - each.astype(int)).max() for each in ours) <= 1


def test_half_of_the_drawn_operations_happen_and_strengths_vary(monkeypatch):
    seen = []
    augment = IncreasingRandAugment(1, 27, 1.5)

    def note(images, name, strength):
        seen.append((name, abs(strength)))
        return images

    monkeypatch.setattr(augment, "operate", note)
    torch.manual_seed(0)
    for _ in range(2000):
        augment(smooth())
    assert len(seen) == pytest.approx(1000, abs=80)
    assert {name for name, _ in seen} == set(SPACE)
    rotations = {strength for name, strength in seen if name == "Rotate"}
    assert len(rotations) > 3 and max(rotations) <= 30


def test_mixing_ends_at_its_step():
    fit = Preprocessing(channels=3, height=32, width=32, mean=(0.5,) * 3, std=(0.25,) * 3)
    augment = Augmentation(seed=0, size=(32, 32), classes=5, preprocessing=fit, mixup=0.8, mix_steps=3)
    images, labels = smooth().repeat(10, 1, 1, 1), torch.arange(10) % 5
    mixed = [bool(((augment(images, labels, step)[1] % 1) > 0).any()) for step in range(6)]
    assert mixed == [True, True, True, False, False, False]
    assert torch.equal(augment(images, labels, 3)[1].argmax(1), labels), "targets stay probabilities"
