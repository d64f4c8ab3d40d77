"""A run is held against a known curve where like meets like, and never changed by it."""

import dataclasses
import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreous.errors import ConfigError
from vitreous.models.catalog import CATALOG
from vitreous.training.on_track import SHIPPED, Curve, load_curve

AUTHORS = {"mini": 69.992, "tiny": 77.912, "base": 80.620, "large": 81.772}
CURVE = Curve(name="line", source="ours", band="ours", points=((1, 0.1, 0.0, 0.2), (3, 0.3, 0.2, 0.4)))


@pytest.mark.parametrize("size", AUTHORS)
def test_a_shipped_curve_ends_with_the_authors_figure_after_300_epochs(size):
    curve = load_curve(f"eit_{size}_imagenet")
    assert curve.points[-1][:2] == (300.0, round(AUTHORS[size] / 100, 5))
    assert curve.conditions["epochs"] == 300 and curve.conditions["model"] in CATALOG


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.json")), ids=lambda file: file.stem)
def test_every_shipped_curve_lies_inside_its_band_and_names_its_source(file):
    curve = load_curve(file.stem)
    assert curve.name == file.stem and curve.source and curve.band
    assert all(0 <= low <= value <= high <= 1 for _, value, low, high in curve.points)


@given(st.floats(1, 3))
def test_between_two_points_the_curve_is_a_straight_line(epoch):
    known = CURVE.at(epoch)
    assert known is not None
    value, low, high = known
    assert value == pytest.approx(epoch / 10)
    assert (low, high) == pytest.approx((value - 0.1, value + 0.1))


def test_before_its_first_point_a_curve_says_nothing():
    assert CURVE.at(0.5) is None and CURVE.standing(0.5, 0.1) is None


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.19, "✓"), (0.05, "✗ below the band"), (0.4, "above the band")]
)
def test_a_validation_stands_inside_below_or_above_the_band(value, verdict):
    assert (
        CURVE.standing(2, value)
        == f"epoch 2: {100 * value:.1f} % (reference 20.0, band 10.0 to 30.0) {verdict}"
    )


def test_a_curve_goes_to_a_file_and_back(tmp_path):
    (tmp_path / "line.json").write_text(CURVE.to_text())
    assert load_curve(str(tmp_path / "line.json")) == CURVE


def test_an_unknown_curve_is_refused_with_the_nearest_name(tiny_run):
    with pytest.raises(ConfigError, match="did you mean eit_mini_imagenet"):
        tiny_run(reference="eit_mni_imagenet")


def test_a_file_that_is_no_curve_is_refused_by_name(tmp_path):
    (tmp_path / "other.json").write_text('{"schema_version": 1, "title": "thesis"}')
    with pytest.raises(ConfigError, match=r"other\.json cannot be read as a curve"):
        load_curve(str(tmp_path / "other.json"))


def test_a_run_prints_where_it_stands_each_validation_and_ends_with_the_same_weights(
    tiny_run, tmp_path, caplog
):
    alone = tiny_run()
    curve = dataclasses.replace(CURVE, conditions={"epochs": 2, "classes": 10})
    (tmp_path / "line.json").write_text(curve.to_text())
    with caplog.at_level(logging.INFO, "vitreous"):
        followed = tiny_run(out=str(tmp_path / "followed"), reference=str(tmp_path / "line.json"))
    assert len(re.findall(r"epoch [12]: .* % \(reference [12]0\.0, band", caplog.text)) == 2
    files = [each.model_dir / "model.safetensors" for each in (alone, followed)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_curve_of_another_length_is_said_once_and_not_compared(tiny_run, caplog):
    with caplog.at_level(logging.INFO, "vitreous"):
        tiny_run(epochs=1, reference="eit_mini_imagenet")
    said = [each.message for each in caplog.records if "eit_mini_imagenet" in each.message]
    assert len(said) == 1 and "epochs 1.0, the curve's 300" in said[0]
    assert "(reference" not in caplog.text


def test_a_shipped_file_is_plain_json_with_a_version():
    assert {json.loads(file.read_text())["schema_version"] for file in SHIPPED.glob("*.json")} == {1}
