"""Learning from a teacher: the loss as laws, and runs with teachers of all kinds."""

import dataclasses
import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import vitreous as vt
from tests.data.packed import photos
from vitreous.data.batch import Batch
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError, ResumeMismatch
from vitreous.interop.model_folder import save_model
from vitreous.models.as_json import to_json
from vitreous.models.deit import deit, distilled
from vitreous.models.vision_transformer import build
from vitreous.parts import ImageShape
from vitreous.training.check_settings import check_settings
from vitreous.training.distillation import Distillation
from vitreous.training.loss import classification_loss
from vitreous.training.objective import Shown
from vitreous.training.settings import Distilling, TrainSettings
from vitreous.training.teacher import Teacher, as_the_teacher_sees, read_teacher
from vitreous.training.teacher_cache import known_probabilities

pytestmark = pytest.mark.usefixtures("without_curves")

GREY = Preprocessing(channels=1, height=8, width=8, mean=(0.3,), std=(0.2,))
COLOUR = Preprocessing(channels=3, height=16, width=12, mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3))
TEN = tuple(str(number) for number in range(10))


class Says(nn.Module):
    """A model that always says the same."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images: Tensor) -> Tensor:
        return self.logits


def says(logits: Tensor) -> Teacher:
    return Teacher(Says(logits), GREY, GREY)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shown(batch: int = 6) -> Shown:
    return Shown(drawn(batch, 1, 8, 8), torch.arange(batch) % 5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_soft_distillation_with_its_own_logits_has_no_gradient(temperature: float):
    logits = drawn(6, 5).requires_grad_()
    objective = Distillation(temperature=temperature, teacher=says(logits.detach().clone()))
    objective(logits, shown()).backward()
    torch.testing.assert_close(logits.grad, torch.zeros(6, 5), rtol=0, atol=1e-7)


def test_the_soft_loss_is_the_formula_without_a_factor():
    s, t = drawn(6, 5), drawn(6, 5, seed=1)
    expected = -((t / 3).softmax(1) * (s / 3).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(Distillation(temperature=3.0, teacher=says(t))(s, shown()), expected)


def test_alpha_weighs_the_teacher_against_the_labels():
    s, t = drawn(6, 5), drawn(6, 5, seed=1)
    labels = classification_loss(s, shown().targets, 0.1)
    alone = Distillation(teacher=says(t))(s, shown())
    mixed = Distillation(0.1, alpha=0.3, teacher=says(t))(s, shown())
    torch.testing.assert_close(mixed, 0.3 * alone + 0.7 * labels)


def test_hard_distillation_with_two_heads_teaches_each_its_own():
    label_head, teacher_head, t = drawn(6, 5), drawn(6, 5, seed=1), drawn(6, 5, seed=2)
    objective = Distillation(kind="hard", alpha=0.5, teacher=says(t))
    expected = 0.5 * classification_loss(label_head, shown().targets) + 0.5 * classification_loss(
        teacher_head, t.argmax(1)
    )
    torch.testing.assert_close(objective((label_head, teacher_head), shown()), expected)


def test_what_a_teacher_said_before_is_mixed_as_labels_are():
    known = drawn(8, 5).softmax(1)
    objective = Distillation(kind="soft", known=known)
    batch = Batch(drawn(3, 1, 8, 8), torch.tensor([1, 0, 4]), torch.tensor([2, 7, 5]))
    targets = objective.targets(batch)
    assert torch.equal(targets[:, :5].argmax(1), batch.labels) and torch.equal(
        targets[:, 5:], known[[2, 7, 5]]
    )
    mixed = 0.7 * targets + 0.3 * targets.roll(1, 0)
    s = drawn(3, 5, seed=3)
    expected = 0.7 * classification_loss(s, known[[2, 7, 5]]) + 0.3 * classification_loss(s, known[[5, 2, 7]])
    torch.testing.assert_close(objective(s, Shown(batch.images, mixed)), expected)


def test_a_teacher_never_trains_and_gets_no_gradient():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 5))
    teacher = Teacher(model, GREY, GREY)
    Distillation(teacher=teacher).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    logits = teacher(drawn(4, 1, 8, 8))
    assert not logits.requires_grad and not any(each.requires_grad for each in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


@pytest.mark.parametrize(("pupil", "own"), [(GREY, COLOUR), (COLOUR, GREY), (GREY, GREY)])
def test_the_teacher_is_shown_images_as_its_own_preprocessing_makes_them(pupil, own):
    flat = torch.full((2, pupil.channels, pupil.height, pupil.width), 51, dtype=torch.uint8)
    seen = as_the_teacher_sees(pupil.normalize(flat), pupil, own)
    expected = own.normalize(torch.full((2, own.channels, own.height, own.width), 51, dtype=torch.uint8))
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4)


def model_folder(path: Path, classes: tuple[str, ...] = TEN) -> Path:
    torch.manual_seed(3)
    config = deit(
        image=ImageShape(1, 8, 8), classes=len(classes), width=16, depth=1, heads=2, patch=4, name="small"
    )
    return save_model(path, build(config), classes=classes, preprocessing=GREY, metrics={}, provenance={})


def test_classes_in_another_order_are_put_in_ours(tmp_path):
    folder = model_folder(tmp_path / "teacher")
    same = read_teacher(str(folder), GREY, TEN, setting="distilling.teacher")
    turned = read_teacher(str(folder), GREY, TEN[::-1], setting="distilling.teacher")
    images = drawn(3, 1, 8, 8)
    assert torch.equal(same(images).flip(1), turned(images))
    assert same.key != turned.key


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("0", "1", "x"), "knows 10 classes and the data have 3: 'x' is unknown to it"),
        (("0", "1"), "knows 10 classes and the data have 2: it has more"),
    ],
)
def test_a_teacher_of_other_classes_is_refused(tmp_path, classes, message):
    folder = model_folder(tmp_path / "teacher")
    with pytest.raises(ConfigError, match=message):
        read_teacher(str(folder), GREY, classes, setting="distilling.teacher")


def test_a_teacher_of_timms_with_weights_in_a_file_gives_timms_logits(tmp_path):
    torch.manual_seed(0)
    theirs = timm.create_model("resnet10t", num_classes=10, in_chans=1).eval()
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    source = f"timm:resnet10t@{tmp_path / 'weights.safetensors'}"
    teacher = read_teacher(source, GREY, TEN, setting="distilling.teacher")
    images = drawn(2, 1, 8, 8)
    prepared = as_the_teacher_sees(images, GREY, teacher.own)
    assert prepared.shape[2:] == (teacher.own.height, teacher.own.width) != (8, 8)
    assert torch.equal(teacher(images), theirs(prepared))
    with pytest.raises(ConfigError, match="the weights are not those of resnet10t with 3 classes"):
        read_teacher(source, GREY, TEN[:3], setting="distilling.teacher")


def test_a_name_that_timm_lacks_and_weights_without_a_network_are_said(monkeypatch):
    with pytest.raises(ConfigError, match=r"timm:resnet10: no model of timm; did you mean"):
        read_teacher("timm:resnet10", GREY, TEN, setting="distilling.teacher")
    monkeypatch.setenv("VITREOUS_OFFLINE", "1")
    with pytest.raises(ConfigError, match="needs the network for its weights while VITREOUS_OFFLINE is 1"):
        read_teacher("timm:resnet10t", GREY, TEN, setting="distilling.teacher")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "hard"}, "distilling.kind is given and no distilling.teacher"),
        ({"teacher": "t", "temperature": 0.0}, "distilling.temperature is 0.0; above 0 works"),
        ({"teacher": "t", "kind": "hard", "temperature": 2.0}, "distilling.kind hard takes the likeliest"),
        ({"teacher": "t", "alpha": 0.0}, "distilling.alpha is 0.0; above 0 and up to 1 works"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(TrainSettings(data=["digits"], distilling=Distilling(**given)))


def test_class_weights_without_a_label_term_are_refused():
    settings = TrainSettings(data=["digits"], distilling=Distilling(teacher="t"))
    weighted = dataclasses.replace(settings.recipe, balance="weights")
    with pytest.raises(ConfigError, match=r"recipe\.balance weights belong to the labels' loss"):
        check_settings(dataclasses.replace(settings, recipe=weighted))


def test_a_teacher_that_changes_under_a_run_is_noticed(tiny_run, stopped_at, tmp_path):
    folder = model_folder(tmp_path / "teacher")
    changes = {"epochs": 1, "distilling": {"teacher": str(folder)}}
    stopped_at(3, **changes)
    weights = folder / "model.safetensors"
    other = model_folder(tmp_path / "other", TEN[::-1])
    weights.write_bytes((other / "model.safetensors").read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(ResumeMismatch, match=r"the weights of the teacher .* are not those that this run"):
        tiny_run(**changes)


def test_a_distilled_model_trains_both_heads_and_is_delivered_as_one(tiny_run, tmp_path):
    pupil = distilled(deit(image=ImageShape(1, 8, 8), classes=10, width=16, depth=1, heads=2, patch=4))
    teacher = model_folder(tmp_path / "teacher")
    result = tiny_run(
        epochs=1,
        model=json.dumps(to_json(pupil)),
        distilling={"teacher": str(teacher), "kind": "hard"},
    )
    loaded = vt.load(result.run_dir)
    assert loaded(drawn(2, 1, 8, 8)).shape == (2, 10)
    with pytest.raises(ConfigError, match="leaves the class token of a distilled model without a target"):
        tiny_run(
            epochs=1,
            out=str(tmp_path / "other"),
            model=json.dumps(to_json(pupil)),
            distilling={"teacher": str(teacher), "alpha": 1.0},
        )


def test_answers_are_asked_once_and_kept(tiny_run, tmp_path, caplog):
    teacher = model_folder(tmp_path / "teacher")
    with caplog.at_level("INFO", "vitreous"):
        for name in ("first", "second"):
            tiny_run(epochs=1, out=str(tmp_path / name), distilling={"teacher": str(teacher), "cache": True})
    assert caplog.text.count("the teacher looked at") == 1
    with pytest.raises(ConfigError, match=r"distilling.cache keeps one answer an image in memory"):
        tiny_run(
            out=str(tmp_path / "third"),
            distilling={"teacher": str(teacher), "cache": True},
            loading={"limit": 96, "path": "streaming"},
        )


def test_an_image_that_is_skipped_does_not_move_the_answers_about_others(tmp_path, monkeypatch):
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path / "home"))
    folder = photos(tmp_path / "photos")
    sorted((folder / "train").rglob("*.png"))[3].write_bytes(b"no pixels")
    loading = Loading(look=2, skip_unreadable=True, workers=0)
    split = open_images(folder, loading=loading).splits["train"]
    torch.manual_seed(0)
    teacher = Teacher(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 12, 3)), COLOUR, COLOUR)
    known = known_probabilities(teacher, split, temperature=1.0, flip=False, loading=loading, device="cpu")
    last = len(split) - 1
    pixels = COLOUR.normalize(COLOUR.fit(split.image(last))[None])
    torch.testing.assert_close(known[last], teacher.logits(pixels).softmax(1)[0])
