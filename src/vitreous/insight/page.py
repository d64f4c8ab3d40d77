"""A page as text: one HTML file without a network, from the templates beside this file.

Style and script are inlined, pictures are data, and a content security policy refuses everything else. Every
text goes through Jinja's escaping, what the script reads through its JSON filter.
"""

from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from vitreous.errors import ConfigError
from vitreous.insight.architecture import drawing
from vitreous.insight.svg import svg, table

TEMPLATES = ("base.html", "pieces.html", "report.html", "search.html")


def rendered(template: str, **values: Any) -> str:
    """The page of a template; `title` is its heading."""
    from jinja2 import DictLoader, Environment

    here = files("vitreous.insight")

    def read(name: str) -> str:
        return here.joinpath(name).read_text(encoding="utf-8")

    loader = DictLoader({name: read(name) for name in TEMPLATES})
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"svg": svg, "table": table, "cell": cell, "drawing": drawing}
    return environment.get_template(template).render(
        style=Markup(read("report.css")),  # ours, without anything of a user's
        script=Markup(read("report.js")),
        version=version("vitreous"),
        **values,
    )


def check_page(path: Path) -> None:
    """Raises ConfigError where no page can be written to a path."""
    if path.suffix.lower() != ".html" or path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"--out {path}: an .html file in a folder that exists works")


def cell(value: Any) -> str:
    """A value of a table; two decimals of every number that is not whole by its kind."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
