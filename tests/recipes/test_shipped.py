"""Recipes are data of the package, and what they open with can be read."""

import zipfile
from importlib import resources
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

from vitreous.models.catalog import CATALOG
from vitreous.recipes.flattened import chain, described, flattened
from vitreous.recipes.shipped import recipe_facts, recipe_names, recipe_text, value_comments


def test_recipes_are_files_of_the_package():
    inside = {each.name for each in resources.files("vitreous.recipes").iterdir()}
    assert {f"{name}.yaml" for name in recipe_names()} <= inside
    assert len(recipe_names()) > 40


def test_a_wheel_holds_them(tmp_path: Path):
    built = next(WheelBuilder(str(Path(__file__).parents[2])).build(directory=str(tmp_path)))
    names = set(zipfile.ZipFile(built).namelist())
    assert {f"vitreous/recipes/{name}.yaml" for name in recipe_names()} <= names


def test_every_named_model_exists():
    for name in recipe_names():
        model = described(name)["settings"].get("model", "auto")
        assert model == "auto" or model in CATALOG, f"{name}: {model}"


@pytest.mark.parametrize(("size", "peak"), [("mini", 2e-3), ("tiny", 2e-3), ("base", 1e-3), ("large", 1e-3)])
def test_eits_peak_rates_are_those_of_its_logs(size: str, peak: float):
    settings = described(f"eit_{size}_imagenet")["settings"]
    assert float(settings["recipe.lr_per_512"]) * settings["batch_size"] / 512 == peak


def test_opening_comments_are_facts():
    facts = recipe_facts("deit_imagenet")
    assert facts.title == "DeiT's ImageNet recipe, for any model; most papers after it train with it"
    assert facts.said["Data"] == "ImageNet-1k" and facts.source == "paper"
    assert "   " not in facts.said["Differs"] and facts.said["Differs"].startswith("Crops are cut")
    assert recipe_facts("small_data").source == "ours"


def test_comments_behind_values_are_their_sources():
    comments = value_comments("deit_imagenet")
    assert comments["epochs"] == "main.py --epochs"
    assert comments["recipe.weight_decay"].startswith("main.py --weight-decay")
    assert "schema_version" in comments and "recipe" not in comments


def test_a_chain_goes_down_to_the_recipe_that_is_based_on_none():
    assert chain("eit_mini_imagenet") == ["eit_mini_imagenet", "eit_imagenet", "deit_imagenet"]
    with pytest.raises(KeyError):
        recipe_text("nothing")


def test_flattened_is_yaml_with_every_value_and_where_it_comes_from():
    text = flattened("eit_mini_imagenet")
    content = yaml.safe_load(text)
    assert content["model"] == "eit_mini" and content["recipe"]["drop_path"] == 0.0
    assert content["batch_size"] == 1024 and content["recipe"]["mixup"] == 0.8
    assert "  drop_path: 0.0  # eit_imagenet: the factories" in text
    assert "\nmodel: eit_mini  # the log's number" in text
    assert "# Based on: eit_imagenet, which is based on deit_imagenet" in text


def test_the_table_in_the_docs_is_that_of_the_recipes():
    lines = ["| recipe | data | model | expected top-1 |", "|---|---|---|---|"]
    for each in map(described, recipe_names()):
        expected = each["expected"].split(";")[0].removesuffix(" top-1")
        model = (
            f"`{each['settings']['model']}`" if each["settings"].get("model", "auto") != "auto" else "yours"
        )
        lines.append(f"| `{each['name']}` | {each['data'].split(',')[0]} | {model} | {expected} |")
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    table = page.partition("<!-- recipes -->\n")[2].partition("\n<!-- /recipes -->")[0]
    assert table.splitlines() == lines, "put this between the marks:\n" + "\n".join(lines)
