"""The page about runs: whole, one file, names are nothing but text, and readable in a browser."""

import json
import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.insight.browser import check_everywhere, chromium, opened
from vitreous.cli.main import main
from vitreous.errors import ConfigError
from vitreous.insight.report import MOST_BYTES, report
from vitreous.models import config
from vitreous.models.as_json import to_json
from vitreous.training.train import train

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
CAM = find_spec("captum") is not None
ONLY = ("hfd", "head_diversity", "tokens", "attention", *(["cam"] if CAM else []))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two tiny finished runs on digits, one of them with a name that would like to be markup."""
    place = tmp_path_factory.mktemp("runs")
    os.environ["VITREOUS_HOME"] = str(place / "home")
    found = []
    for name, heads in (("plain", 2), (HOSTILE, 4)):
        model = config(
            "deit_tiny", image_size=8, classes=10, channels=1, width=16, depth=2, heads=heads, patch=2
        )
        out = place / name
        train(
            data="digits", model=json.dumps(to_json(model)), out=str(out), epochs=1, batch_size=32, lr=5e-3,
            precision="float32", device="cpu", compile=False, loading={"limit": 96}, probes="hfd",
        )  # fmt: skip
        found.append(out)
    return found


@pytest.fixture(scope="module")
def one(runs: list[Path]) -> Path:
    return report(runs[0], images=16, only=ONLY, device="cpu")


@pytest.fixture(scope="module")
def both(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "both.html"
    return report(runs, out=out, images=16, only=ONLY, device="cpu")


def test_the_page_tells_the_run_from_result_to_provenance(one: Path, runs: list[Path]) -> None:
    assert one == runs[0] / "report.html" and one.stat().st_size < MOST_BYTES
    text = one.read_text()
    for heading in ("Training", "Mistakes", "The model, layer by layer", "What happens inside", "Provenance"):
        assert f"<h2>{heading}</h2>" in text
    assert "top-1" in text and "Probe hfd" in text and "Confusion" in text and "layers.1" in text
    assert "High-frequency share" in text and "Attention from a point you pick" in text
    assert ("What spoke for the answer" in text and "Images and their maps; answers: " in text) == CAM
    picks = json.loads(re.search(r'id="picks">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert len(picks) == 1 and len(picks[0]["images"]) == 4 and len(picks[0]["layers"]) == 2


def test_it_is_one_file_without_a_network_and_without_the_machines_owner(one: Path, both: Path) -> None:
    for page in (one, both):
        text = page.read_text()
        assert not re.search(r'(src|href)="(?!data:|#)', text) and "@import" not in text
        assert "default-src 'none'" in text
        for secret in (os.uname().nodename, str(Path.home()) + "/", str(page.parent)):
            assert len(secret) < 4 or secret not in text


def test_hostile_names_are_text_everywhere(both: Path) -> None:
    text = both.read_text()
    assert "<img src=x" not in text and "onerror=alert(1)>" not in text and ">49<" not in text
    assert "&lt;img src=x" in text and "{{7*7}}" in text


def test_several_runs_are_compared(both: Path) -> None:
    text = both.read_text()
    assert "<h2>Compared</h2>" in text and "one pair: no interval" in text and 'id="toggles"' in text


def test_a_run_that_is_half_written_is_told_with_what_there_is(runs: list[Path], tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(runs[0], half, ignore=shutil.ignore_patterns("model", "evaluation-*", "report.html"))
    text = report(half, images=8, only=["hfd"], device="cpu").read_text()
    assert "There is no finished model" in text and "Loss" in text and "Nothing was measured." in text


def test_mistakes_are_named(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        report(tmp_path)
    with pytest.raises(ConfigError, match=r"an \.html file in a folder that exists works"):
        report(runs[0], out=tmp_path / "page.pdf")
    with pytest.raises(ConfigError, match="hfdd is no analysis"):
        report(runs[0], only=["hfdd"])
    assert main(["report"]) == 2 and "report needs RUNS" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_in_a_browser_it_is_silent_fits_and_axe_finds_nothing(one: Path, both: Path) -> None:
    with chromium() as browser:
        check_everywhere(browser, one)
        check_everywhere(browser, both, ((360, "light"), (1440, "dark")))


@pytest.mark.filterwarnings("ignore")
def test_it_is_worked_by_keyboard_alone(one: Path, both: Path) -> None:
    with chromium() as browser, opened(browser, one, width=1440) as seen:
        page = seen.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
        page.locator(".pick .image").first.focus()
        told = page.locator(".pick [aria-live]").first
        before = told.inner_text()
        page.keyboard.press("ArrowUp")
        assert told.inner_text() != before
        page.locator(".pick select").first.focus()
        page.keyboard.press("ArrowDown")
        assert told.inner_text().startswith("Image 2")
        table = page.locator("table.layers")
        macs = (
            "[...document.querySelectorAll('table.layers tbody tr')].map(row => +row.cells[3].dataset.value)"
        )
        unsorted = page.evaluate(macs)
        table.locator("thead th").nth(3).locator("button").focus()
        page.keyboard.press("Enter")
        assert page.evaluate(macs) == sorted(unsorted) != unsorted
        assert table.locator("thead th").nth(3).get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Space")
        assert page.evaluate(macs) == sorted(unsorted, reverse=True)
        theme = "getComputedStyle(document.body).backgroundColor"
        was = page.evaluate(theme)
        page.locator("#theme").focus()
        page.keyboard.press("Enter")
        assert page.evaluate(theme) != was
        with opened(browser, both, width=360) as seen:
            shown = seen.page.locator("#training > div").first
            first = seen.page.locator("#toggles input").first
            first.focus()
            seen.page.keyboard.press("Space")
            assert not shown.is_visible()
            assert "none" in seen.page.locator("svg g[data-series]").first.evaluate("it => it.style.display")
            seen.page.keyboard.press("Space")
            assert shown.is_visible() and seen.said == []
