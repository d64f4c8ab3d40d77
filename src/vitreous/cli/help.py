"""Help as a reader wants it: `--batch-size N|auto   images per optimizer step. (default: auto)`."""

from argparse import Action
from typing import Any

from jsonargparse import DefaultHelpFormatter

from vitreous.cli.spelling import SHORT, kebab
from vitreous.configuration.fields import is_flag, metavar


def help_formatter(types: dict[str, Any]) -> type[DefaultHelpFormatter]:
    """A formatter that knows the types of the settings."""

    class HelpFormatter(DefaultHelpFormatter):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "max_help_position": 30, "width": 100})

        def _format_action_invocation(self, action: Action) -> str:
            if not action.option_strings:
                return action.dest.upper()
            name, hint = kebab(action.dest), types.get(action.dest)
            short = "".join(f"{letter}, " for letter, long in SHORT.items() if long == name)
            if hint is None:
                return f"{short}{name} {action.metavar or ''}".rstrip()
            if is_flag(hint):
                return f"{name}, {'.no-'.join(name.rsplit('.', 1)) if '.' in name else f'--no-{name[2:]}'}"
            return f"{short}{name} {metavar(hint, action.dest.rpartition('.')[2].rstrip('_'))}"

        def _get_help_string(self, action: Action) -> str:
            text = action.help or ""
            if action.dest not in types or not action.option_strings or action.default in (None, []):
                return text
            return f"{text} (default: %(default)s)"

    return HelpFormatter
