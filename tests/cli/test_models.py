"""`vitreous models`: the catalog, and one model by name or by file with what each layer costs and shares."""

import json
from pathlib import Path
from typing import Any

import pytest

from vitreous.analysis.cost import cost
from vitreous.cli.main import main
from vitreous.models import config, from_json, list_models, to_json
from vitreous.models.catalog import CATALOG


def printed(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["models", *words]) == 0
    return capsys.readouterr().out


def told(*words: str, capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(printed(*words, "--json", capsys=capsys))


def test_the_list_has_every_name_with_source_size_cost_and_paper(capsys: pytest.CaptureFixture[str]) -> None:
    lines = {line.split()[0]: line for line in printed("list", capsys=capsys).splitlines() if line}
    assert set(CATALOG) <= set(lines)
    assert lines["eit_mini"].split("  ")[0] == "eit_mini"
    for cell in ("authors' code", "224×224", "3.51 M", "1.926", "EIT, arXiv 2203.07116"):
        assert cell in lines["eit_mini"]
    assert "ours" in lines["psvit_1d_tiny"]
    listed = told(capsys=capsys)["models"]
    assert [each["name"] for each in listed] == list_models()
    for each in listed:
        assert each["paper"] == CATALOG[each["name"]].paper and each["source"] == CATALOG[each["name"]].source
        counted = cost(config(each["name"]))
        assert (each["parameters"], each["macs"]) == (counted.parameters, counted.macs)


def test_a_pattern_chooses_names(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed("list", "*digits", capsys=capsys)
    assert "eit_digits" in out and "deit_tiny" not in out


def test_a_model_is_shown_as_its_constructor_call_with_a_table_by_layer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = printed("show", "EIT16/4/3-Mini", capsys=capsys)
    assert repr(config("eit_mini")) in out
    rows = [line.split() for line in out.splitlines() if line.startswith("layers.")]
    block = 8 * 250**2 + 9 * 250 + 4 * 50**2 + 4 * 50 + 9 * 200
    assert rows[0][:4] == ["layers.0", "362", "250", f"{block:,}"] and len(rows) == 5
    assert "3,512,750" in out and "1,926.35" in out and "1,729.78 million MACs" in out
    assert "eit_mini; source: authors' code; paper: EIT, arXiv 2203.07116." in out
    assert "shares" not in out, "there is nothing to tell"


def test_the_table_says_what_layers_share(capsys: pytest.CaptureFixture[str]) -> None:
    for name, layer, shares in (
        ("sret_tiny", "layers.0 ", "2 turns, one block"),
        ("psvit_1d_tiny", "layers.1 ", "map of layers.0"),
    ):
        lines = printed("show", name, capsys=capsys).splitlines()
        assert next(line for line in lines if line.startswith(layer)).endswith(shares)
    by_layer = told("show", "psvit_1d_tiny", capsys=capsys)["by_layer"]
    assert by_layer[3]["name"] == "layers.0" and by_layer[3]["shares"] == "lends its map"


def test_numbers_of_the_table_are_the_costs(capsys: pytest.CaptureFixture[str]) -> None:
    shown = told("show", "eit_mini", "--image-size", "64x96", "--classes", "7", capsys=capsys)
    assert shown["model"]["image"] == {"kind": "ImageShape", "channels": 3, "height": 64, "width": 96}
    assert sum(each["macs"] for each in shown["by_layer"]) == shown["macs"]
    assert shown["by_layer"][-1]["width"] == 7


def test_without_classes_a_model_gives_features(capsys: pytest.CaptureFixture[str]) -> None:
    shown = told("show", "eit_mini", "--classes", "0", capsys=capsys)
    assert shown["by_layer"][-1]["width"] == 250 and shown["model"]["head"]["classes"] == 0


def test_a_model_is_written_to_a_file_and_shown_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "my.json")
    words = ["show", "eit_digits", "--classes", "7", "--channels", "1"]
    from_name = told(*words, "-o", file, capsys=capsys)
    described = config("eit_digits", classes=7, channels=1)
    assert from_json(json.loads(Path(file).read_text())) == described
    assert told("show", file, capsys=capsys) == from_name, "classes and channels are the file's own"
    other = told("show", file, "--classes", "3", "--image-size", "16", capsys=capsys)
    assert from_json(other["model"]) == config("eit_digits", classes=3, channels=1, image_size=16)
    assert main(["models", *words, "-o", file]) == 2, "an edited file is not overwritten"


def test_a_model_without_a_name_is_shown_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(to_json(config("eit_digits")) | {"name": "", "source": ""}))
    out = printed("show", str(file), capsys=capsys)
    assert out.splitlines()[-2] == "a model without a name; source: not told."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "eit_mni"], "did you mean eit_mini"),
        (["show", "missing.json"], "model missing.json cannot be read; give a model's config.json or a"),
        (["lits"], "did you mean list?"),
        (["list", "*iet*"], "no model matches"),
        (["show"], "models show needs NAME_OR_FILE; for example: vitreous models show"),
        (["show", "eit_mini", "--image-size", "big"], "pixels such as 32"),
        (["show", "eit_mini", "--classes", "-1"], "classes is -1"),
        (["show", "deit_tiny", "--image-size", "50"], "stem, PatchStem: an image of 50×50 pixels"),
    ],
)
def test_a_mistake_exits_2_with_one_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("vitreous: ") and message in line
