"""A plain value → the type of its setting, with one sentence where it does not fit.

jsonargparse converts, as it does for options, so that `1e-3` is a number wherever it stands.
"""

from typing import Any

from vitreous.configuration.fields import choices, described, takes_nothing
from vitreous.errors import ConfigError, did_you_mean


def typed(value: Any, hint: Any, said: str) -> Any:
    """A value from YAML in the type of its setting.

    Args:
        value: what was read.
        hint: the setting's type.
        said: where it was said and of what, the beginning of a message: `--config a.yaml: epochs`.

    Raises:
        ConfigError: not of that type.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    if value is None and not takes_nothing(hint):  # jsonargparse would let it pass
        raise ConfigError(f"{said} is {wrong(None, hint)}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hint)
    try:
        return parser.parse_object({"value": value}, defaults=False).value
    except ArgumentError as error:
        raise ConfigError(f"{said} is {wrong(value, hint)}") from error


def wrong(value: Any, hint: Any) -> str:
    """`abc; a number or auto is expected`, with the nearest word where words are expected."""
    near = did_you_mean(value, choices(hint), most=1) if isinstance(value, str) else ""
    shown = {True: "true", False: "false"}[value] if isinstance(value, bool) else value
    return f"{'null' if shown is None else shown}; {described(hint)} is expected{near}"
