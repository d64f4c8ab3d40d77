"""Every Python snippet of the ideas, the papers and combining.md runs and prints what its comments say."""

import json
import re
from pathlib import Path

import pytest

from vitreous.models import from_json

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted([*(DOCS / "ideas").glob("*.md"), *(DOCS / "papers").glob("*.md"), DOCS / "combining.md"])


def snippets(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_the_snippets_of_a_page_run_and_print_what_they_say(page: Path, capsys) -> None:
    for snippet in snippets(page):
        exec(snippet, {})
        printed = capsys.readouterr().out
        for said in re.findall(r"print\(.*\)  # (.*)", snippet):
            exact = re.split(r"[:…]", said)[0].strip()
            assert exact in printed, f"{page.name} says {exact!r}; it prints {printed!r}"


def test_every_idea_page_is_on_the_list() -> None:
    listed = re.findall(r"\]\(([a-z_]+\.md)\)", (DOCS / "ideas" / "README.md").read_text(encoding="utf-8"))
    assert sorted([*listed, "README.md"]) == [page.name for page in sorted((DOCS / "ideas").glob("*.md"))]


def test_the_worked_pairing_is_the_file_among_the_examples() -> None:
    names: dict = {}
    exec(snippets(DOCS / "combining.md")[-1], names)
    kept = from_json(json.loads((DOCS.parent / "examples" / "pairing.json").read_text(encoding="utf-8")))
    assert (kept, kept.name, kept.source) == (names["pairing"], "pairing", "ours")
