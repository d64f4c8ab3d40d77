"""Words typed by a user → the settings of a verb, with the source of every value.

jsonargparse takes names, help, defaults and types from the frozen dataclass of the verb; nothing is written
twice. Order: defaults < recipes < config files < environment < flags (`configuration/layers.py`).
"""

import re
from argparse import SUPPRESS, ArgumentError
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser

from vitreous.cli.help import help_formatter
from vitreous.cli.spelling import kebab, spell
from vitreous.configuration.environment import variable
from vitreous.configuration.fields import construct, is_list, settings_types, takes_nothing
from vitreous.configuration.layers import Layered, layered
from vitreous.configuration.typed import wrong
from vitreous.configuration.unscaled_lr import warn_of_unscaled_lr
from vitreous.errors import ConfigError
from vitreous.recipes.alternatives import overruled

Settings = TypeVar("Settings")


@dataclass(frozen=True, kw_only=True)
class Verb(Generic[Settings]):
    """What a verb can be told.

    Args:
        name: the word after `vitreous`.
        settings: frozen dataclass of its options; the docstring is the help.
        example: a command that works, for the help and for messages.
        positionals: settings that are given without an option name, in order; a list takes what is left.
        config_files: accept `--config`, `--print-config` and environment variables.
        in_files: dataclass of what files and variables may say; all settings by default.
    """

    name: str
    settings: type[Settings]
    example: str
    positionals: tuple[str, ...] = ()
    config_files: bool = False
    in_files: type | None = None


@dataclass(frozen=True, kw_only=True)
class Parsed(Generic[Settings]):
    """What a user told a verb.

    Args:
        settings: all values.
        sources: setting → `flag`, environment variable, config file or `recipe NAME`; what kept its default
            is absent.
        as_json: print one machine-readable object.
        print_config: print the settings and do nothing.
    """

    settings: Settings
    sources: dict[str, str]
    as_json: bool
    print_config: bool


def parse(verb: Verb[Settings], words: Sequence[str]) -> Parsed[Settings]:
    """Settings of a verb from the words after it.

    Raises:
        ConfigError: an unknown option or key, a value of the wrong type, a missing value.
        SystemExit: the help was printed.
    """
    types = settings_types(verb.settings)
    parser = _parser(verb, types)
    options = {name: hint for name, hint in types.items() if name not in verb.positionals}
    switches = ["help", "json"]
    if verb.config_files:
        options["config"] = list[str]
        switches.append("print_config")
    spelled, alone = spell(words, options, switches)
    switched = {each for each in spelled if each in ("--json", "--print_config")}
    try:
        typed = vars(parser.parse_args([e for e in spelled if e not in switched], defaults=False).as_flat())
    except ArgumentError as error:
        raise ConfigError(_sentence(error, spelled, types)) from error
    given = {name: value for name, value in typed.items() if name in types}
    given |= _positional_values(verb, alone, types)
    below = Layered(values={}, sources={})
    if verb.config_files:
        below = layered(verb.name, settings_types(verb.in_files or verb.settings), typed.get("config", []))
        warn_of_unscaled_lr(below, given)
    return Parsed(
        settings=construct(verb.settings, overruled(below.values, given) | given),
        sources=overruled(below.sources, given) | dict.fromkeys(given, "flag"),
        as_json="--json" in switched,
        print_config="--print_config" in switched,
    )


def _parser(verb: Verb[Any], types: dict[str, Any]) -> ArgumentParser:
    parser = ArgumentParser(
        usage=" ".join(["vitreous", verb.name, *map(str.upper, verb.positionals), "[options]"]),
        epilog=f"For example: {verb.example}",
        formatter_class=help_formatter(types),
        exit_on_error=False,
    )
    said = {each.arg_name: each.description for each in parse_docstring(verb.settings.__doc__ or "").params}
    for name in verb.positionals:
        parser.add_argument(name, nargs="?", help=said[name])
    parser.add_class_arguments(verb.settings, skip=set(verb.positionals))
    variables = None
    if verb.config_files:
        example = next((name for name in types if "." in name), next(iter(types)))
        name = variable(verb.name, example)
        variables = f"Every option has an environment variable: {kebab(example)} has {name}."
    everywhere = parser.add_argument_group("How settings are given and results are shown", variables)
    if verb.config_files:
        everywhere.add_argument(
            "--config",
            type=list[str],
            metavar="RECIPE|FILE …",
            help="settings from recipes (vitreous recipes list) and YAML files; later ones win.",
        )
        everywhere.add_argument(
            "--print_config", action="store_true", help="all settings, with their sources."
        )
    everywhere.add_argument("--json", action="store_true", help="print one machine-readable object.")
    everywhere.add_argument("--debug", action="store_true", help="show the traceback of an error.")
    for action in parser._actions:
        if any(name.startswith(f"{action.dest}.") for name in types):
            action.help = SUPPRESS  # a section as a whole is not an option
    return parser


def _positional_values(verb: Verb[Any], alone: list[str], types: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    rest = list(alone)
    for name in verb.positionals:
        if rest:
            values[name], rest = (rest, []) if is_list(types[name]) else (rest[0], rest[1:])
        elif not takes_nothing(types[name]):
            raise ConfigError(f"{verb.name} needs {name.upper()}; for example: {verb.example}")
    if rest:
        raise ConfigError(f"{verb.name}: '{rest[0]}' is a word too many; for example: {verb.example}")
    return values


def _sentence(error: ArgumentError, spelled: Sequence[str], types: dict[str, Any]) -> str:
    """What was typed for the option that jsonargparse refuses, and what would work."""
    key = re.search(r'Parser key "([^"]+)"', error.message)
    for word in spelled:
        name, _, value = word.partition("=")
        if key and name == f"--{key[1]}":
            return f"{kebab(key[1])} is {wrong(value, types[key[1]])}"
    return error.message.splitlines()[0]
