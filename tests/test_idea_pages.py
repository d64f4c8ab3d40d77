"""Every Python snippet on the pages of docs/ideas and docs/papers runs, and prints what its comments say."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted([*(DOCS / "ideas").glob("*.md"), *(DOCS / "papers").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_the_snippets_of_a_page_run_and_print_what_they_say(page: Path, capsys) -> None:
    for snippet in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(snippet, {})
        printed = capsys.readouterr().out
        for said in re.findall(r"print\(.*\)  # (.*)", snippet):
            exact = re.split(r"[:…]", said)[0].strip()
            assert exact in printed, f"{page.name} says {exact!r}; it prints {printed!r}"


def test_every_idea_page_is_on_the_list() -> None:
    listed = re.findall(r"\]\(([a-z_]+\.md)\)", (DOCS / "ideas" / "README.md").read_text(encoding="utf-8"))
    assert sorted([*listed, "README.md"]) == [page.name for page in sorted((DOCS / "ideas").glob("*.md"))]
