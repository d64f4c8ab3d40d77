"""One page that tells a finished search: what it found, what it cost, and whether it was worth it."""

import logging
from pathlib import Path

from vitreous.insight.page import check_page, rendered
from vitreous.insight.search_story import SearchStory, search_story

logger = logging.getLogger("vitreous")


def search_page(folder: str | Path, *, out: str | Path | None = None) -> Path:
    """Write the page of a search from what lies in its folder; returns its place.

    Args:
        folder: of a finished search.
        out: the file; by default `report.html` in the folder.

    Raises:
        ConfigError: a search that is not finished or cannot be read, or an `out` that cannot be written.
    """
    path = Path(folder) / "report.html" if out is None else Path(out)
    check_page(path)
    path.write_text(page(search_story(Path(folder))), encoding="utf-8")
    logger.info("page     %s", path)
    return path


def page(story: SearchStory) -> str:
    """The page as text."""
    return rendered("search.html", title=f"Search of {story.name}", story=story)
