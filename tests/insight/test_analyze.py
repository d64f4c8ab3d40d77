"""The bench over small models: everything is found, nothing is hidden, bad input is named."""

import json
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from tests.models.entries import shrink
from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError, DataError
from vitreous.insight.analyze import analyze, batch_size, expected_maps
from vitreous.insight.listed import ANALYSES
from vitreous.interop.model_folder import save_model
from vitreous.models import build, config
from vitreous.models.as_json import to_json

EVERY = [
    name
    for name, each in ANALYSES.items()
    if name != "curvature" and (each.needs is None or find_spec(each.needs[0]))
]
CLASSES = ("a$b", "<script>alert(1)</script>", "c|d`e")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    drawn = np.random.default_rng(0)
    for number in range(3):
        (folder / f"class {number}").mkdir()
        for image in range(8):
            pixels = drawn.integers(0, 255, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class {number}" / f"{image}.png")
    return folder


def saved(folder: Path, name: str = "psvit_2d_tiny", classes: tuple[str, ...] | None = None) -> Path:
    classes = classes or tuple(f"class {number}" for number in range(3))
    torch.manual_seed(1)
    model: Any = build(shrink(name, classes=len(classes)))
    side = model.config.image.height
    prepared = Preprocessing(channels=3, height=side, width=side, mean=(0.5,) * 3, std=(0.25,) * 3)
    made: Path = save_model(folder, model, classes=classes, preprocessing=prepared, metrics={}, provenance={})
    return made


def test_every_analysis_says_something_about_every_kind_of_model(photos: Path, tmp_path: Path) -> None:
    models = [
        saved(tmp_path / "psvit"),
        saved(tmp_path / "sret", "sret_tiny"),
        saved(tmp_path / "mixer", "mlp_mixer_small"),
        timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, num_classes=3),
    ]
    result = analyze(models, photos, images=16, only=EVERY, steps=3, device="cpu")
    told = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert [each["name"] for each in told["models"]] == ["psvit", "sret", "mixer", "vit_tiny_patch16_224"]
    assert told["images"] == 16 and told["control_images"] == 16
    for model in told["models"]:
        assert list(model["analyses"]) == EVERY
        assert all(each["shows"].endswith(".") for each in model["analyses"].values())
    psvit, sret, mixer, vit = (model["analyses"] for model in told["models"])
    assert len(psvit["hfd"]["values"]["share"]) == len(psvit["hfd"]["untrained"]["share"]) > 0
    assert psvit["pools"]["values"] and vit["similar_maps"]["untrained"]
    assert sret["turns"]["values"]["coefficients"] and sret["turns"]["values"]["change"]
    for name in ("head_diversity", "similar_maps", "attention"):
        assert mixer[name]["values"] == {} and mixer[name]["shows"]
    assert all(isinstance(each["suggestions"], list) for each in told["models"])
    assert mixer["tokens"]["values"]["raw"] and mixer["cutoff"]["values"]["images"] == 16
    assert vit["cutoff"]["values"] == {} and "classes are not the model's" in vit["cutoff"]["shows"]
    assert (
        vit["head_diversity"]["values"]["diversity_px"]
        and vit["position"]["values"]["joining"] == ["input"] * 2
    )
    assert psvit["landscape"]["values"]["losses"] and vit["landscape"]["values"] == {}
    assert "layers_of_models" in told["between"] and len(told["between"]["layers_of_models"]["pairs"]) == 3
    assert repr(result).startswith("AnalysisResult(psvit, sret")


def test_the_folder_holds_every_number_and_a_picture_for_each_chart(photos: Path, tmp_path: Path) -> None:
    model, out = saved(tmp_path / "psvit"), tmp_path / "out"
    only = ["hfd", "similar_maps", "colours"]
    result = analyze(model, photos, images=8, out=out, only=only)
    told = json.loads((out / "analysis.json").read_text())
    assert told["models"][0]["analyses"]["hfd"]["values"] == result.models[0].found["hfd"]
    page = (out / "analysis.md").read_text()
    assert [f"## {ANALYSES[name].title}" in page for name in ANALYSES] == [name in only for name in ANALYSES]
    pictures = {each.name for each in out.glob("*.png")}
    assert "hfd-together-0.png" in pictures and all(each in page for each in pictures)
    analyze(model, photos, images=8, out=out, only=["tokens"], control=False)  # the same place, again


