"""The schema that editors read is what the dataclasses say, and recipes fit it."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from vitreous.configuration.fields import settings_types
from vitreous.configuration.schema import json_schema
from vitreous.recipes.shipped import recipe_names, recipe_text
from vitreous.training.settings import TrainSettings

PUBLISHED = Path(__file__).parents[2] / "docs" / "config.schema.json"
SCHEMA = json_schema(TrainSettings, "vitreous train")


def test_the_published_schema_is_the_generated_one():
    assert json.loads(PUBLISHED.read_text()) == SCHEMA, (
        "settings have changed: vitreous recipes schema > docs/config.schema.json"
    )


def test_every_setting_has_a_type_and_is_explained():
    for key in settings_types(TrainSettings):
        place = SCHEMA
        for name in key.split("."):
            place = place["properties"][name]
        assert {"type", "anyOf", "enum"} & place.keys(), key
        assert len(place["description"]) > 5, key


def test_a_setting_is_what_its_dataclass_says():
    recipe = SCHEMA["properties"]["recipe"]["properties"]
    assert recipe["warmup"] == {
        "type": "number",
        "default": 0.1,
        "description": "share of all steps spent raising the learning rate linearly from near zero (0 to 1).",
    }
    assert recipe["crop"]["enum"] == ["auto", "pad", "resized", "none"]
    assert SCHEMA["properties"]["epochs"]["anyOf"] == [{"type": "integer"}, {"enum": ["auto"]}]
    assert not SCHEMA["additionalProperties"]


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_fit_the_schema(name: str):
    content = yaml.safe_load(recipe_text(name))
    # YAML 1.1 reads 1e-3 as text; editors read YAML 1.2, where it is a number
    recipe = {key: _number(value) for key, value in content.get("recipe", {}).items()}
    content = {key: _number(value) for key, value in content.items()} | ({"recipe": recipe} if recipe else {})
    jsonschema.validate(content, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content | {"epchs": 3}, SCHEMA)


def _number(value):
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
