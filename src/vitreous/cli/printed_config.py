"""All settings as a YAML file that can be used again, with the source of each value beside it."""

import json
from typing import Any

import yaml

from vitreous.cli.options import Parsed
from vitreous.configuration.fields import flat
from vitreous.redaction import redact


def as_yaml(asked: Parsed[Any]) -> str:
    """`name: value  # source`, sections indented."""
    lines: list[tuple[str, str]] = []
    section = ""
    for key, value in flat(asked.settings).items():
        head, _, name = key.rpartition(".")
        if head != section:
            lines.append((f"{head}:", ""))
            section = head
        plain = list(value) if isinstance(value, tuple) else value
        text = yaml.safe_dump(plain, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
        lines.append((f"{'  ' * bool(head)}{name}: {text}", asked.sources.get(key, "default")))
    width = max(len(text) for text, _ in lines)
    return redact(
        "".join(f"{text:<{width}}  # {source}\n" if source else f"{text}\n" for text, source in lines)
    )


def as_json(asked: Parsed[Any]) -> str:
    """One object: settings by dotted name, and their sources."""
    settings = flat(asked.settings)
    sources = {key: asked.sources.get(key, "default") for key in settings}
    return redact(json.dumps({"settings": settings, "sources": sources})) + "\n"