@pytest.mark.parametrize(
    "name", ["swin_tiny_patch4_window7_224", "beit_base_patch16_224", "eva02_tiny_patch14_224"]
)
def test_timms_windows_biases_and_turned_queries_go_through_every_analysis(name: str, photos: Path) -> None:
    more: dict[str, Any] = {"patch_size": 8, "depth": 2, "num_heads": 2, "embed_dim": 16}
    if name.startswith("swin"):
        more = {"depths": (2, 2), "num_heads": (2, 4), "embed_dim": 16, "window_size": 4}
    torch.manual_seed(0)
    model = timm.create_model(name, img_size=32, num_classes=3, **more)
    (looked,) = analyze(model, photos, images=8, only=[each for each in EVERY if each != "landscape"]).models
    assert all(each.endswith(".") for each in looked.shows.values())
    for each in ("hfd", "head_diversity", "tokens", "cka", "attention", "time"):
        assert looked.found[each], each
    assert isinstance(looked.facts["suggestions"], list)
    if not name.startswith("eva"):
        assert "relative" in looked.found["position"]["joining"]


def test_names_cannot_hurt_page_or_file_system(photos: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>$x$|`"
    model = saved(hostile)
    out = tmp_path / "out"
    analyze(model, photos, images=8, out=out, only=["hfd"], control=False)
    page = (out / "analysis.md").read_text()
    assert "<img" not in page and "\\|" in page
    assert all(
        set(each.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.") | set("ABC")
        for each in out.iterdir()
    )


def test_a_catalog_name_is_built_for_the_datas_classes_and_has_no_control(
    photos: Path, tmp_path: Path
) -> None:
    value = tmp_path / "mine.json"
    value.write_text(json.dumps(to_json(shrink("deit_tiny"))))
    result = analyze([str(value)], photos, images=8, only=["tokens", "cutoff"])
    (model,) = result.models
    assert model.name == "mine (untrained)" and not model.trained and model.control == {}
    assert model.notes == ("untrained",) and model.found["cutoff"]["chance"] == pytest.approx(1 / 3)
    assert result.folder is None


def test_the_same_images_give_the_same_numbers_in_any_batch(photos: Path, monkeypatch) -> None:
    torch.manual_seed(0)
    model = build(shrink("eit_mini", classes=3)).eval()
    only = ["hfd", "head_diversity", "similar_maps", "cka"]
    found = []
    for largest in (64, 3):
        monkeypatch.setattr("vitreous.insight.analyze.MOST_BATCH", largest)
        found.append(analyze(model, photos, images=10, only=only, control=False).models[0].found)
    first, second = found
    assert first["hfd"]["share"] == pytest.approx(second["hfd"]["share"], abs=1e-5)
    assert first["hfd"]["attention_slice"]
    assert first["head_diversity"]["diversity_px"] == pytest.approx(
        second["head_diversity"]["diversity_px"], abs=1e-4
    )
    for one, two in zip(*(each["similar_maps"]["groups"] for each in found), strict=True):
        assert np.allclose(one["matched"], two["matched"], atol=1e-5)
    assert np.allclose(first["cka"]["cka"], second["cka"]["cka"], atol=1e-5)


def test_the_batch_shrinks_where_maps_are_large(monkeypatch) -> None:
    model = build(shrink("deit_tiny")).eval()
    maps = expected_maps(model, torch.randn(1, 3, 16, 16))
    assert [(each.name, each.tokens, each.heads) for each in maps] == [
        ("layers.0", 17, 2),
        ("layers.1", 17, 2),
    ]
    assert batch_size(maps) == batch_size([]) == 64
    monkeypatch.setattr("vitreous.insight.analyze.MAP_BYTES", 5 * 2 * 2 * 17**2 * 4)
    assert batch_size(maps) == 5


def test_a_very_deep_model_is_compared_at_some_of_its_layers(photos: Path) -> None:
    model = build(
        config("sret_1008", width=4, heads=1, blocks=30, times=2, patch=8, image_size=16, classes=3)
    )
    found = (
        analyze(model, photos, images=8, only=["similar_maps", "cka", "turns"], control=False).models[0].found
    )
    (group,) = found["similar_maps"]["groups"]
    assert len(group["layers"]) == 24 and group["layers"][-1] == "layers.29 turn 1"
    assert len(found["cka"]["layers"]) == 48 and len(found["turns"]["change"]) == 30


def test_a_map_that_is_taken_is_not_called_alike(photos: Path) -> None:
    model = build(config("psvit_2d_small_image", image_size=32, classes=3))
    (told,) = analyze(model, photos, images=8, only=["similar_maps"], control=False).models
    assert told.found["similar_maps"] == {} and "layers.1, layers.3, layers.5" in told.shows["similar_maps"]


def test_a_grid_without_low_frequencies_has_no_share_of_high_ones(photos: Path) -> None:
    model = build(config("psvit_2d_small_image", image_size=32, classes=3))  # 8 × 8, 4 × 4 and 2 × 2 tokens
    (told,) = analyze(model, photos, images=8, only=["hfd"], control=False).models
    assert told.found["hfd"]["grids"] == [[8, 8], [8, 8], [4, 4], [4, 4]]
    assert "below 4 × 4" in told.shows["hfd"] and "layers.4, layers.5" in told.shows["hfd"]


def test_other_classes_are_told_and_refused_where_labels_are_asked_for(
    photos: Path, tmp_path: Path, caplog
) -> None:
    model = saved(tmp_path / "other", classes=("cat", "dog"))
    with pytest.raises(DataError, match="class 0"):
        analyze(model, photos, images=8, only=["cutoff"])
    with caplog.at_level(logging.WARNING, logger="vitreous"):
        result = analyze(model, photos, images=8, only=["hfd"], control=False)
    assert result.models[0].found["hfd"]["share"]
    assert "what needs no labels is looked at all the same" in caplog.text


def test_four_models_have_a_correlation_and_three_have_not(photos: Path, tmp_path: Path) -> None:
    models = [build(shrink("deit_tiny", depth=depth)) for depth in (2, 3, 4, 5)]
    only = ["hfd", "head_diversity"]
    assert (
        "share_with_diversity" not in analyze(models[:3], photos, images=8, only=only, control=False).between
    )
    between = analyze(models, photos, images=8, only=only, control=False).between
    assert (
        between["share_with_diversity"]["n"] == 4 and "interval" in between["share_with_diversity"]["shows"]
    )


def test_what_cannot_be_looked_at_is_named(photos: Path, tmp_path: Path, monkeypatch) -> None:
    model = build(shrink("deit_tiny"))
    with pytest.raises(ConfigError, match=r"hfdd is no analysis .*; did you mean hfd"):
        analyze(model, photos, only=["hfdd"])
    with pytest.raises(ConfigError, match="did you mean deit_tiny"):
        analyze("deit_tinny", photos)
    with pytest.raises(ConfigError, match="timm's ResNet"):
        analyze(timm.create_model("resnet18"), photos)
    monkeypatch.setenv("VITREOUS_OFFLINE", "1")
    with pytest.raises(ConfigError, match="needs the network"):
        analyze("timm/vit_tiny_patch16_224", photos)
    with pytest.raises(ConfigError, match="give some with --data"):
        analyze(model)
    with pytest.raises(ConfigError, match="--images is 0"):
        analyze(model, photos, images=0)
    half = tmp_path / "half"
    (half / "checkpoints").mkdir(parents=True)
    with pytest.raises(ConfigError, match="a run without a finished model yet"):
        analyze(half, photos)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something that is no analysis"):
        analyze(model, photos, out=taken)
    with pytest.raises(ConfigError, match="lies inside the images"):
        analyze(model, photos, out=photos / "analysis")
    few = tmp_path / "few"
    for name in ("a", "b"):
        (few / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(few / name / "1.png")
    with pytest.raises(DataError, match="2 images are too few; at least 8"):
        analyze(model, few)
