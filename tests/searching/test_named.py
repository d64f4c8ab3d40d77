"""What can be named as a space."""

import json
from pathlib import Path

import pytest

from tests.searching.spaces import tiny_psvit
from vitreous.errors import ConfigError
from vitreous.parts import ImageShape
from vitreous.searching.named import list_spaces, named_space

IMAGE = ImageShape(3, 32, 32)
FILE = """
from vitreous.models.init import DeiTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import *
from vitreous.searching.choice import Choice


def space(image, classes):
    own, shared = Mix(Attention(3, lends=True)), Mix(SharedAttention(3))
    first = Block((own, FeedForward(Choice((2, 4)))))
    later = Block((Choice((own, shared)), FeedForward(Choice((2, 4)))))
    return VisionTransformer(
        image=image,
        stem=PatchStem(4, 48),
        prefix=NoPrefix(),
        position=AddPosition(LearnedTable()),
        layers=(first, *(later,) * 5),
        head=MeanHead(classes),
        init=DeiTInit(),
    )
"""


def test_every_listed_space_can_be_had() -> None:
    assert {"psvit_2d_tiny", "psvit_1d_base", "wide_small_image"} <= set(list_spaces())
    for name in ("psvit_2d_small_image", "wide_small_image", "hybrid_small_image"):
        found = named_space(name, image=IMAGE, classes=7)
        assert found.config.image == IMAGE and found.config.head.classes == 7


def test_a_space_can_be_written_in_a_file_of_twenty_lines(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    found = named_space(str(file), image=IMAGE, classes=7)
    assert found.name == "mine" and found.count == 2**11
    assert len(FILE.strip().splitlines()) <= 21


def test_a_json_file_is_fitted_to_images_and_classes(tmp_path: Path) -> None:
    file = tmp_path / "space.json"
    file.write_text(json.dumps(tiny_psvit().to_json()))
    found = named_space(str(file), image=ImageShape(1, 16, 16), classes=3)
    assert found.config.image.height == 16 and found.config.head.classes == 3 and found.count == 24


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("psvit_2d_tinny", None, "did you mean psvit_2d_tiny"),
        ("gone.py", None, "cannot be read"),
        ("empty.py", "x = 1", "defines no function space"),
        ("wrong.py", "def space(image, classes): return 3", "returned a int"),
        ("broken.py", "def space(image, classes): return 1 / 0", "ZeroDivisionError"),
        ("broken2.py", "1 / 0", "cannot be run: ZeroDivisionError"),
        ("not.json", "{", "is not JSON"),
        ("kind.json", '{"kind": "Nothing"}', "unknown kind 'Nothing'"),
    ],
)
def test_what_is_no_space_is_told_with_the_reason(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    place = str(tmp_path / name) if "." in name else name
    with pytest.raises(ConfigError, match=message):
        named_space(place, image=IMAGE, classes=10)
