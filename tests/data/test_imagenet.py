import tarfile

import numpy as np
import pytest
from scipy.io import savemat

from tests.data.packed import tarred
from tests.data.samples import fill, picture
from vitreous.data.imagenet import readable_names
from vitreous.data.images import open_images
from vitreous.errors import DataError

FOLDERS = ("n01440764", "n02012849", "n03126707")  # in everybody's order; two of them are cranes
NAMES = ("tench", "crane (n02012849)", "crane (n03126707)")
TRUTH = (3, 1, 2, 1, 3, 2)  # numbers of the kit, which has its own order
KIT_ORDER = {1: "n03126707", 2: "n01440764", 3: "n02012849"}


@pytest.fixture
def root(tmp_path):
    """ImageNet with three classes and a flat validation folder."""
    fill(tmp_path / "imagenet" / "train", dict.fromkeys(FOLDERS, 3))
    (tmp_path / "imagenet" / "val").mkdir()
    for number in range(1, len(TRUTH) + 1):
        picture(number).save(tmp_path / "imagenet" / "val" / f"ILSVRC2012_val_{number:08}.JPEG")
    return tmp_path / "imagenet"


def kit(folder):
    """The development kit's two files, with the classes and one of their parents."""
    data = folder / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    rows = [(number, name, "words", "gloss", 0) for number, name in KIT_ORDER.items()]
    rows.append((4, "n00001740", "entity", "gloss", 3))
    savemat(data / "meta.mat", {"synsets": np.array(rows, dtype=kinds).reshape(-1, 1)})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{each}\n" for each in TRUTH))
    return data.parent


def packed_kit(folder):
    inside = kit(folder)
    with tarfile.open(folder / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        tar.add(inside, inside.name)
    for file in (inside / "data").iterdir():
        file.unlink()


def kaggle(folder):
    lines = ["ImageId,PredictionString"]
    for number, each in enumerate(TRUTH, start=1):
        lines.append(f"ILSVRC2012_val_{number:08},{KIT_ORDER[each]} 85 1 499 272 ")
    (folder / "LOC_val_solution.csv").write_text("\n".join(lines))


def test_wordnet_numbers_get_readable_names_that_never_clash():
    assert readable_names(FOLDERS) == NAMES
    assert readable_names(("n01440764", "cat")) == ("n01440764", "cat")
    assert readable_names(("n00000000", "n00007846")) == ("n00000000", "person (n00007846)")


def test_the_thousand_classes_have_a_thousand_names_in_everybodys_order():
    from timm.data.imagenet_info import ImageNetInfo

    numbers = ImageNetInfo("imagenet-1k").label_names()
    names = readable_names(numbers)
    assert len(set(names)) == 1000
    assert (names[0], names[281], names[999]) == ("tench", "tabby", "toilet tissue")


@pytest.mark.parametrize("truth", [kit, packed_kit, kaggle])
@pytest.mark.parametrize("above", [0, 1])
def test_flat_validation_images_get_the_classes_that_the_kit_tells(root, truth, above):
    truth(root.parent if above else root)
    data = open_images(root)
    val = data.splits["val"]
    assert data.classes == NAMES
    told = {val.key(i): FOLDERS[val.labels[i]] for i in range(len(val))}
    expected = [KIT_ORDER[each] for each in TRUTH]
    assert [told[f"val/ILSVRC2012_val_{number:08}.JPEG"] for number in range(1, 7)] == expected


def test_flat_validation_images_without_classes_are_an_error_and_no_cut(root):
    with pytest.raises(
        DataError, match=r"6 ImageNet validation images without their classes; put ILSVRC2012"
    ):
        open_images(root)


def test_an_image_beyond_the_list_is_named(root):
    kaggle(root)
    picture(9).save(root / "val" / "ILSVRC2012_val_00000007.JPEG")
    with pytest.raises(DataError, match=r"00000007\.JPEG: the list of classes ends at image 6"):
        open_images(root)


def test_validation_in_class_folders_needs_no_kit(tmp_path):
    for split in ("train", "val"):
        fill(tmp_path / "imagenet" / split, dict.fromkeys(FOLDERS, 2))
    data = open_images(tmp_path / "imagenet")
    assert data.classes == NAMES
    assert open_images(tarred(tmp_path / "imagenet", tmp_path / "imagenet.tar")).classes == NAMES
