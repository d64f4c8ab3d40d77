"""Settings from environment variables: `VITREOUS_TRAIN__LR`, `VITREOUS_TRAIN__RECIPE__WEIGHT_DECAY`.

The scheme (ours): `VITREOUS_`, the verb, and the setting's dotted name in capitals, with two underscores
for each dot and behind the verb. The value is YAML, as in a config file: `1e-3`, `true`, `[0.9, 0.99]`;
a setting that takes several takes one value or a `[list]`. Other variables of vitreous (`VITREOUS_HOME`,
`VITREOUS_RUNS`, `VITREOUS_LOG` …) have no two underscores.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from vitreous.configuration.fields import choices, is_list, is_text, nearest, takes_nothing
from vitreous.errors import ConfigError

START = "VITREOUS_"


def variable(verb: str, key: str) -> str:
    """The variable of a setting: `recipe.lr` of `train` → `VITREOUS_TRAIN__RECIPE__LR`."""
    return f"{START}{verb}__{key.replace('.', '__')}".upper()


def read_environment(verb: str, types: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Values, not yet in their types, under dotted names.

    Args:
        verb: whose settings.
        types: the settings that exist.
        environment: all variables.

    Raises:
        ConfigError: a variable of this form that names no setting, or a value that is not YAML.
    """
    known = {variable(verb, key): key for key in types}
    values: dict[str, Any] = {}
    for name, text in environment.items():
        if name in known:
            values[known[name]] = _read(name, text, types[known[name]])
        elif name.startswith(f"{START}{verb.upper()}_") or (name.startswith(START) and "__" in name):
            raise ConfigError(f"environment variable {name} is not a setting{nearest(name, list(known))}")
    return values


def _read(name: str, text: str, hint: Any) -> Any:
    if is_list(hint) and not text.lstrip().startswith("["):
        return [text]
    if text in choices(hint) or (is_text(hint) and not (text == "null" and takes_nothing(hint))):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"environment variable {name} is {text!r}, which is not YAML") from error
