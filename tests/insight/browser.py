"""A headless Chromium for tests of pages: what it says, what it asks for, and what axe-core finds in it."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

EVERYWHERE = ((360, "light"), (360, "dark"), (1440, "light"), (1440, "dark"))
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Opened:
    """A page, with all that it said on the console and all addresses that it asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def outside(self) -> list[str]:
        """What would have needed a network."""
        return [url for url in self.asked if not url.startswith(("file:", "data:"))]


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """The browser; skips where Playwright or a Chromium is not installed."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
    with playwright.sync_playwright() as started:
        try:
            browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium starts here: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser: Any, file: Path, *, width: int, scheme: str = "light") -> Iterator[Opened]:
    """A file as a reader with this width of window and this choice of colours sees it."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    seen = Opened(page)
    page.on("console", lambda message: seen.said.append(message.text))
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    page.on("request", lambda request: seen.asked.append(request.url))
    page.goto(file.as_uri())
    yield seen
    page.close()


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong, with the place of the first of each kind."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}), {len(each['nodes'])} times: {each['nodes'][0]['html'][:200]} "
        f"{each['nodes'][0].get('failureSummary', '')}"
        for each in found
    ]


def check_everywhere(browser: Any, file: Path, where: tuple[tuple[int, str], ...] = EVERYWHERE) -> None:
    """In windows of these widths and colours: silent, no network, nothing too wide, readable by all."""
    for width, scheme in where:
        with opened(browser, file, width=width, scheme=scheme) as seen:
            assert seen.said == [] and seen.outside == []
            assert seen.page.evaluate(OVERFLOW) <= 0, f"wider than {width} px"
            for each in seen.page.locator("details").all():
                each.evaluate("it => it.open = true")
            assert seen.page.evaluate(OVERFLOW) <= 0, f"wider than {width} px with all open"
            assert violations(seen.page) == []
