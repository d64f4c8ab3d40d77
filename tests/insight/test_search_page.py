"""The page of a search: from its folder alone, every candidate's place kept, readable in a browser."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from tests.insight.browser import check_everywhere, chromium, opened
from tests.searching.spaces import tiny_psvit
from vitreous.cli.main import main
from vitreous.errors import ConfigError
from vitreous.insight.report import report
from vitreous.insight.search_story import _population, search_story
from vitreous.searching.gene_words import words_of_genes
from vitreous.searching.ledger import Candidate
from vitreous.searching.psvit_space import psvit_space
from vitreous.searching.space import Space

HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}"


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny search on digits by the command, whose space has a name that would like to be markup."""
    place = tmp_path_factory.mktemp("search")
    space = tiny_psvit(depth=6).to_json()
    space["config"]["name"] = HOSTILE
    (place / "space.json").write_text(json.dumps(space))
    words = [
        "search",
        "--data",
        "digits",
        "--space",
        str(place / "space.json"),
        "--out",
        str(place / "found"),
    ]
    words += [
        "--batch-size",
        "24",
        "--precision",
        "float32",
        "--device",
        "cpu",
        "--winners",
        "2",
        "--compare",
    ]
    words += ["--retrain-epochs", "1", "--supernet.epochs", "2", "--loading.limit", "120", "--recipe.no-ema"]
    words += ["--evolution.population", "4", "--evolution.parents", "2", "--evolution.crossover", "2"]
    words += ["--evolution.mutation", "1", "--evolution.generations", "2", "--budget", "macs=1G"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITREOUS_HOME", str(place / "home"))
        assert main(words) == 0
    return place / "found"


def test_the_command_leaves_a_page_that_tells_the_search_from_result_to_provenance(searched: Path) -> None:
    text = (searched / "report.html").read_text()
    told = json.loads((searched / "report.json").read_text())
    for heading in ("Result", "The winner, layer by layer", "What the population converged to", "Ledger"):
        assert f"<h2>{heading}</h2>" in text
    best = told["retrained"][0]
    assert (
        f"{best['what']}: {100 * best['top1']:.2f} %" in text
        and "random search" in text
        and "plain ViT" in text
    )
    assert "Share with shared attention" in text and "option 0" not in text
    assert "was not measured (--correlate 8 does)" in text
    assert "<img src=x" not in text and "&lt;img src=x" in text and ">49<" not in text
    assert not re.search(r'(src|href)="(?!data:|#)', text) and "default-src 'none'" in text
    assert os.uname().nodename not in text or len(os.uname().nodename) < 4
    assert str(searched.parent) not in text


def test_the_ledger_is_every_candidate_and_the_population_every_share(searched: Path) -> None:
    story = search_story(searched)
    with (searched / "candidates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row[-1] for row in story.ledger[1:]] == [row["genome"] for row in rows]
    assert story.candidates == len(rows) == 12
    space = Space.from_json(json.loads((searched / "space.json").read_text()))
    number = next(place for place, gene in enumerate(space.genes) if gene.name.startswith("layer 3"))
    shares = next(each for each in story.population if each.title == "Share with shared attention")
    row = shares.rows.index("3")
    for column in range(3):
        of = [each["genome"].split(",")[number] for each in rows if each["generation"] == str(column)]
        assert shares.values[row][column] == of.count("1") / len(of)
    shown = [value for chart in story.population for row in chart.values for value in row]
    assert min(shown) >= 0 and max(shown) <= 1
    pool = next(each for each in story.population if each.title.startswith("pool 1"))
    firsts: list[float] = [row[0] for row in pool.values]
    assert sum(firsts) == pytest.approx(1)
    assert sum(share for _, _, share in story.phases) == pytest.approx(100, abs=0.3)


def test_a_measured_ranking_and_a_large_ledger_are_told(searched: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(searched, copy)
    told = json.loads((copy / "report.json").read_text())
    told["worth"] = {
        "supernet score": {"tau": 0.5, "low": 0.1, "high": 0.9, "n": 8},
        "SNIP": {"tau": None, "low": None, "high": None, "n": 8},
    }
    (copy / "report.json").write_text(json.dumps(told))
    lines = (copy / "candidates.csv").read_text().splitlines()
    (copy / "candidates.csv").write_text("\n".join([lines[0], *lines[1:] * 400]) + "\n")
    page = report(copy, out=tmp_path / "page.html")
    text = page.read_text()
    assert "The best 200 of 4,800 candidates" in text and "supernet score" in text and "0.5" in text
    assert page.stat().st_size < 2_000_000


def test_a_search_that_cannot_be_told_is_refused_in_a_sentence(searched: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    shutil.copytree(searched, half, ignore=shutil.ignore_patterns("report.*", "retrained", "model"))
    with pytest.raises(ConfigError, match=r"not finished \(no report\.json\)"):
        report(half)
    with pytest.raises(ConfigError, match="has a page of its own; give it alone"):
        report([searched, searched / "retrained" / "winner-1"])
    (half / "report.json").write_text("{")
    with pytest.raises(ConfigError, match="its report cannot be read"):
        report(half)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_in_a_browser_it_is_silent_fits_sorts_and_axe_finds_nothing(searched: Path) -> None:
    with chromium() as browser:
        check_everywhere(browser, searched / "report.html")
        with opened(browser, searched / "report.html", width=1440) as seen:
            table = seen.page.locator("#ledger table")
            table.locator("thead button").nth(2).focus()
            seen.page.keyboard.press("Enter")
            rows = (
                "[...document.querySelectorAll('#ledger tbody tr')].map(row => +row.cells[2].dataset.value)"
            )
            macs = seen.page.evaluate(rows)
            assert macs == sorted(macs) and len(set(macs)) > 1


@pytest.mark.parametrize("name", ["psvit_1d_small_image", "psvit_2d_small_image_12"])
def test_every_gene_of_a_psvit_space_has_a_word_for_each_value(name: str) -> None:
    space = psvit_space(name, image_size=32, classes=10)
    for gene, words in words_of_genes(space):
        assert len(words) == gene.options == len(set(words))
        assert words == ("attention", "shared attention") or gene.kind == "place"


def test_the_genes_of_the_wide_space_are_told_in_the_words_of_the_ideas() -> None:
    from tests.searching.spaces import tiny_wide

    space = tiny_wide()
    told = {gene.name: words for gene, words in words_of_genes(space)}
    assert [len(words) for _, words in words_of_genes(space)] == [gene.options for gene in space.genes]
    assert told["layer 1 tokens meet"] == (
        "attention", "sliced attention", "shared attention", "convolution beside attention",
        "feed-forward over tokens",
    )  # fmt: skip
    assert told["layer 1 LaPE"] == ("without", "LaPE") and told["layer 1 turns"] == ("1", "2")


def test_numbers_and_switches_are_told_with_the_name_of_what_is_chosen() -> None:
    from tests.searching.spaces import tiny_hybrid

    space = tiny_hybrid()
    told = {gene.name: words for gene, words in words_of_genes(space)}
    assert told["stem pool"] == ("yes", "no") and told["stem widths"][0] == "(8, 16)"
    seen = [Candidate(genome=genome, macs=1, params=1, top1=0.5, images=1) for genome, *_ in space.all()]
    titles = [chart.title for chart in _population(space, seen)]
    assert {"Share with pool: no", "Share with widths: (8, 16)", "Share with attention"} <= set(titles)
